"""The page says what a verdict is about, and how often its test split was used."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.report.synthetic import judge_records, make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.data.statistics import TrainSamples
from tuneoff.report.population import describe_population
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.setting import list_setting_facts
from tuneoff.runs.split_use import SplitUse

METHODS = ["base", "lora", "full"]
SAMPLED = {"data": {"source": "aclsum", "sizes": {"train": 20}}, "replicates": 3}


def judge_replicates(overlap: float = 0.0, pool_examples: int | None = None, **changes: Any) -> Comparison:
    """Judge a run in which each replicate has a sample of its own."""
    run = make_synthetic_run(methods=METHODS, **SAMPLED, **changes)
    fingerprints = {seed: f"sample {seed}" for seed in run.recipe.seeds}
    samples = TrainSamples(fingerprints=fingerprints, examples=20, pool_examples=pool_examples, overlap=overlap)
    run = replace(run, data=run.data.model_copy(update={"train_samples": samples}))
    sampled = [
        r if r.trial.label == "base" else r.model_copy(
            update={"trial": r.trial.model_copy(update={"train_sample": fingerprints[r.trial.seed]})}
        )
        for r in run.records
    ]  # fmt: skip
    return judge_records(run, sampled)


def list_facts(comparison: Comparison) -> dict[str, str]:
    return {fact.title: f"{fact.value}; {fact.detail}" for fact in list_setting_facts(comparison)}


def test_one_seed_speaks_of_the_trained_models() -> None:
    comparison = judge(make_synthetic_run(methods=METHODS, seeds=[0]))
    assert describe_population(comparison) == "these trained models and not yet about the methods"


def test_several_seeds_speak_of_the_methods_on_the_train_split() -> None:
    comparison = judge(make_synthetic_run(methods=METHODS, seeds=[0, 1]))
    assert describe_population(comparison) == "the methods on this train split, over seeds"


def test_replicates_speak_of_the_methods_on_train_samples() -> None:
    comparison = judge_replicates()
    assert describe_population(comparison) == "the methods on train samples of 20 examples like these"
    assert "3 replicates per method, so the result is about the methods on train" in " ".join(
        describe_verdict(comparison).details
    )


def test_a_single_method_with_one_finished_trial_makes_it_about_the_models() -> None:
    """A difference to that method may be its one training's luck."""
    run = make_synthetic_run(methods=METHODS, seeds=[0, 1])
    few = [r for r in run.records if (r.trial.label, r.trial.seed) != ("full", 1)]
    failed = next(r for r in run.records if (r.trial.label, r.trial.seed) == ("full", 1))
    comparison = judge_records(run, [*few, failed.model_copy(update={"status": "failed", "predictions": ()})])
    assert describe_population(comparison) == "these trained models and not yet about the methods"


@pytest.mark.parametrize(
    ("overlap", "pool", "described"),
    [
        (0.0, None, "; no two share an example"),
        (0.25, 80, ", drawn from 80; two of them share 25.0 % of their examples on average"),
    ],
)
def test_the_setting_says_how_samples_were_drawn(overlap: float, pool: int | None, described: str) -> None:
    facts = list_facts(judge_replicates(overlap, pool))
    assert facts["Replicates"].startswith("1, 2 and 3")
    assert facts["Train samples"].startswith(f"3 train samples of 20 examples{described}; each replicate has")
    assert "Seeds" not in facts


def test_the_setting_says_how_often_the_test_split_was_used() -> None:
    comparison = judge(make_synthetic_run(methods=METHODS, seeds=[0, 1]))
    use = SplitUse(fingerprint="f", trials=12, runs=3, looks=5, since=datetime(2026, 11, 20, tzinfo=UTC))
    assert list_facts(replace(comparison, split_use=use))["Test split"] == (
        "scored by 12 trials in 3 runs; on this machine since 2026-11-20, compared 5 times; fingerprint f"
    )
    unread = replace(use, problem="the ledger cannot be used")
    assert "The count may be too low: the ledger" in list_facts(replace(comparison, split_use=unread))["Test split"]
    assert "Test split" not in list_facts(comparison)
