"""What can be said of a comparison that was not finished."""

from dataclasses import replace

import pytest

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.report.sentences import describe_verdict
from tuneoff.runs import Run

METHODS = ["base", "lora", "full", "soft-prompt"]


def half(*there: tuple[str, int], seeds: tuple[int, ...] = (1, 2, 3)) -> Comparison:
    """Confirmed trials by label and seed, of three seeds of each method; and the untouched model."""
    run = whole(seeds)
    records = [r for r in run.records if (r.trial.label, r.trial.seed) in {("base", 0), *there}]
    return judge(replace(run, records=tuple(records)))


def whole(seeds: tuple[int, ...]) -> Run:
    """All of it; the untouched model has the one seed that it always has."""
    run = make_synthetic_run(methods=METHODS, seeds=list(seeds))
    one = {"base": run.recipe.get_seeds("base")[0]}
    trials = {id(r): r.trial.model_copy(update={"seed": one.get(r.trial.label, r.trial.seed)}) for r in run.records}
    return replace(run, records=tuple(r.model_copy(update={"trial": trials[id(r)]}) for r in run.records))


def seeds_judged(comparison: Comparison) -> dict[str, list[int]]:
    return {row.label: [record.trial.seed for record in row.records] for row in comparison.rows}


def test_a_whole_comparison_is_not_partial() -> None:
    run = whole((1, 2))
    assert judge(run).partial is None
    assert not describe_verdict(judge(run))[0].startswith("Partial")


def test_methods_are_judged_by_the_seeds_that_all_of_them_have() -> None:
    found = half(("lora", 1), ("lora", 2), ("full", 1), ("full", 2), ("soft-prompt", 1))
    assert seeds_judged(found) == {"base": [0], "lora": [1], "full": [1], "soft-prompt": [1]}
    assert found.partial is not None
    assert (found.partial.seeds, found.partial.waiting) == ((1,), {"lora": 1, "full": 1})
    text = " ".join(describe_verdict(found))
    assert "It uses only seed 1 of 1, 2 and 3" in text
    assert "Set aside until the other methods have the same seeds: 1 trial of lora and 1 trial of full." in text


def test_nothing_is_said_of_a_method_without_a_trial() -> None:
    found = half(("lora", 1), ("full", 1))
    assert "soft-prompt" not in seeds_judged(found)
    assert found.partial is not None
    assert found.partial.untried == ("soft-prompt",)
    assert "soft-prompt has no trial yet, so nothing can be said about it." in describe_verdict(found)


def test_the_first_sentence_says_that_it_is_partial_and_among_whom_it_judges() -> None:
    three = half(("lora", 1), ("full", 1), ("soft-prompt", 1))
    assert describe_verdict(three)[0].startswith("Partial result: ")
    assert describe_verdict(half(("lora", 1), ("full", 1)))[0].startswith(
        "Partial result for the methods tried so far: "
    )


def test_what_a_failed_trial_leaves_out_is_not_missing() -> None:
    run = whole((1,))
    broken = [
        r.model_copy(update={"status": "failed", "predictions": ()}) if r.trial.label == "full" else r
        for r in run.records
    ]
    assert judge(replace(run, records=tuple(broken))).partial is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_a_seed_in_common_nothing_is_set_aside(seed: int) -> None:
    found = half(("lora", seed), ("full", seed % 3 + 1))
    assert seeds_judged(found)["lora"] == [seed]
    assert found.partial is not None
    assert found.partial.waiting == {}
