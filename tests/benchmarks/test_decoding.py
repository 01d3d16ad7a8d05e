"""The counting behind what drafts and continuous batches would save, on cases worked by hand."""

import pytest

from benchmarks.decoding import cost_of_batches, cost_of_continuous, cost_of_drafts, find_draft, simulate_drafts


def count_tokens(rows: int, new: int) -> float:
    """A pass that costs as much as it has new tokens."""
    return rows * new


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, 2, 3, 9, 1, 2], [3, 9, 1]),  # the longest match, of two tokens
        ([5, 2, 7, 1, 2, 8, 2], [8, 2]),  # the last place of two
        ([4, 4, 4], [4]),  # a repeated token
        ([1, 2, 3], []),
        ([1], []),
    ],
)
def test_a_draft_is_what_followed_the_last_tokens_before(tokens: list[int], expected: list[int]) -> None:
    assert find_draft(tokens, size=3) == expected


def test_an_answer_that_copies_its_prompt_needs_few_passes_and_another_one_as_many_as_tokens() -> None:
    prompt = [1, 2, 3, 4, 5, 6, 7]
    copied, other = simulate_drafts([prompt, prompt], [[2, 3, 4, 5, 6, 0], [10, 11, 12]], draft=3)
    assert copied == [(0, 1), (3, 4), (0, 1)]
    assert other == [(0, 1)] * 3


def test_every_token_of_an_answer_becomes_known_once() -> None:
    prompt, answer = [1, 2, 1, 3, 1, 2], [1, 2, 1, 1, 2, 1, 3, 0]
    (passes,) = simulate_drafts([prompt], [answer], draft=4)
    assert sum(known for _, known in passes) == len(answer)


def test_rows_are_removed_once_a_quarter_is_finished() -> None:
    assert cost_of_batches([1, 2, 2, 2], 4, count_tokens) == 4 + 3
    assert cost_of_batches([1, 2, 2, 2, 2], 5, count_tokens) == 5 + 5
    assert cost_of_batches([1, 3], 1, count_tokens) == 1 + 3


def test_a_continuous_batch_is_full_until_no_prompt_is_left() -> None:
    sizes: list[int] = []
    cost_of_continuous([1, 3, 2, 1], 2, lambda rows, _: sizes.append(rows) or 1.0)
    assert sizes == [2, 2, 2, 1]


def test_a_pass_is_as_wide_as_its_longest_draft() -> None:
    passes = [[(0, 1), (3, 4)], [(1, 2)]]
    assert cost_of_drafts(passes, 2, 3, count_tokens) == 2 * 2 + 1 * 4
