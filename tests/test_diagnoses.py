from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.report.synthetic import altered, made_up_curve, synthetic_data, synthetic_run, with_records
from tuneoff.comparison import Comparison, judge
from tuneoff.data import DataSummary
from tuneoff.diagnoses import Diagnosis, diagnose
from tuneoff.runs import Run
from tuneoff.trial import Memory

HEALTHY = ("base", "last-layer", "lora", "soft-prompt", "full")
AT_ONE_RATE = {"base": {}, "lora": {"learning_rate": 5e-3}, "full": {"learning_rate": 5e-3}}


@pytest.fixture(scope="module")
def healthy() -> Run:
    """Two seeds of methods that were trained well enough: nothing to say."""
    return synthetic_run(seeds=[0, 1], methods=list(HEALTHY))


def found(comparison: Comparison, kind: str) -> list[Diagnosis]:
    return [diagnosis for diagnosis in diagnose(comparison) if diagnosis.kind == kind]


def with_data(run: Run, data: DataSummary) -> Comparison:
    return judge(replace(run, data=data))


def with_training_memory(run: Run, memory: Memory) -> Comparison:
    return with_records(
        run,
        [
            r.model_copy(update={"costs": r.costs.model_copy(update={"training_memory": memory})}) if r.costs else r
            for r in run.records
        ],
    )


def echoing_the_base(run: Run, label: str) -> Comparison:
    base = next(r for r in run.records if r.trial.label == "base")
    return altered(run, label, predictions=base.predictions)


CAUSES: dict[str, Callable[[Run], Comparison]] = {
    "sources cut": lambda run: with_data(run, synthetic_data(source_cut_share=0.43)),
    "targets cut": lambda run: with_data(run, synthetic_data(target_cut_share=0.031)),
    "rows left out": lambda run: with_data(run, synthetic_data(left_out=2, left_out_examples=["row 7: no text"])),
    "duplicates removed": lambda run: with_data(run, synthetic_data(duplicates_removed=3)),
    "duplicates remain": lambda run: with_data(
        run, synthetic_data().model_copy(update={"duplicates": {"validation-test": 2}})
    ),
    "one seed": lambda run: judge(synthetic_run(methods=list(HEALTHY))),
    "not run yet": lambda run: with_records(run, [r for r in run.records if r.trial.label != "full"]),
    "shared learning rate": lambda run: judge(synthetic_run(seeds=[0, 1], methods=AT_ONE_RATE)),
    "head not split": lambda run: altered(run, "full", facts={"split_head": False}),
    "memory not reset": lambda run: with_training_memory(run, Memory(resident_bytes=1, reset=False)),
    "diverged": lambda run: altered(run, "lora", status="diverged", reason="the loss is not finite"),
    "failed": lambda run: altered(run, "lora", status="failed", reason="OutOfMemoryError: wanted more"),
    "stopped early": lambda run: altered(run, "lora", stopped_early=True),
    "still improving": lambda run: altered(run, "lora", best_epoch=4),
    "never improved": lambda run: altered(run, "lora", curve=made_up_curve([3.0, 3.9, 3.8, 3.1, 3.6], [3.0] * 5)),
    "without effect": lambda run: echoing_the_base(run, "lora"),
    "tied embedding": lambda run: altered(run, "last-layer", facts={"tied": True}),
}  # fmt: skip


def test_a_healthy_run_needs_no_word(healthy: Run) -> None:
    assert diagnose(judge(healthy)) == ()


@pytest.mark.parametrize("kind", CAUSES)
def test_each_cause_is_named_and_nothing_else(healthy: Run, kind: str) -> None:
    assert {diagnosis.kind for diagnosis in diagnose(CAUSES[kind](healthy))} == {kind}


def test_a_cut_is_said_per_split_with_the_limit_and_its_key(healthy: Run) -> None:
    (cut,) = found(CAUSES["sources cut"](healthy), "sources cut")
    assert "limit of 176 tokens" in cut.text
    assert "43.0 % of train" in cut.text
    assert "validation" not in cut.text
    assert "data.max_tokens" in cut.text


def test_an_early_stop_says_after_which_epoch_and_whose_weights_were_kept(healthy: Run) -> None:
    stopped, _ = found(CAUSES["stopped early"](healthy), "stopped early")
    assert "after epoch 4 of 4" in stopped.text
    assert "1 epoch brought no better validation loss" in stopped.text
    assert "weights of epoch 3" in stopped.text


def test_a_divergence_comes_with_its_reason_and_its_rate(healthy: Run) -> None:
    diverged, _ = found(CAUSES["diverged"](healthy), "diverged")
    assert diverged.label == "lora"
    assert "The loss is not finite" in diverged.text
    assert "now 5e-4" in diverged.text


def test_seeds_are_told_apart_where_there_are_several(healthy: Run) -> None:
    texts = [diagnosis.text for diagnosis in found(CAUSES["failed"](healthy), "failed")]
    assert [text.partition(":")[0] for text in texts] == ["Seed 0", "Seed 1"]


def test_one_rate_for_two_labels_of_one_method_is_nobodys_mistake() -> None:
    methods = {"base": {}, "lora": {"rank": 4}, "wide": {"method": "lora", "rank": 64}}
    assert not found(judge(synthetic_run(methods=methods)), "shared learning rate")


def test_one_seed_says_which_and_how_to_add_more() -> None:
    (once,) = found(judge(synthetic_run(methods=["base", "lora"])), "one seed")
    assert "(seed 0)" in once.text
    assert "seeds=[0, 1, 2]" in once.text


def test_a_seed_that_is_still_missing_is_run_and_not_added(healthy: Run) -> None:
    half = with_records(healthy, [r for r in healthy.records if r.trial.seed == 0])
    (once,) = found(half, "one seed")
    assert "finish the other seeds" in once.text


def test_without_the_untouched_model_no_effect_can_be_missed(healthy: Run) -> None:
    comparison = echoing_the_base(healthy, "lora")
    alone = with_records(comparison.run, [r for r in comparison.run.records if r.trial.label != "base"])
    assert not found(alone, "without effect")
