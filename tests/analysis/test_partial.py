"""The verdict on an unfinished comparison."""

from dataclasses import replace

import pytest

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.report.sentences import describe_verdict
from tuneoff.runs import Run

METHODS = ["base", "lora", "full", "soft-prompt"]


def judge_partial(*confirmed: tuple[str, int], seeds: tuple[int, ...] = (1, 2, 3)) -> Comparison:
    """Judge a run that has only these confirmed trials, by label and seed, and the base model."""
    run = make_complete_run(seeds)
    records = [r for r in run.records if (r.trial.label, r.trial.seed) in {("base", 0), *confirmed}]
    return judge(replace(run, records=tuple(records)))


def make_complete_run(seeds: tuple[int, ...]) -> Run:
    """A run with every trial of its recipe. The base model has one seed, whatever the recipe's seeds."""
    run = make_synthetic_run(methods=METHODS, seeds=list(seeds))
    base_seed = {"base": run.recipe.get_seeds("base")[0]}
    trials = {
        id(r): r.trial.model_copy(update={"seed": base_seed.get(r.trial.label, r.trial.seed)}) for r in run.records
    }
    return replace(run, records=tuple(r.model_copy(update={"trial": trials[id(r)]}) for r in run.records))


def list_seeds(comparison: Comparison) -> dict[str, list[int]]:
    return {row.label: [record.trial.seed for record in row.records] for row in comparison.rows}


def test_a_complete_comparison_is_not_partial() -> None:
    run = make_complete_run((1, 2))
    assert judge(run).partial is None
    assert not describe_verdict(judge(run)).headline.startswith("Partial")


def test_methods_are_compared_on_the_seeds_that_all_of_them_have() -> None:
    comparison = judge_partial(("lora", 1), ("lora", 2), ("full", 1), ("full", 2), ("soft-prompt", 1))
    assert list_seeds(comparison) == {"base": [0], "lora": [1], "full": [1], "soft-prompt": [1]}
    assert comparison.partial is not None
    assert (comparison.partial.seeds, comparison.partial.waiting) == ((1,), {"lora": 1, "full": 1})
    text = " ".join(describe_verdict(comparison).details)
    assert "It uses only seed 1 of 1, 2 and 3" in text
    assert "Set aside until the other methods have the same seeds: 1 trial of lora and 1 trial of full." in text


def test_a_method_without_a_trial_is_listed_as_untried() -> None:
    comparison = judge_partial(("lora", 1), ("full", 1))
    assert "soft-prompt" not in list_seeds(comparison)
    assert comparison.partial is not None
    assert comparison.partial.untried == ("soft-prompt",)
    assert "soft-prompt has no test score yet, so nothing can be said about it." in describe_verdict(comparison).details


def test_the_first_sentence_says_that_the_verdict_is_partial_and_whether_methods_are_missing() -> None:
    three = judge_partial(("lora", 1), ("full", 1), ("soft-prompt", 1))
    assert describe_verdict(three).headline.startswith("Partial result: ")
    assert describe_verdict(judge_partial(("lora", 1), ("full", 1))).headline.startswith(
        "Partial result for the methods scored so far: "
    )


def test_a_failed_trial_is_not_missing() -> None:
    run = make_complete_run((1,))
    broken = [
        r.model_copy(update={"status": "failed", "predictions": ()}) if r.trial.label == "full" else r
        for r in run.records
    ]
    assert judge(replace(run, records=tuple(broken))).partial is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_a_shared_seed_all_trials_count(seed: int) -> None:
    comparison = judge_partial(("lora", seed), ("full", seed % 3 + 1))
    assert list_seeds(comparison)["lora"] == [seed]
    assert comparison.partial is not None
    assert comparison.partial.waiting == {}
