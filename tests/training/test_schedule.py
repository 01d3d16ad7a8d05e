"""The learning rate is a pure function of the step, and no step is wasted on a rate of zero."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from transformers import get_scheduler

from tuneoff.training.schedule import Schedule

KINDS = ("constant", "linear", "cosine")


def list_factors(kind: str, warmup: float, steps: int) -> list[float]:
    schedule = Schedule(kind=kind, warmup=warmup, total_steps=steps)
    return [schedule.compute_factor(step) for step in range(steps)]


@pytest.mark.parametrize(
    ("kind", "warmup", "steps"), list(itertools.product(KINDS, (0.0, 0.1, 0.5, 0.99), range(1, 41)))
)
def test_every_step_has_a_rate_above_zero_and_one_step_has_the_highest(kind: str, warmup: float, steps: int) -> None:
    factors = list_factors(kind, warmup, steps)
    assert min(factors) > 0
    assert max(factors) == 1


@pytest.mark.parametrize(
    ("kind", "warmup", "expected"),
    [
        ("constant", 0.0, ([1], [1, 1], [1, 1, 1])),
        ("constant", 0.1, ([1], [1, 1], [1, 1, 1])),
        ("constant", 0.9, ([1], [1 / 2, 1], [1 / 3, 2 / 3, 1])),
        ("linear", 0.0, ([1], [1, 1 / 2], [1, 2 / 3, 1 / 3])),
        ("linear", 0.1, ([1], [1, 1], [1, 1, 1 / 2])),
        ("linear", 0.9, ([1], [1 / 2, 1], [1 / 3, 2 / 3, 1])),
        ("cosine", 0.0, ([1], [1, 1 / 2], [1, 3 / 4, 1 / 4])),
        ("cosine", 0.1, ([1], [1, 1], [1, 1, 1 / 2])),
        ("cosine", 0.9, ([1], [1 / 2, 1], [1 / 3, 2 / 3, 1])),
    ],
)
def test_trainings_of_one_two_and_three_steps(kind: str, warmup: float, expected: tuple[list[float], ...]) -> None:
    assert [list_factors(kind, warmup, steps) for steps in (1, 2, 3)] == [
        pytest.approx(of_steps) for of_steps in expected
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_without_warm_up_the_rates_are_those_of_transformers(kind: str) -> None:
    assert list_factors(kind, 0.0, 30) == pytest.approx(list(list_rates_of_transformers(kind, 30)))


def list_rates_of_transformers(kind: str, steps: int) -> Iterator[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_scheduler(kind, optimizer, num_warmup_steps=0, num_training_steps=steps)
    for _ in range(steps):
        yield schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
