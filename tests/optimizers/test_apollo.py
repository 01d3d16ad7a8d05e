"""APOLLO against the algorithm of the paper, written out for one matrix."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tuneoff.optimizers import projected_moments
from tuneoff.optimizers.projected_moments import GROWTH, ProjectedMoments, choose_rank

RATE, BETA1, BETA2, EPS = 1e-2, 0.9, 0.999, 1e-8


def make_gradients(rows: int, columns: int, number: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(rows, columns, generator=generator) for _ in range(number)]


def take_steps(optimizer: torch.optim.Optimizer, matrix: nn.Parameter, gradients: list[Tensor]) -> list[Tensor]:
    """Return how far each step moved the matrix."""
    moved = []
    for gradient in gradients:
        before = matrix.detach().clone()
        matrix.grad = gradient.clone()
        optimizer.step()
        moved.append(matrix.detach() - before)
    return moved


def create(rows: int, columns: int, seed: int = 0) -> tuple[ProjectedMoments, nn.Parameter]:
    matrix = nn.Parameter(torch.zeros(rows, columns))
    return ProjectedMoments([{"params": [matrix], "lr": RATE, "weight_decay": 0.0}], seed), matrix


@pytest.mark.parametrize(("rows", "columns"), [(8, 12), (12, 8)])
def test_steps_are_those_of_the_paper(rows: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    projection_RM = torch.randn(2, 8, generator=torch.Generator().manual_seed(5)) / 2**0.5
    monkeypatch.setattr(projected_moments, "_draw_projection", lambda *_: projection_RM)
    gradients = make_gradients(rows, columns)
    moved = take_steps(*create(rows, columns), gradients)
    first = second = torch.zeros(2, 12)
    norm = torch.tensor(torch.inf)
    for step, (gradient, found) in enumerate(zip(gradients, moved, strict=True), start=1):
        gradient_MN = gradient if rows < columns else gradient.T
        projected_RN = projection_RM @ gradient_MN
        first = BETA1 * first + (1 - BETA1) * projected_RN
        second = BETA2 * second + (1 - BETA2) * projected_RN**2
        adapted_RN = first / (1 - BETA1**step) / ((second / (1 - BETA2**step)).sqrt() + EPS)
        update_MN = gradient_MN * (adapted_RN.norm(dim=0) / projected_RN.norm(dim=0))
        update_MN *= min(1.0, float(GROWTH * norm / update_MN.norm()))
        norm = update_MN.norm()
        expected = -RATE * update_MN
        torch.testing.assert_close(found, expected if rows < columns else expected.T, rtol=1e-4, atol=1e-6)


def test_an_update_has_the_rank_of_the_gradient_and_not_that_of_the_projection() -> None:
    optimizer, matrix = create(16, 16)
    (moved,) = take_steps(optimizer, matrix, make_gradients(16, 16, 1))
    assert int(torch.linalg.matrix_rank(moved)) == 16
    assert choose_rank(matrix) == 4


def test_the_projection_depends_on_seed_place_and_period_and_draws_no_shared_random_number() -> None:
    gradients = make_gradients(16, 16, 2)
    before = torch.get_rng_state()
    same, again, other = (take_steps(*create(16, 16, seed), gradients) for seed in (0, 0, 1))
    assert torch.equal(same[1], again[1])
    assert not torch.equal(same[1], other[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_another_projection_comes_after_the_period_also_when_resumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(projected_moments, "PERIOD", 2)
    draw, keys = projected_moments._draw_projection, list[str]()
    monkeypatch.setattr(projected_moments, "_draw_projection", lambda g, key: (keys.append(key), draw(g, key))[1])
    gradients = make_gradients(16, 16, 5)
    optimizer, matrix = create(16, 16)
    moved = take_steps(optimizer, matrix, gradients)
    assert [key.split(", ")[-1] for key in keys] == ["0", "0", "1", "1", "2"]
    first, half = create(16, 16)
    take_steps(first, half, gradients[:3])
    resumed, rest = create(16, 16, seed=9)
    resumed.load_state_dict(first.state_dict())
    for a, b in zip(take_steps(resumed, rest, gradients[3:]), moved[3:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)  # of another weight, so rounded differently
