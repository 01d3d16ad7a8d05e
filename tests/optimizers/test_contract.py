"""The contract of an optimizer, tested for every optimizer of the table."""

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.training import compute_logits
from tests.training.tiny_training import TrainToRungs, load_rows, stop_at, train_to_rungs
from tuneoff.errors import RecipeError
from tuneoff.methods import METHODS, Method, read_method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training
from tuneoff.optimizers import FOR_BLOCKS, OPTIMIZERS, build_groups
from tuneoff.recipe.recipe import Recipe
from tuneoff.system.interrupts import Stopped
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint

__all__ = ["load_rows", "train_to_rungs"]  # fixtures

Load = Callable[[str], LanguageModel]
RATE = 1e-3
FULL = {name: METHODS["full"].read({"optimizer": name}) for name in OPTIMIZERS if name in FOR_BLOCKS}
OTHERS = {
    "last-blocks-muon": METHODS["last-blocks"].read({"blocks": 1, "optimizer": "muon"}),
    "last-blocks-adamw-bf16": METHODS["last-blocks"].read({"blocks": 1, "optimizer": "adamw-bf16"}),
    "lora-adamw-8bit": METHODS["lora"].read({"rank": 128, "optimizer": "adamw-8bit"}),  # so that matrices are large
    "lora-plus-lion": METHODS["lora-plus"].read({"optimizer": "lion"}),
    "lora-fa": METHODS["lora-fa"].read({}),
    "lisa": METHODS["lisa"].read({"blocks": 1}),
    "last-layer-adafactor": METHODS["last-layer"].read({"optimizer": "adafactor"}),
}


def skip_without_package(cases: Mapping[str, Method], *marks: Any) -> list[Any]:  # Any: of pytest's own types
    def is_missing(method: Method) -> bool:
        package = OPTIMIZERS[method.optimizer].package
        return package is not None and find_spec(package) is None

    return [
        pytest.param(
            m, id=name, marks=[pytest.mark.skipif(is_missing(m), reason="needs the extra `optimizers`"), *marks]
        )
        for name, m in cases.items()
    ]


for_all = pytest.mark.parametrize("method", skip_without_package(FULL))
for_all_and_others = pytest.mark.parametrize("method", skip_without_package(FULL | OTHERS))


def apply(method: Method, model: LanguageModel) -> LanguageModel:
    torch.manual_seed(2)
    return hold_for_training(method.apply(model), torch.float32)


def create(name: str, model: LanguageModel, rate: float = RATE, decay: float = 0.0) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    return OPTIMIZERS[name].create(model, build_groups([(1.0, trained)], rate, decay))  # type: ignore[index]


def compute_gradients(model: LanguageModel, tokens_BT: Tensor) -> float:
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    has_bf16 = any(p.dtype == torch.bfloat16 for p in model.parameters())
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16):
        loss = model.train()(tokens_BT, torch.ones_like(tokens_BT), scored_BT).mean()
    loss.backward()
    return float(loss.detach())


def take_step(name: str, model: LanguageModel, tokens_BT: Tensor, rate: float) -> dict[str, Tensor]:
    """Return how far each parameter moved in a first step."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = create(name, model, rate)
    compute_gradients(model, tokens_BT)
    optimizer.step()
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


def compare_means(moved: Tensor, expected: Tensor, *, rtol: float, atol: float) -> None:
    """Compare how far weights moved that are rounded at random, each up or down."""
    torch.testing.assert_close(moved.abs().mean(), expected.abs().mean(), rtol=rtol, atol=atol)


@pytest.fixture
def tokens_BT() -> Tensor:
    return torch.randint(2, 320, (3, 11), generator=torch.Generator().manual_seed(1))


@for_all
def test_steps_lower_the_loss_and_move_every_parameter(method: Method, load_tiny: Load, tokens_BT: Tensor) -> None:
    model = apply(method, load_tiny("gpt2"))
    optimizer, losses = create(method.optimizer, model), []
    before = [p.detach().clone() for p in model.parameters()]
    for _ in range(5):
        losses.append(compute_gradients(model, tokens_BT))
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@for_all
def test_a_step_is_as_long_as_the_learning_rate_says(method: Method, load_tiny: Load, tokens_BT: Tensor) -> None:
    """So the schedule is ours: none has steps of its own that grow or fall."""
    short, long = (
        take_step(method.optimizer, apply(method, load_tiny("llama")), tokens_BT, rate) for rate in (RATE, 2 * RATE)
    )
    compare = compare_means if OPTIMIZERS[method.optimizer].needs_bf16 else torch.testing.assert_close
    for moved, twice in zip(short.values(), long.values(), strict=True):
        compare(2 * moved, twice, rtol=1e-2, atol=1e-7)


@for_all
def test_the_default_rates_move_weights_about_as_far_as_adamw_does(
    method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    """AdamW's first step has the length of the rate in each element, and later ones a fifth of it, which Muon has."""
    moved = take_step(method.optimizer, apply(method, load_tiny("llama")), tokens_BT, RATE)
    matrix = moved["network.model.layers.0.mlp.up_proj.weight"]
    assert RATE / 7 < float(matrix.norm() / matrix.numel() ** 0.5) < 1.1 * RATE


@for_all
def test_weight_decay_shrinks_a_weight_without_a_gradient_by_rate_times_decay(method: Method, load_tiny: Load) -> None:
    model = apply(method, load_tiny("llama"))
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = create(method.optimizer, model, rate=0.1, decay=0.5)
    rounding = torch.finfo(torch.bfloat16).eps if OPTIMIZERS[method.optimizer].needs_bf16 else 1e-5
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for a, b in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(b.detach().float(), a * (1 - 0.05), rtol=2 * rounding, atol=1e-7)


@for_all_and_others
def test_the_counted_bytes_are_those_of_the_state(method: Method, load_tiny: Load, tokens_BT: Tensor) -> None:
    model = apply(method, load_tiny("llama"))
    counted = OPTIMIZERS[method.optimizer].count_state_bytes(model)
    optimizer = create(method.optimizer, model)
    compute_gradients(model, tokens_BT)
    optimizer.step()
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in list_tensors(optimizer.state)}
    few = 8 * sum(p.requires_grad for p in model.parameters()) + 2 * 4 * 256  # numbers of steps, and two tables
    assert counted <= sum(storages.values()) <= counted + few


def list_tensors(state: Mapping[Any, Any]) -> Iterator[Tensor]:
    for value in state.values():
        if isinstance(value, Mapping):
            yield from list_tensors(value)
        elif isinstance(value, Tensor):
            yield value


@pytest.mark.parametrize(
    "method",
    [
        *skip_without_package({name: method for name, method in FULL.items() if name != "adamw"}),
        *skip_without_package(OTHERS, pytest.mark.slow),
    ],
)
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_last_bit(
    method: Method, train_to_rungs: TrainToRungs, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    method = type(method).read({**method.model_dump(), "learning_rate": RATE})
    uninterrupted, expected = train_to_rungs(method, (1.0,))
    with pytest.raises(Stopped):
        train_to_rungs(method, (1.0,), stop_at("training", 5), checkpoint_writer=CheckpointWriter(path, "t"))
    torch.randn(7)  # other code draws random numbers in between
    resumed, training = train_to_rungs(method, (1.0,), resume_from=read_checkpoint(path, "t"))
    assert [row.validation_loss for row in training.curve] == [row.validation_loss for row in expected.curve]
    for a, b in zip(uninterrupted.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


@for_all
def test_the_default_learning_rate_is_inside_the_default_range(method: Method) -> None:
    rates: Any = method.default_space["learning_rate"]
    assert rates.low < method.learning_rate < rates.high


def test_lion_has_a_tenth_of_the_learning_rates_of_adamw_and_ten_times_its_decay() -> None:
    adamw, lion = FULL["adamw"], FULL["lion"]
    assert (lion.learning_rate, lion.weight_decay) == (adamw.learning_rate / 10, adamw.weight_decay * 10)
    assert lion.default_space["learning_rate"] == adamw.space["learning_rate"].multiply(0.1)  # type: ignore[union-attr]
    assert lion.default_space["weight_decay"] == (0.0, 0.1, 1.0)


def test_what_a_recipe_sets_is_not_scaled_and_not_scaled_twice() -> None:
    lion = METHODS["full"].read({"optimizer": "lion", "learning_rate": 1e-3})
    assert lion.learning_rate == 1e-3
    assert type(lion).model_validate(FULL["lion"]).weight_decay == FULL["lion"].weight_decay
    assert type(lion).read(lion.model_dump()) == lion


def test_a_method_with_adamw_is_stored_as_before_there_were_others() -> None:
    assert FULL["adamw"].model_dump() == {"learning_rate": 5e-5, "weight_decay": 0.01}


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gpt_neo"])
def test_muon_has_the_hidden_matrices_and_adamw_has_the_rest(architecture: str, load_tiny: Load) -> None:
    model = apply(FULL["muon"], load_tiny(architecture))
    combined: Any = create("muon", model)
    muon, adamw = combined.parts
    names = {id(p): name for name, p in model.named_parameters()}
    hidden, rest = ([names[id(p)] for g in part.param_groups for p in g["params"]] for part in (muon, adamw))
    assert (type(muon), type(adamw)) == (torch.optim.Muon, torch.optim.AdamW)
    assert len(hidden) + len(rest) == len(names)
    assert all(
        word not in name for name in hidden for word in ("norm", "ln_", "bias", "wte", "wpe", "embed", "lm_head")
    )
    assert all(model.get_parameter(name).ndim < 2 or "wte" in name or "wpe" in name or "embed" in name
               or "lm_head" in name for name in rest)  # fmt: skip


@pytest.mark.parametrize(("method", "optimizer"), [("lora", "muon"), ("last-layer", "adamw-8bit"), ("bitfit", "lion")])
def test_an_optimizer_that_is_not_for_a_method_is_refused_with_those_that_are(method: str, optimizer: str) -> None:
    with pytest.raises(RecipeError, match=f"{method} is not trained with {optimizer}. Its optimizers are: adamw"):
        read_method(method, {"optimizer": optimizer})


def test_an_optimizer_for_matrices_is_refused_where_none_is_trained(load_tiny: Load) -> None:
    model = apply(METHODS["layer-norm"].read({}), load_tiny("llama"))
    with pytest.raises(ValueError, match="it trains none of them: write another optimizer"):
        create("muon", model)


def test_an_optimizer_whose_package_is_missing_says_how_to_install_it(
    load_tiny: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.optimizers.optimizer.find_spec", lambda _: None)
    with pytest.raises(
        ValueError, match=r"lion needs the package pytorch_optimizer: pip install 'tuneoff\[optimizers\]'"
    ):
        create("lion", load_tiny("llama"))
    assert create("adafactor", load_tiny("llama"))


def test_a_model_that_muon_has_trained_is_saved_and_loaded(load_tiny: Load, tokens_BT: Tensor, tmp_path: Path) -> None:
    model = apply(FULL["muon"], load_tiny("llama"))
    optimizer = create("muon", model)
    compute_gradients(model, tokens_BT)
    optimizer.step()
    FULL["muon"].save(model, tmp_path)
    loaded = FULL["muon"].load(load_tiny("llama"), tmp_path)
    assert torch.equal(compute_logits(loaded, tokens_BT), compute_logits(model, tokens_BT))


def test_a_search_over_optimizers_is_refused_because_each_has_its_own_rates(recipe: dict[str, Any]) -> None:
    search = {"configurations": 2, "spaces": {"full": {"optimizer": ["adamw", "lion"]}}}
    with pytest.raises(RecipeError, match=r"methods: \{full-lion: \{method: full, optimizer: lion\}\}"):
        Recipe.read(recipe | {"methods": ["base", "full"], "search": search})


def test_a_search_varies_the_rates_of_the_optimizer_unless_the_recipe_fixes_them(recipe: dict[str, Any]) -> None:
    methods = {
        "base": {},
        "a": {"method": "full", "optimizer": "lion"},
        "b": {"method": "full", "optimizer": "lion", "learning_rate": 1e-5},
    }
    read = Recipe.read(recipe | {"methods": methods, "search": {"configurations": 2}})
    assert read.get_space("a") == FULL["lion"].default_space
    assert "learning_rate" not in read.get_space("b")
