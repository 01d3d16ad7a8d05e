"""AdamW on weights in bf16 does on average what PyTorch's AdamW does in float32."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tuneoff
from tests.methods.training import compute_logits
from tuneoff.errors import RecipeError
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_inference, hold_for_training
from tuneoff.optimizers import OPTIMIZERS, build_groups
from tuneoff.optimizers.rounded_adamw import CHUNK, RoundedAdamW, round_at_random

BF16 = torch.bfloat16
FULL = METHODS["full"].read({"optimizer": "adamw-bf16"})


def draw_bits(count: int) -> Tensor:
    return torch.empty(count, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]


def train(gradients: list[Tensor], start: Tensor, rate: float, decay: float = 0.0) -> tuple[Any, Any]:
    """Return the weights and the second moments after steps in bf16, and after the same in float32."""
    torch.manual_seed(0)
    results = []
    for dtype, optimizer_class in ((BF16, RoundedAdamW), (torch.float32, torch.optim.AdamW)):
        weights = nn.Parameter(start.to(dtype, copy=True))
        groups: Any = [{"params": [weights], "lr": rate, "weight_decay": decay}]
        optimizer: Any = optimizer_class(groups)
        for gradient in gradients:
            weights.grad = gradient.to(dtype)
            optimizer.step()
        results.append((weights.detach().float(), optimizer.state[weights]["exp_avg_sq"].float()))
    return results[0], results[1]


@pytest.mark.parametrize("value", [1.0, -1.0, 3.1e-3, -2.2e-30, 1e-39, 250.7])
def test_a_number_is_rounded_up_or_down_and_to_itself_on_average(value: float) -> None:
    torch.manual_seed(0)
    exact = torch.full((40_000,), value)
    rounded = torch.empty_like(exact, dtype=BF16)
    round_at_random(rounded, exact, draw_bits(len(exact)))
    resolution = float((exact.view(torch.int32) + 2**16).view(torch.float32)[0].abs() - abs(value))
    assert float((rounded.float() - exact).abs().max()) <= resolution
    assert abs(float(rounded.double().mean()) - value) < resolution / 40
    if value == float(torch.tensor(value, dtype=BF16)):
        assert (rounded == value).all()


def test_what_is_no_finite_number_stays_so() -> None:
    exact = torch.tensor([torch.inf, -torch.inf, torch.nan]).repeat(1000)
    rounded = torch.empty_like(exact, dtype=BF16)
    round_at_random(rounded, exact, draw_bits(len(exact)))
    assert torch.equal(rounded.isnan(), exact.isnan())
    assert torch.equal(rounded[~rounded.isnan()].float(), exact[~exact.isnan()])


def test_updates_far_below_the_resolution_add_up() -> None:
    """Rounded to the nearest, no weight would move at all: each update is a thousandth of the resolution."""
    start = torch.full((4096,), 0.75)
    (weights, _), (expected, _) = train([torch.ones(4096)] * 300, start, rate=4e-6)
    assert not torch.equal(start + 4e-6, start)
    assert torch.equal((start + 4e-6).to(BF16), start.to(BF16))
    moved, should = float((weights - start).mean()), float((expected - start).mean())
    assert should == pytest.approx(-300 * 4e-6, rel=1e-2)
    assert moved == pytest.approx(should, rel=0.1)


def test_weight_decay_below_the_resolution_adds_up() -> None:
    start = torch.full((4096,), 0.75)
    (weights, _), (expected, _) = train([torch.zeros(4096)] * 300, start, rate=1e-3, decay=0.01)
    assert float((weights - start).mean()) == pytest.approx(float((expected - start).mean()), rel=0.1)


def test_the_second_moment_falls_as_gradients_become_smaller() -> None:
    """Rounded to the nearest, it would stay where it is: it falls by a thousandth in a step."""
    generator = torch.Generator().manual_seed(1)
    gradients = [torch.randn(4096, generator=generator) * (1.0 if n < 300 else 1e-2) for n in range(1300)]
    (_, second), (_, expected) = train(gradients, torch.zeros(4096), rate=1e-4)
    assert float(second.mean()) == pytest.approx(float(expected.mean()), rel=0.02)


def test_steps_are_those_of_adamw_within_the_resolution_also_across_chunks() -> None:
    generator = torch.Generator().manual_seed(2)
    shape = (3, CHUNK // 2)  # the second chunk is cut in the middle of a row
    start = torch.randn(shape, generator=generator).to(BF16).float()
    gradients = [torch.randn(shape, generator=generator).to(BF16).float() for _ in range(3)]
    (weights, _), (expected, _) = train(gradients, start, rate=0.1, decay=0.01)
    torch.testing.assert_close(weights, expected, rtol=3 * torch.finfo(BF16).eps, atol=0.02)
    assert abs(float((weights - expected).mean())) < 1e-4


def test_hidden_matrices_are_held_in_bf16_and_the_rest_in_float32(load_tiny: Callable[[str], LanguageModel]) -> None:
    model = hold_for_training(FULL.apply(load_tiny("llama")), BF16)
    OPTIMIZERS["adamw-bf16"].create(model, build_groups(FULL.parameter_groups(model), 1e-3, 0.0))
    types = {name: parameter.dtype for name, parameter in model.named_parameters()}
    assert {t for name, t in types.items() if "_proj" in name} == {BF16}
    assert {t for name, t in types.items() if "_proj" not in name} == {torch.float32}


def test_a_training_learns_what_it_learns_with_adamw(load_tiny: Callable[[str], LanguageModel]) -> None:
    tokens_BT = torch.randint(2, 320, (4, 12), generator=torch.Generator().manual_seed(1))
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    losses = {}
    for name in ("adamw", "adamw-bf16"):
        torch.manual_seed(0)
        model = hold_for_training(FULL.apply(load_tiny("llama")), BF16)
        optimizer = OPTIMIZERS[name].create(model, build_groups(FULL.parameter_groups(model), 3e-3, 0.0))  # type: ignore[index]
        for _ in range(60):
            with torch.autocast("cpu", BF16):
                loss = model.train()(tokens_BT, torch.ones_like(tokens_BT), scored_BT).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        losses[name] = float(loss.detach())
    assert losses["adamw-bf16"] == pytest.approx(losses["adamw"], rel=0.1)


def test_a_model_is_saved_and_loaded(load_tiny: Callable[[str], LanguageModel], tmp_path: Path) -> None:
    tokens_BT = torch.randint(2, 320, (3, 11), generator=torch.Generator().manual_seed(1))
    model = hold_for_training(FULL.apply(load_tiny("llama")), BF16)
    OPTIMIZERS["adamw-bf16"].create(model, build_groups(FULL.parameter_groups(model), 1e-3, 0.0))
    FULL.save(model, tmp_path)
    loaded = hold_for_inference(FULL.load(load_tiny("llama"), tmp_path), torch.float32)
    expected = compute_logits(hold_for_inference(model, torch.float32), tokens_BT)
    assert torch.equal(compute_logits(loaded, tokens_BT), expected)


def test_products_in_float32_are_refused_before_anything_runs(recipe: dict[str, Any]) -> None:
    methods = {"base": {}, "full": {"optimizer": "adamw-bf16"}}
    with pytest.raises(RecipeError, match=r"holds weights in bf16, .* in float32: write model.precision: bf16"):
        tuneoff.plan(recipe | {"methods": methods}, "model.precision=float32")
    assert not tuneoff.plan(recipe | {"methods": methods}, "model.precision=bf16").misfits
