"""The learning rate of a last try."""

import pytest

from tuneoff.search.next_rate import choose_next_rate, find_edge
from tuneoff.search.parabola import RatePoint, fit_parabola


def make_points(*pairs: tuple[float, float | None]) -> list[RatePoint]:
    return [RatePoint(log_rate=log_rate, loss=loss) for log_rate, loss in pairs]


def parabola(vertex: float, *log_rates: float) -> list[RatePoint]:
    return make_points(*((log_rate, 3 + 0.3 * (log_rate - vertex) ** 2) for log_rate in log_rates))


def test_the_vertex_of_a_parabola_is_found_exactly() -> None:
    fitted = fit_parabola(parabola(-3.2, -4, -3.5, -3))
    assert fitted is not None
    assert (fitted.vertex, fitted.curvature) == (pytest.approx(-3.2), pytest.approx(0.3))


def test_points_with_other_hyperparameters_have_a_height_of_their_own() -> None:
    others = [RatePoint(log_rate=x, loss=5 + 0.3 * (x + 3.2) ** 2, others="rank 64") for x in (-4.0, -3.0)]
    fitted = fit_parabola([*parabola(-3.2, -4, -3.4), *others])
    assert fitted is not None
    assert fitted.vertex == pytest.approx(-3.2)


def test_a_point_on_a_wall_does_not_move_the_vertex() -> None:
    wall = make_points((-2.0, 9.0))
    fitted = fit_parabola([*parabola(-3.2, -4, -3.5, -3, -2.8), *wall])
    assert fitted is not None
    assert fitted.vertex == pytest.approx(-3.2, abs=0.05)


@pytest.mark.parametrize(
    "points",
    [
        parabola(-3, -4, -3),  # two rates
        make_points((-4, 1.0), (-3, 2.0), (-2, 1.0)),  # opens downwards
        make_points((-4, 1.0), (-3, 1.0), (-2, 1.0)),  # flat
        make_points((-4, None), (-3, None), (-2, None)),
    ],
)
def test_there_is_no_vertex_without_three_rates_that_show_one(points: list[RatePoint]) -> None:
    assert fit_parabola(points) is None


def test_the_next_rate_is_the_vertex_inside_the_rates_tried() -> None:
    assert choose_next_rate(parabola(-3.2, -4, -3.5, -3)) == pytest.approx(-3.2)


@pytest.mark.parametrize(("vertex", "expected"), [(-6.0, -4.5), (0.0, -2.5)])
def test_a_best_rate_at_the_edge_is_passed_by_half_a_decade(vertex: float, expected: float) -> None:
    assert choose_next_rate(parabola(vertex, -4, -3.5, -3)) == pytest.approx(expected)


def test_a_range_that_must_not_be_widened_is_searched_up_to_its_end() -> None:
    assert choose_next_rate(parabola(0.0, -4, -3.5, -3), (-4.5, -2.8)) == -2.8
    assert choose_next_rate(parabola(0.0, -4, -3.5, -3), (-4.5, -3)) == -3.25


def test_a_rate_that_diverged_bounds_the_best_from_above() -> None:
    points = [*parabola(0.0, -3.9, -3.5), RatePoint(log_rate=-3, loss=None)]
    assert choose_next_rate(points) == -3.25
    assert find_edge(points, -3.5) is None


def test_a_vertex_that_was_tried_gives_way_to_the_wider_gap_next_to_the_best() -> None:
    assert choose_next_rate(parabola(-3.5, -4.5, -3.5, -3)) == -4


def test_where_everything_diverged_the_next_rate_is_lower() -> None:
    assert choose_next_rate(make_points((-3, None), (-2, None))) == -3.5


def test_equal_losses_are_a_tie_that_the_first_wins() -> None:
    assert choose_next_rate(make_points((-4, 1.0), (-3, 1.0), (-2, 1.0))) == -4.5


def test_other_hyperparameters_are_no_neighbours() -> None:
    points = [*parabola(-3, -3), RatePoint(log_rate=-2.5, loss=9.0, others="rank 64")]
    assert choose_next_rate(points) == -2.5


def test_without_points_there_is_nothing_to_choose() -> None:
    assert choose_next_rate([]) is None
    assert find_edge([], -3) is None
