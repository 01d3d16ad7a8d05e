"""Shares of padding, on cases worked by hand."""

import pytest

from benchmarks.padding import compute_padding, draw_lengths, list_reading_batches, measure_training


def test_padding_is_what_fills_a_batch_to_its_longest_row() -> None:
    assert compute_padding([4, 2, 3], [[0, 1], [2]]) == pytest.approx(2 / 11)
    assert compute_padding([5, 5], [[0, 1]]) == 0


def test_grouped_lengths_have_less_padding_than_lengths_in_order() -> None:
    lengths = draw_lengths(180, 400, 200)
    assert (
        measure_training(lengths, 4) < compute_padding(lengths, [list(range(n, n + 4)) for n in range(0, 200, 4)]) / 2
    )


def test_drawn_lengths_have_the_median_and_the_90th_percentile_that_were_asked_for() -> None:
    lengths = sorted(draw_lengths(180, 400, 20_000))
    assert lengths[10_000] == pytest.approx(180, rel=0.03)
    assert lengths[18_000] == pytest.approx(400, rel=0.03)


def test_prompts_are_read_sixteen_at_a_time_the_longest_first() -> None:
    parts = list_reading_batches(list(range(70)))
    assert [len(part) for part in parts] == [16, 16, 16, 16, 6]
    assert parts[0][0] == 69
