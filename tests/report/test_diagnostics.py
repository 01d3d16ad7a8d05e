import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.report.synthetic import (
    judge_records,
    judge_with_changes,
    make_curve,
    make_synthetic_data,
    make_synthetic_run,
)
from tests.report.synthetic_search import SEARCHED_METHODS, make_searched_comparison
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.data import DataSummary
from tuneoff.data.statistics import TrainSamples
from tuneoff.records.record import Memory, Record
from tuneoff.report import diagnostics
from tuneoff.report.diagnostics import Diagnosis, diagnose
from tuneoff.runs import Run
from tuneoff.runs.split_use import SplitUse

HEALTHY = ("base", "last-layer", "lora", "soft-prompt", "full")
AT_ONE_RATE = {"base": {}, "lora": {"learning_rate": 5e-3}, "full": {"learning_rate": 5e-3}}


@pytest.fixture(scope="module")
def healthy() -> Run:
    """Two seeds of methods that were trained well enough, so there is nothing to report."""
    return make_synthetic_run(seeds=[0, 1], methods=list(HEALTHY))


def find_diagnoses(comparison: Comparison, kind: str) -> list[Diagnosis]:
    return [diagnosis for diagnosis in diagnose(comparison) if diagnosis.kind == kind]


def with_data(run: Run, data: DataSummary) -> Comparison:
    return judge(replace(run, data=data))


def with_training_memory(run: Run, memory: Memory) -> Comparison:
    return judge_records(
        run,
        [
            r.model_copy(update={"costs": r.costs.model_copy(update={"training_memory": memory})}) if r.costs else r
            for r in run.records
        ],
    )


def with_trials_beside(run: Run, label: str, beside: int) -> Comparison:
    """The run's comparison, where the trials of one label ran beside others."""
    costs = next(r.costs for r in run.records if r.trial.label == label and r.costs)
    return judge_with_changes(run, label, costs=costs.model_copy(update={"beside": beside}))


def with_scores(run: Run, label: str, **scores: float) -> Comparison:
    """The run's comparison with more scores in the records of one label, a double underscore being a slash."""
    named = {name.replace("__", "/"): score for name, score in scores.items()}
    return judge_records(
        run,
        [r.model_copy(update={"scores": {**r.scores, **named}}) if r.trial.label == label else r for r in run.records],
    )


def with_references(run: Run, references: Sequence[str]) -> Comparison:
    """The run's comparison with these references, over and over."""

    def replace_references(record: Record) -> Record:
        answers = [p.model_copy(update={"reference": references[p.row % len(references)]}) for p in record.predictions]
        return record.model_copy(update={"predictions": tuple(answers)})

    return judge_records(run, list(map(replace_references, run.records)))


def echoing_the_base(run: Run, label: str) -> Comparison:
    base = next(r for r in run.records if r.trial.label == "base")
    return judge_with_changes(run, label, predictions=base.predictions)


def judge_samples(overlap: float) -> Comparison:
    """Judge a run of two replicates, with samples that have this share of their examples in common."""
    data = {"source": "aclsum", "max_tokens": 176, "max_target_tokens": 48, "sizes": {"train": 20}}
    run = make_synthetic_run(replicates=2, data=data, methods=list(HEALTHY))
    samples = TrainSamples(fingerprints={1: "a", 2: "b"}, examples=20, pool_examples=50, overlap=overlap)
    return judge(replace(run, data=run.data.model_copy(update={"train_samples": samples})))


def change_test(**changes: Any) -> DataSummary:
    """Synthetic data with changes of the test split."""
    data = make_synthetic_data()
    test = data.splits["test"].model_copy(update=changes)
    return data.model_copy(update={"splits": {**data.splits, "test": test}})


def make_use(runs: int, **changes: Any) -> SplitUse:
    since = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return SplitUse(**{"fingerprint": "f", "trials": 12, "runs": runs, "looks": 9, "since": since, **changes})


def with_validation_losses(run: Run, losses: Sequence[float], **changes: Any) -> Comparison:
    return judge_with_changes(run, "lora", curve=make_curve(losses, [3.0] * len(losses)), **changes)


def with_labels(run: Run, *others: str) -> Comparison:
    """Judge records whose labels are the references of the base model's, without the first one, and `others`."""
    base = next(r for r in run.records if r.trial.label == "base")
    names = [*dict.fromkeys(p.reference for p in base.predictions[1:]), *others]
    labels = [[name, [i]] for i, name in enumerate(names) if name != base.predictions[0].reference or others]
    return judge_records(run, [r.model_copy(update={"facts": {"labels": labels}}) for r in run.records])


CAUSES: dict[str, Callable[[Run], Comparison]] = {
    "sources truncated": lambda run: with_data(run, make_synthetic_data(source_cut_share=0.43)),
    "targets truncated": lambda run: with_data(run, make_synthetic_data(target_cut_share=0.031)),
    "rows excluded": lambda run: with_data(run, make_synthetic_data(left_out=2, left_out_examples=["row 7: no text"])),
    "duplicates removed": lambda run: with_data(run, make_synthetic_data(duplicates_removed=3)),
    "duplicates remain": lambda run: with_data(
        run, make_synthetic_data().model_copy(update={"duplicates": {"validation-test": 2}})
    ),
    "train samples overlap": lambda run: judge_samples(overlap=0.4),
    "labels that are never predicted": with_labels,
    "test split grown": lambda run: replace(judge(run), split_use=make_use(runs=1, related_runs=1)),
    "test split used often": lambda run: replace(judge(run), split_use=make_use(runs=4)),
    "groups kept together": lambda run: with_data(run, make_synthetic_data(groups_removed=4)),
    "equal sources kept together": lambda run: with_data(run, make_synthetic_data(sources_removed=4)),
    "sources shared": lambda run: with_data(
        run, make_synthetic_data().model_copy(update={"shared_sources": {"train-test": 3}})
    ),
    "test examples repeated": lambda run: with_data(run, change_test(repeated=7)),
    "near duplicates": lambda run: with_data(
        run, make_synthetic_data(near_duplicates=2, near_checked=100, near_indexed=10)
    ),
    "prompts equal": lambda run: with_data(run, change_test(distinct_sources=48, distinct_prompts=1)),
    "labels not trained": lambda run: with_data(
        run, make_synthetic_data().model_copy(update={"unseen_labels": ["C#"]})
    ),
    "made elsewhere": lambda run: judge_with_changes(run, "lora", facts={"elsewhere": {"kernels": "AVX2"}}),
    "trials beside each other": lambda run: with_trials_beside(run, "lora", beside=3),
    "one seed": lambda run: judge(make_synthetic_run(methods=list(HEALTHY))),
    "not run yet": lambda run: judge(replace(run, records=[r for r in run.records if r.trial.label != "full"])),
    "shared learning rate": lambda run: judge(make_synthetic_run(seeds=[0, 1], methods=AT_ONE_RATE)),
    "head not separated": lambda run: judge_with_changes(run, "full", facts={"split_head": False}),
    "memory not reset": lambda run: with_training_memory(run, Memory(resident_bytes=1, reset=False)),
    "diverged": lambda run: judge_with_changes(run, "lora", status="diverged", reason="the loss is not finite"),
    "failed": lambda run: judge_with_changes(run, "lora", status="failed", reason="OutOfMemoryError: wanted more"),
    "stopped early": lambda run: judge_with_changes(run, "lora", stopped_early=True),
    "still improving": lambda run: with_validation_losses(run, [3.42, 2.9, 2.8, 2.75, 2.71], best_epoch=4),
    "never improved": lambda run: judge_with_changes(
        run, "lora", curve=make_curve([3.0, 3.9, 3.8, 3.1, 3.6], [3.0] * 5)
    ),
    "no effect": lambda run: echoing_the_base(run, "lora"),
    "forgetting": lambda run: with_scores(
        with_scores(run, "base", unrelated__loss=3.0).run, "full", unrelated__loss=3.25
    ),
    "overfitting": lambda run: with_scores(run, "full", train__loss=1.9, validation__loss=2.68),
    "tied embedding": lambda run: judge_with_changes(run, "last-layer", facts={"tied": True}),
}  # fmt: skip


# Each kind with something close to its cause, about which it must say nothing.
SILENCES: dict[str, Callable[[Run], Comparison]] = {
    "sources truncated": lambda run: with_data(run, make_synthetic_data(target_cut_share=0.1)),
    "targets truncated": lambda run: with_data(run, make_synthetic_data(source_cut_share=0.1)),
    "metric cannot tell references apart": lambda run: with_references(run, ["Yes", "yes ", "no"]),
    "metric cannot read references": lambda run: with_references(run, ["The mayor met a friend in the old café"]),
    "files": lambda run: with_data(run, run.data.model_copy(update={"notes": ()})),
    "rows excluded": lambda run: with_data(run, make_synthetic_data(duplicates_removed=3)),
    "duplicates removed": lambda run: with_data(
        run, make_synthetic_data().model_copy(update={"duplicates": {"train-test": 0}})
    ),
    "duplicates remain": lambda run: with_data(
        run, make_synthetic_data(duplicates_removed=2).model_copy(update={"duplicates": {"train-test": 2}})
    ),
    "groups kept together": lambda run: with_data(run, make_synthetic_data(groups_removed=0)),
    "groups shared": lambda run: with_data(run, make_synthetic_data(groups_removed=4)),
    "equal sources kept together": lambda run: with_data(run, make_synthetic_data(groups_removed=4)),
    "sources shared": lambda run: with_data(
        run, make_synthetic_data(sources_removed=3).model_copy(update={"shared_sources": {"train-test": 3}})
    ),
    "test examples repeated": lambda run: with_data(run, make_synthetic_data(repeated=7)),  # of train
    "near duplicates": lambda run: with_data(run, make_synthetic_data(near_checked=100)),
    "prompts equal": lambda run: with_data(run, change_test(distinct_sources=48, distinct_prompts=48)),
    "labels not trained": lambda run: with_data(run, make_synthetic_data()),
    "train samples overlap": lambda run: judge_samples(overlap=0.05),
    "labels that are never predicted": lambda run: with_labels(run, run.records[0].predictions[0].reference),
    "test split grown": lambda run: replace(judge(run), split_use=make_use(runs=3, trials=500, looks=90)),
    "test split used often": lambda run: replace(judge(run), split_use=make_use(runs=3, trials=500, looks=90)),
    "one seed": judge,
    "not run yet": lambda run: judge_with_changes(run, "full", status="failed", reason="x", predictions=()),
    "shared learning rate": lambda run: judge(
        make_synthetic_run(methods={"base": {}, "lora": {"rank": 4}, "wide": {"method": "lora", "rank": 64}})
    ),
    "head not separated": lambda run: judge_with_changes(run, "full", facts={}),
    "memory not reset": lambda run: with_training_memory(run, Memory(resident_bytes=1, reset=True)),
    "diverged": lambda run: judge_with_changes(run, "lora", status="failed", reason="x"),
    "failed": lambda run: judge_with_changes(run, "lora", status="diverged", reason="x"),
    "stopped early": lambda run: with_validation_losses(run, [3.4, 3.0, 3.1], best_epoch=1),
    # one epoch that made it worse, epochs that end above the start, and a model that did not move
    "still improving": lambda run: with_validation_losses(run, [4.978, 14.054], best_epoch=1),
    "never improved": lambda run: with_validation_losses(run, [4.978, 4.978], best_epoch=1),
    "no effect": lambda run: with_validation_losses(echoing_the_base(run, "lora").run, [3.0, 3.5], best_epoch=1),
    "forgetting": lambda run: with_scores(
        with_scores(run, "base", unrelated__loss=3.0).run, "full", unrelated__loss=3.05
    ),
    "overfitting": lambda run: with_scores(run, "full", train__loss=2.9, validation__loss=2.68),
    "tied embedding": lambda run: judge_with_changes(run, "last-layer", facts={"tied": False}),
    "made elsewhere": lambda run: judge_with_changes(run, "lora", facts={}),
    "trials beside each other": lambda run: with_trials_beside(run, "lora", beside=0),
    "not searched": judge,
    "adaptive sampler": lambda run: make_searched_comparison(configurations=4, sampler="quasi-random"),
    "best rate at edge of range": lambda run: make_searched_comparison(methods={"base": {}, "lora": {}}),
    "range widened": lambda run: make_searched_comparison(methods={"base": {}, "last-layer": {}}),
    "configurations without a score": lambda run: make_searched_comparison(methods={"base": {}, "last-layer": {}}),
    "searched by older rules": lambda run: make_searched_comparison(methods={"base": {}, "lora": {}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", SILENCES)
def test_each_diagnosis_is_silent_about_what_only_resembles_its_cause(healthy: Run, kind: str) -> None:
    assert not find_diagnoses(SILENCES[kind](healthy), kind)


def test_every_diagnosis_has_something_about_which_it_must_be_silent() -> None:
    folder = Path(diagnostics.__file__).parent
    kinds = {kind for file in folder.glob("*.py") for kind in re.findall(r'kind="([^"]+)"', file.read_text())}
    assert not kinds - SILENCES.keys(), "add to SILENCES something that resembles the cause of the new diagnosis"


@pytest.mark.parametrize("losses", [[4.978, 14.054], [3.0, 2.9, 2.95, 3.1], [5.0], [3.0, 4.0, 3.5]])
def test_a_loss_that_did_not_fall_in_the_last_epoch_is_not_still_falling(healthy: Run, losses: list[float]) -> None:
    comparison = with_validation_losses(healthy, losses, best_epoch=len(losses) - 1 or None)
    assert not find_diagnoses(comparison, "still improving")


@pytest.mark.parametrize("losses", [[4.9, 4.9], [4.9, 14.0], [4.9, 4.0]])
def test_no_trial_is_told_both_to_raise_and_to_lower_its_learning_rate(healthy: Run, losses: list[float]) -> None:
    comparison = with_validation_losses(echoing_the_base(healthy, "lora").run, losses, best_epoch=1)
    texts = " ".join(diagnosis.text for diagnosis in diagnose(comparison) if diagnosis.label == "lora")
    assert not ("Raise the learning rate" in texts and "Lower the learning rate" in texts)


def test_a_healthy_run_has_no_diagnosis(healthy: Run) -> None:
    assert diagnose(judge(healthy)) == ()


@pytest.mark.parametrize("kind", CAUSES)
def test_each_cause_is_named_and_nothing_else(healthy: Run, kind: str) -> None:
    assert {diagnosis.kind for diagnosis in diagnose(CAUSES[kind](healthy))} == {kind}


def test_a_test_split_is_used_often_from_the_run_on_where_a_false_difference_is_no_surprise(healthy: Run) -> None:
    assert not diagnose(replace(judge(healthy), split_use=make_use(runs=3)))
    (often,) = diagnose(replace(judge(healthy), split_use=make_use(runs=6)))
    assert often.text.startswith("This test split was scored by 12 trials in 6 runs on this machine since 2026-11-20. ")
    assert "at least one of 6 does with a chance of up to 30.0 %" in often.text


def test_samples_that_share_few_examples_need_no_diagnosis() -> None:
    assert not diagnose(judge_samples(overlap=0.05))
    (overlap,) = diagnose(judge_samples(overlap=0.36))
    assert "share 36.0 % of their examples on average, because there are only 50 to draw from" in overlap.text
    assert "about 80.0 % of what it is between samples without a common example" in overlap.text


def test_truncation_is_reported_per_split_with_the_limit_and_its_key(healthy: Run) -> None:
    (truncated,) = find_diagnoses(CAUSES["sources truncated"](healthy), "sources truncated")
    assert "limit of 176 tokens" in truncated.text
    assert "43.0 % of train" in truncated.text
    assert "validation" not in truncated.text
    assert "data.max_tokens" in truncated.text


def test_an_early_stop_names_its_epoch_and_the_epoch_whose_weights_were_kept(healthy: Run) -> None:
    stopped, _ = find_diagnoses(CAUSES["stopped early"](healthy), "stopped early")
    assert "after epoch 4 of 4" in stopped.text
    assert "did not improve for 1 epoch" in stopped.text
    assert "weights of epoch 3" in stopped.text


def test_a_divergence_is_reported_with_its_reason_and_its_rate(healthy: Run) -> None:
    diverged, _ = find_diagnoses(CAUSES["diverged"](healthy), "diverged")
    assert diverged.label == "lora"
    assert "The loss is not finite" in diverged.text
    assert "(now 5e-4)" in diverged.text


def test_seeds_are_named_where_there_are_several(healthy: Run) -> None:
    texts = [diagnosis.text for diagnosis in find_diagnoses(CAUSES["failed"](healthy), "failed")]
    assert [text.partition(":")[0] for text in texts] == ["Seed 0", "Seed 1"]


def test_several_seeds_that_were_still_improving_are_one_diagnosis(healthy: Run) -> None:
    (improving,) = find_diagnoses(CAUSES["still improving"](healthy), "still improving")
    assert improving.text.startswith("Seeds 0 and 1: The validation loss was still falling")
    assert "on average in the last epoch" in improving.text


def test_one_rate_for_two_labels_of_one_method_is_not_reported() -> None:
    methods = {"base": {}, "lora": {"rank": 4}, "wide": {"method": "lora", "rank": 64}}
    assert not find_diagnoses(judge(make_synthetic_run(methods=methods)), "shared learning rate")


def test_one_seed_says_which_and_how_to_add_more() -> None:
    (once,) = find_diagnoses(judge(make_synthetic_run(methods=["base", "lora"])), "one seed")
    assert "(seed 0)" in once.text
    assert "seeds=[0, 1, 2]" in once.text


def test_a_seed_that_is_still_missing_is_run_and_not_added(healthy: Run) -> None:
    half = judge_records(healthy, [r for r in healthy.records if r.trial.seed == 0])
    (once,) = find_diagnoses(half, "one seed")
    assert "finish the other seeds" in once.text


def test_without_the_base_model_no_effect_is_not_reported(healthy: Run) -> None:
    comparison = echoing_the_base(healthy, "lora")
    alone = judge_records(comparison.run, [r for r in comparison.run.records if r.trial.label != "base"])
    assert not find_diagnoses(alone, "no effect")


def test_forgetting_is_reported_relative_to_the_base_model(healthy: Run) -> None:
    (forgetting,) = find_diagnoses(CAUSES["forgetting"](healthy), "forgetting")
    assert "3.250 nats per token, the base model's 3.000" in forgetting.text


def test_a_little_forgetting_is_not_reported(healthy: Run) -> None:
    base_known = with_scores(healthy, "base", unrelated__loss=3.0)
    assert diagnose(with_scores(base_known.run, "full", unrelated__loss=3.05)) == ()


@pytest.fixture(scope="module")
def searched() -> Comparison:
    """Every kind of search: an ordinary one, two with a diverged configuration, one whose range was widened."""
    return make_searched_comparison()


def test_an_ordinary_search_has_no_diagnosis(searched: Comparison) -> None:
    assert [diagnosis.kind for diagnosis in diagnose(searched) if diagnosis.label == "last-layer"] == []


def test_a_widened_range_is_reported_with_both_ranges_and_how_to_search_all_of_it(searched: Comparison) -> None:
    (widened,) = find_diagnoses(searched, "range widened")
    assert widened.label == "soft-prompt"
    assert "1e-3 to 0.3, so 3 of 12 configurations" in widened.text
    assert "search.spaces.soft-prompt.learning_rate={low: 1.0e-03, high: 7.4e+00}" in widened.text


def test_configurations_without_a_score_are_counted_with_their_lowest_rate(searched: Comparison) -> None:
    lora, full = find_diagnoses(searched, "configurations without a score")
    assert (lora.label, full.label) == ("lora", "full")
    assert lora.text.startswith("1 of 12 configurations diverged, at learning rates from 2.42e-3 up.")


def test_a_best_rate_at_the_edge_is_reported_with_the_range_to_search_next() -> None:
    spaces = {"lora": {"learning_rate": {"low": 1e-6, "high": 1e-4}}}
    comparison = make_searched_comparison(methods={"base": {}, "lora": {}}, widen=False, spaces=spaces)
    (edge,) = find_diagnoses(comparison, "best rate at edge of range")
    assert "is the highest that was trained as long, so a better one may lie beyond it" in edge.text
    assert "search.spaces.lora.learning_rate={low: 1.0e-06, high: 1.0e-03}" in edge.text


def test_a_suggested_range_is_one_that_yaml_reads_as_numbers(searched: Comparison) -> None:
    (widened,) = find_diagnoses(searched, "range widened")
    _, _, value = widened.text.rstrip(".").partition("learning_rate=")
    assert yaml.safe_load(value) == {"low": 0.001, "high": 7.4}


def test_a_search_in_which_all_diverged_chose_nothing() -> None:
    spaces = {"lora": {"learning_rate": {"low": 1.0, "high": 10.0}}}
    comparison = make_searched_comparison(methods={"base": {}, "full": {}, "lora": {}}, spaces=spaces)
    (unscored,) = [d for d in find_diagnoses(comparison, "configurations without a score") if d.label == "lora"]
    assert "No configuration was chosen, so the method was not confirmed" in unscored.text
    assert not find_diagnoses(comparison, "not run yet")


def test_a_method_that_was_not_searched_among_others_that_were_is_named() -> None:
    fixed = {"method": "last-layer", "learning_rate": 1e-3}
    comparison = make_searched_comparison(methods={**SEARCHED_METHODS, "fixed": fixed}, configurations=4)
    (left_out,) = find_diagnoses(comparison, "not searched")
    assert left_out.text.startswith("fixed was trained with the hyperparameters of the recipe")


def test_an_adaptive_sampler_is_reported_with_one_that_allows_curves_by_budget() -> None:
    comparison = make_searched_comparison(methods={"base": {}, "lora": {}}, configurations=4, sampler="tpe")
    (adaptive,) = find_diagnoses(comparison, "adaptive sampler")
    assert "search.sampler=quasi-random" in adaptive.text


def test_an_equal_rate_that_searches_chose_is_not_reported(searched: Comparison) -> None:
    assert not find_diagnoses(searched, "shared learning rate")
