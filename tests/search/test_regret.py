"""The estimate of what a better rate could gain is an upper one."""

import math

import pytest

from tuneoff.search.parabola import RatePoint
from tuneoff.search.regret import Noise, estimate_noise, estimate_regret

QUIET = Noise(deviation=0.0, freedom=4)


def make_points(loss_of: dict[float, float | None]) -> list[RatePoint]:
    return [RatePoint(log_rate=log_rate, loss=loss) for log_rate, loss in loss_of.items()]


def estimate(loss_of: dict[float, float | None], chosen: float, noise: Noise = QUIET) -> float | None:
    points = make_points(loss_of)
    return estimate_regret(points, next(p for p in points if p.log_rate == chosen), noise)


@pytest.mark.parametrize("vertex", [-3.4, -3.0, -2.8])
@pytest.mark.parametrize("cubic", [-0.5, 0.0, 0.5])
def test_it_is_at_least_what_the_best_rate_would_gain(vertex: float, cubic: float) -> None:
    def lose(x: float) -> float:
        return 0.3 * (x - vertex) ** 2 * (1 + cubic * (x - vertex))

    losses: dict[float, float | None] = {x: lose(x) for x in (-3.5, -3.0, -2.5)}
    chosen = min((-3.5, -3.0, -2.5), key=lose)
    estimated = estimate(losses, chosen)
    assert estimated is not None
    assert lose(chosen) <= estimated < 0.15


def test_closer_rates_leave_less_to_gain() -> None:
    wide = estimate({-4: 0.3, -3: 0.0, -2: 0.3}, -3)
    close = estimate({-3.3: 0.027, -3: 0.0, -2.7: 0.027}, -3)
    assert wide is not None
    assert close is not None
    assert close < wide / 5


def test_noise_raises_it() -> None:
    losses: dict[float, float | None] = {-3.3: 0.027, -3: 0.0, -2.7: 0.027}
    quiet, noisy = estimate(losses, -3), estimate(losses, -3, Noise(deviation=0.01, freedom=2))
    assert quiet is not None
    assert noisy is not None
    assert noisy > 2 * quiet


def test_at_the_edge_the_last_slope_goes_on_for_half_a_decade() -> None:
    assert estimate({-4: 0.3, -3: 0.0}, -3) == pytest.approx(0.15)


def test_a_rate_that_diverged_ends_the_slope() -> None:
    assert estimate({-4: 0.3, -3: 0.0, -2.8: None}, -3) == pytest.approx(0.06)


def test_one_rate_alone_says_nothing() -> None:
    assert estimate({-3: 0.0}, -3) is None
    assert estimate({-3: 0.0, -2: None}, -3) is None


def test_equal_losses_leave_only_the_noise() -> None:
    assert estimate({-3.5: 1.0, -3: 1.0, -2.5: 1.0}, -3) == 0.0


def test_the_noise_is_free_of_what_seeds_and_configurations_share() -> None:
    assert estimate_noise([((3.0, 3.1), (4.0, 4.1))]) == Noise(deviation=pytest.approx(0.0, abs=1e-12), freedom=1)
    noise = estimate_noise([((3.0, 3.0), (4.0, 4.2)), ((3.0, 3.0), (4.0, 3.8))])
    assert noise == Noise(deviation=pytest.approx(0.1), freedom=2)
    assert estimate_noise([]) is None
    assert math.isfinite(estimate({-3.5: 1.0, -3: 0.9, -2.5: 1.0}, -3, noise) or math.nan)
