"""Win rates from votes."""

from collections.abc import Sequence

import pytest

from tuneoff.analysis.preferences import summarize_votes
from tuneoff.records.vote import Vote

ARMS = ("base", "lora", "full")


def vote(chosen: str | None, prompt: str = "p", shown: Sequence[str] = ARMS) -> Vote:
    return Vote(time="", prompt=prompt, answers=dict.fromkeys(shown, "text"), chosen=chosen)


def test_a_vote_is_a_win_over_each_other_answer_and_no_comparison_of_these() -> None:
    found = summarize_votes([vote("lora")], ARMS, 0.95)
    assert {arm: (p.wins, p.ties, p.losses) for arm, p in found.items()} == {
        "lora": (2, 0, 0), "base": (0, 0, 1), "full": (0, 0, 1),
    }  # fmt: skip


def test_chance_is_one_half_however_many_answers_are_shown() -> None:
    """Each of three is chosen once: two wins and two losses."""
    found = summarize_votes([vote(arm, prompt=arm) for arm in ARMS], ARMS, 0.95)
    assert [p.win_rate.mean for p in found.values()] == pytest.approx([0.5, 0.5, 0.5])


def test_a_tie_is_half_a_win() -> None:
    found = summarize_votes([vote(None, shown=("base", "lora"))], ARMS, 0.95)
    assert [(p.win_rate.mean, p.ties) for p in found.values()] == [(0.5, 1), (0.5, 1)]


def test_one_vote_shows_nothing() -> None:
    rate = summarize_votes([vote("lora", shown=("base", "lora"))], ARMS, 0.95)["lora"].win_rate
    assert (rate.mean, rate.low, rate.high) == (1.0, 0.0, 1.0)


def test_votes_that_all_agree_still_leave_doubt_that_shrinks_with_prompts() -> None:
    few, many = (
        summarize_votes([vote("lora", str(k), ("base", "lora")) for k in range(count)], ARMS, 0.95)["lora"].win_rate
        for count in (8, 80)
    )
    assert few.low < many.low < 1.0 == many.high


def test_voting_again_on_the_same_prompt_narrows_nothing() -> None:
    """Otherwise one person who repeats one question would decide."""
    once = [vote(chosen, str(k), ("base", "lora")) for k, chosen in enumerate(["lora", "lora", "base", "lora"])]
    first, again = (summarize_votes(votes, ARMS, 0.95)["lora"].win_rate for votes in (once, once * 5))
    assert (again.low, again.high) == pytest.approx((first.low, first.high))


def test_the_most_preferred_comes_first_and_methods_without_a_vote_are_left_out() -> None:
    votes = [vote("lora", str(k), ("base", "lora")) for k in range(3)]
    assert list(summarize_votes(votes, ARMS, 0.95)) == ["lora", "base"]


def test_an_answer_of_an_arm_that_is_no_method_of_the_run_decides_nothing() -> None:
    assert not summarize_votes([vote("added", shown=("base", "added"))], ARMS, 0.95)
    found = summarize_votes([vote("added")], ["base", "lora"], 0.95)
    assert not found
