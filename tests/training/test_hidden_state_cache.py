"""A trunk that is computed once gives the training that one computed at every step gives."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import ARCHITECTURES
from tests.training.test_loop import losses, text  # noqa: F401  the fixture
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import ignore_progress
from tuneoff.training import hidden_state_cache
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.loop import Training, train
from tuneoff.training.trainer import TrainingSpec

Go = Callable[..., Training]
LAST_LAYER = METHODS["last-layer"].read({"learning_rate": 1e-2})
LAST_BLOCK = METHODS["last-blocks"].read({"learning_rate": 1e-2, "blocks": 1})
over_both = pytest.mark.parametrize("method", [LAST_LAYER, LAST_BLOCK], ids=["last-layer", "last-blocks"])


@pytest.fixture
def go(text: TextData, load_tiny: Callable[[str], LanguageModel]) -> Go:  # noqa: F811
    def go(architecture: str = "llama", *, cache: TrunkCache | None, rate: float = 1e-2, loss_on: str = "target",
           method: Method = LAST_LAYER, precision: Any = "float32", change: Any = None) -> Training:  # fmt: skip
        model = hold_for_training(
            method.apply(load_tiny(architecture)), torch.bfloat16 if precision == "bf16" else torch.float32
        )
        if change:
            change(model)
        job = TrainingSpec(
            text=text, options=TrainingOptions(epochs=3, batch_size=4), learning_rate=rate, weight_decay=0.0,
            loss_on=loss_on, evaluation_batch_size=2, seed=0,
        )  # fmt: skip
        return train(model, job, create_context(torch.device("cpu"), precision, ignore_progress), cache=cache)

    return go


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "trunk"


def never(*_: object, **__: object) -> None:
    raise AssertionError("the trunk was computed again")


def close(one: Training, other: Training, tolerance: float = 1e-5) -> bool:
    pairs = zip(losses(one), losses(other), strict=True)
    return all(a == pytest.approx(b, abs=tolerance) for a, b in pairs)


@over_both
@pytest.mark.parametrize("loss_on", ["target", "all"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_losses_are_those_of_a_trunk_that_is_computed_at_every_step(
    architecture: str, loss_on: str, method: Method, go: Go, empty_cache: Path
) -> None:
    cached = go(architecture, cache=TrunkCache("tiny"), loss_on=loss_on, method=method)
    assert len(list(empty_cache.glob("*.safetensors"))) == 2  # train and validation
    assert close(cached, go(architecture, cache=None, loss_on=loss_on, method=method))


@over_both
def test_so_they_are_with_bf16_products(method: Method, go: Go) -> None:
    cached, uncached = (go(cache=cache, precision="bf16", method=method) for cache in (TrunkCache("tiny"), None))
    assert close(cached, uncached, tolerance=2e-2)


def test_frozen_blocks_are_not_computed_again(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def listener(model: LanguageModel) -> None:
        model.blocks[0].self_attn.q_proj.register_forward_hook(lambda *_: computed.append(0))

    go(cache=TrunkCache("tiny"), method=LAST_BLOCK)
    go(cache=TrunkCache("tiny"), method=LAST_BLOCK, change=listener)
    assert len(computed) == 2 * 2, "only the probe runs them, twice for each split"


def test_another_training_reads_what_the_first_computed_and_is_charged_for_it(
    go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TrunkCache("tiny")
    first = go(cache=cache)
    monkeypatch.setattr("tuneoff.training.hidden_state_cache._compute", never)
    again, other = go(cache=cache), go(cache=cache, rate=3e-2)
    assert losses(again) == losses(first)
    assert losses(other) != losses(first)


def test_what_the_trunk_took_is_charged_once_to_every_training(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, read = TrunkCache("tiny"), hidden_state_cache._read
    go(cache=cache)

    def an_hour(path: Path) -> Any:
        found = read(path)
        return found and replace(found, seconds=3600.0)

    monkeypatch.setattr(hidden_state_cache, "_read", an_hour)
    training = go(cache=cache)
    assert 3600 < sum(row.train_seconds for row in training.curve) < 3700


def test_another_key_is_another_trunk(go: Go, empty_cache: Path) -> None:
    go(cache=TrunkCache("tiny"))
    go(cache=TrunkCache("other weights"))
    assert len(list(empty_cache.glob("*.safetensors"))) == 4


def cut(content: bytes) -> bytes:
    return content[:-100]


def with_a_bit_turned(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize("damage", [cut, with_a_bit_turned])
def test_a_damaged_file_is_made_again_and_said(
    damage: Callable[[bytes], bytes], go: Go, empty_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = go(cache=TrunkCache("tiny"))
    for file in empty_cache.glob("*.safetensors"):
        file.write_bytes(damage(file.read_bytes()))
    assert losses(go(cache=TrunkCache("tiny"))) == losses(first)
    assert caplog.text.count("is damaged: it is removed") == 2


def test_what_does_not_fit_is_not_kept(go: Go, empty_cache: Path) -> None:
    training = go(cache=TrunkCache("tiny", limit=100))
    assert not empty_cache.exists()
    assert close(training, go(cache=None))


def test_what_was_used_longest_ago_goes_first(go: Go, empty_cache: Path) -> None:
    go(cache=TrunkCache("old"))
    old = set(empty_cache.glob("*.safetensors"))
    whole = sum(file.stat().st_size for file in old)
    go(cache=TrunkCache("new", limit=whole))
    left = set(empty_cache.glob("*.safetensors"))
    assert left
    assert not left & old


def switch_dropout_on(model: LanguageModel) -> None:
    model.base.config.attention_dropout = 0.1


@pytest.mark.parametrize(
    ("method", "change"),
    [
        (METHODS["full"](), None),
        (METHODS["lora"](), None),
        (METHODS["last-blocks"].read({"blocks": 2}), None),
        (LAST_LAYER, switch_dropout_on),
    ],
    ids=["full", "lora", "all blocks", "dropout"],
)
def test_a_trunk_that_changes_in_training_is_not_kept(method: Method, change: Any, go: Go, empty_cache: Path) -> None:
    go(cache=TrunkCache("tiny"), method=method, change=change)
    assert not empty_cache.exists()


def test_a_head_that_is_trained_with_the_input_table_changes_the_trunk(go: Go, empty_cache: Path) -> None:
    go("qwen2", cache=TrunkCache("tiny"), method=METHODS["last-layer"].read({"tied": True}))
    assert not empty_cache.exists()


@over_both
def test_a_model_that_asks_more_of_its_trunk_computes_it_at_every_step(
    method: Method, go: Go, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = go(cache=None, method=method)
    placed = LanguageModel._restore_shape
    monkeypatch.setattr(
        LanguageModel, "_restore_shape", lambda self, trunk_ND, *rest: placed(self, 2 * trunk_ND, *rest)
    )
    assert losses(go(cache=TrunkCache("tiny"), method=method)) == losses(plain)
    assert not empty_cache.exists()
