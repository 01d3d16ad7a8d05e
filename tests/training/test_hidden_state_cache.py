"""A training on stored trunk outputs equals one that computes them at every step."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import ARCHITECTURES
from tests.training.tiny_training import get_losses, load_rows, text
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import ignore_progress
from tuneoff.training import hidden_state_cache
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.loop import TrainingResult, train
from tuneoff.training.spec import TrainingSpec

__all__ = ["load_rows", "text"]  # fixtures
TrainWith = Callable[..., TrainingResult]
LAST_LAYER = METHODS["last-layer"].read({"learning_rate": 1e-2})
LAST_BLOCK = METHODS["last-blocks"].read({"learning_rate": 1e-2, "blocks": 1})
with_each_method = pytest.mark.parametrize("method", [LAST_LAYER, LAST_BLOCK], ids=["last-layer", "last-blocks"])


@pytest.fixture
def train_with(text: TextData, load_tiny: Callable[[str], LanguageModel]) -> TrainWith:
    def run(architecture: str = "llama", *, cache: TrunkCache | None, rate: float = 1e-2, loss_on: str = "target",
           method: Method = LAST_LAYER, precision: Any = "float32", change: Any = None) -> TrainingResult:  # fmt: skip
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        model = hold_for_training(method.apply(load_tiny(architecture)), dtype)
        if change:
            change(model)
        spec = TrainingSpec(
            text=text, options=TrainingOptions(epochs=3, batch_size=4), learning_rate=rate, weight_decay=0.0,
 optimizer=OPTIMIZERS[method.optimizer],
            loss_on=loss_on, evaluation_batch_size=2, seed=0,
        )  # fmt: skip
        return train(model, spec, create_context(torch.device("cpu"), precision, ignore_progress), cache=cache)

    return run


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "trunk"


def fail(*_: object, **__: object) -> None:
    raise AssertionError("the trunk was computed again")


def have_close_losses(first: TrainingResult, second: TrainingResult, tolerance: float = 1e-5) -> bool:
    pairs = zip(get_losses(first), get_losses(second), strict=True)
    return all(a == pytest.approx(b, abs=tolerance) for a, b in pairs)


@with_each_method
@pytest.mark.parametrize("loss_on", ["target", "all"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_losses_equal_those_of_a_trunk_computed_at_every_step(
    architecture: str, loss_on: str, method: Method, train_with: TrainWith, empty_cache: Path
) -> None:
    cached = train_with(architecture, cache=TrunkCache("tiny"), loss_on=loss_on, method=method)
    assert len(list(empty_cache.glob("*.safetensors"))) == 2  # train and validation
    assert have_close_losses(cached, train_with(architecture, cache=None, loss_on=loss_on, method=method))


@with_each_method
def test_the_losses_are_close_in_bf16(method: Method, train_with: TrainWith) -> None:
    cached, uncached = (
        train_with(cache=cache, precision="bf16", method=method) for cache in (TrunkCache("tiny"), None)
    )
    assert have_close_losses(cached, uncached, tolerance=2e-2)


def test_frozen_blocks_are_not_computed_again(train_with: TrainWith, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def count_calls(model: LanguageModel) -> None:
        model.blocks[0].self_attn.q_proj.register_forward_hook(lambda *_: computed.append(0))

    train_with(cache=TrunkCache("tiny"), method=LAST_BLOCK)
    train_with(cache=TrunkCache("tiny"), method=LAST_BLOCK, change=count_calls)
    assert len(computed) == 2 * 2, "only the probe runs them, twice per split"


def test_a_second_training_reads_the_outputs_that_the_first_computed(
    train_with: TrainWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TrunkCache("tiny")
    first = train_with(cache=cache)
    monkeypatch.setattr("tuneoff.training.hidden_state_cache._compute", fail)
    repeated, different = train_with(cache=cache), train_with(cache=cache, rate=3e-2)
    assert get_losses(repeated) == get_losses(first)
    assert get_losses(different) != get_losses(first)


def test_the_seconds_of_computing_the_trunk_count_once_in_every_training(
    train_with: TrainWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, read = TrunkCache("tiny"), hidden_state_cache._read
    train_with(cache=cache)

    def read_with_an_hour(path: Path, key: str) -> Any:
        outputs = read(path, key)
        return outputs and replace(outputs, seconds=3600.0)

    monkeypatch.setattr(hidden_state_cache, "_read", read_with_an_hour)
    training = train_with(cache=cache)
    assert 3600 < sum(row.train_seconds for row in training.curve) < 3700


def test_outputs_are_stored_separately_for_each_key(train_with: TrainWith, empty_cache: Path) -> None:
    train_with(cache=TrunkCache("tiny"))
    train_with(cache=TrunkCache("other weights"))
    assert len(list(empty_cache.glob("*.safetensors"))) == 4


def truncate(content: bytes) -> bytes:
    return content[:-100]


def flip_a_bit(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize("damage", [truncate, flip_a_bit])
def test_a_damaged_file_is_computed_again_with_a_warning(
    damage: Callable[[bytes], bytes], train_with: TrainWith, empty_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = train_with(cache=TrunkCache("tiny"))
    for file in empty_cache.glob("*.safetensors"):
        file.write_bytes(damage(file.read_bytes()))
    assert get_losses(train_with(cache=TrunkCache("tiny"))) == get_losses(first)
    assert caplog.text.count("is damaged. It was removed") == 2


def test_the_outputs_of_another_key_in_the_place_of_ones_own_are_not_used(
    train_with: TrainWith, empty_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_with(cache=TrunkCache("a"))
    first = sorted(empty_cache.glob("*.safetensors"))
    train_with(cache=TrunkCache("b"))
    others = sorted(set(empty_cache.glob("*.safetensors")) - set(first))
    for file, own in zip(first, others, strict=True):
        own.write_bytes(file.read_bytes())
    train_with(cache=TrunkCache("b"))
    assert caplog.text.count("is damaged. It was removed") == len(others)


def test_outputs_larger_than_the_limit_are_not_stored(train_with: TrainWith, empty_cache: Path) -> None:
    training = train_with(cache=TrunkCache("tiny", max_bytes=100))
    assert not empty_cache.exists()
    assert have_close_losses(training, train_with(cache=None))


def test_the_least_recently_used_outputs_are_removed_first(train_with: TrainWith, empty_cache: Path) -> None:
    train_with(cache=TrunkCache("old"))
    old = set(empty_cache.glob("*.safetensors"))
    size = sum(file.stat().st_size for file in old)
    train_with(cache=TrunkCache("new", max_bytes=size))
    remaining = set(empty_cache.glob("*.safetensors"))
    assert remaining
    assert not remaining & old


def enable_dropout(model: LanguageModel) -> None:
    model.base.config.attention_dropout = 0.1


@pytest.mark.parametrize(
    ("method", "change"),
    [
        (METHODS["full"](), None),
        (METHODS["lora"](), None),
        (METHODS["last-blocks"].read({"blocks": 2}), None),
        (LAST_LAYER, enable_dropout),
    ],
    ids=["full", "lora", "all blocks", "dropout"],
)
def test_a_trunk_that_changes_in_training_is_not_stored(
    method: Method, change: Any, train_with: TrainWith, empty_cache: Path
) -> None:
    train_with(cache=TrunkCache("tiny"), method=method, change=change)
    assert not empty_cache.exists()


def test_a_trunk_is_not_stored_when_the_head_is_tied_to_the_input_embedding(
    train_with: TrainWith, empty_cache: Path
) -> None:
    train_with("qwen2", cache=TrunkCache("tiny"), method=METHODS["last-layer"].read({"tied": True}))
    assert not empty_cache.exists()


@with_each_method
def test_a_model_that_fails_the_probe_computes_its_trunk_at_every_step(
    method: Method, train_with: TrainWith, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train_with(cache=None, method=method)
    original = LanguageModel._restore_shape
    monkeypatch.setattr(
        LanguageModel, "_restore_shape", lambda self, trunk_ND, *rest: original(self, 2 * trunk_ND, *rest)
    )
    assert get_losses(train_with(cache=TrunkCache("tiny"), method=method)) == get_losses(plain)
    assert not empty_cache.exists()


def test_another_train_sample_has_outputs_of_its_own(
    text: TextData, load_tiny: Callable[[str], LanguageModel], empty_cache: Path
) -> None:
    """Rows in another order would be as wrong: outputs are found by the number of their row."""
    model = LAST_LAYER.apply(load_tiny("llama"))
    context = create_context(torch.device("cpu"), "float32", ignore_progress)
    cache = TrunkCache("tiny")
    for rows in ([0, 1, 2], [0, 1, 3], [1, 0, 2]):
        sample = text.train.select(rows)
        cache.get_outputs(model, sample, "target", context)
        again = cache.get_outputs(model, sample, "target", context)
        fresh = TrunkCache("other").get_outputs(model, sample, "target", context)
        assert again is not None
        assert fresh is not None
        assert torch.equal(again.hidden_ND, fresh.hidden_ND)
    assert len(list(empty_cache.glob("*.safetensors"))) == 6
