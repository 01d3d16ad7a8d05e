"""Replicates: each trial of a method has a train sample of its own, the same for all methods."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener
from tests.samples import make_recipe, make_setting
from tuneoff.analysis.comparison import judge
from tuneoff.console.plan import print_plan
from tuneoff.data.statistics import TrainSamples
from tuneoff.errors import RunError, UnequalSettingsError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial, compute_id
from tuneoff.report.sentences import describe_verdict
from tuneoff.runner import trial as trial_module
from tuneoff.runner.plan import plan_trials
from tuneoff.training.spec import TrainingSpec

SAMPLES = TrainSamples(fingerprints={1: "a" * 16, 2: "b" * 16}, examples=10, pool_examples=None, overlap=0.0)


def make_replicated_recipe(**changes: Any) -> Recipe:
    written = {"name": "r", "model": {"name": "m"}, "data": {"source": "aclsum", "sizes": {"train": 10}}}
    return Recipe.read({**written, "methods": ["base", "lora", "full"], "replicates": 2, **changes})


def list_samples(trials: Any) -> list[tuple[str, int, str | None]]:
    return [(trial.label, trial.seed, trial.train_sample) for trial in trials]


def test_all_methods_have_the_same_sample_under_one_replicate_and_the_base_model_has_none() -> None:
    assert list_samples(plan_trials(make_replicated_recipe(), make_setting(), {}, SAMPLES)) == [
        ("base", 0, None),
        ("lora", 1, "a" * 16), ("full", 1, "a" * 16),
        ("lora", 2, "b" * 16), ("full", 2, "b" * 16),
    ]  # fmt: skip


def test_a_search_uses_the_train_split() -> None:
    trials = plan_trials(make_replicated_recipe(search={"configurations": 4}), make_setting(), {}, SAMPLES)
    assert {trial.train_sample for trial in trials if trial.stage == "search"} == {None}


def test_a_replicate_whose_sample_is_not_known_is_refused() -> None:
    with pytest.raises(RunError, match="The train sample of replicate 3 is not known"):
        plan_trials(make_replicated_recipe(replicates=3), make_setting(), {}, SAMPLES)


def test_a_trial_on_the_train_split_keeps_the_id_that_it_had_before_there_were_samples() -> None:
    plain, *_ = plan_trials(make_recipe(["lora"]), make_setting(), {})
    fields = plain.model_dump(mode="json")
    assert "train_sample" not in fields
    assert compute_id(fields) == plain.id != plain.model_copy(update={"train_sample": "a"}).id
    assert Trial.model_validate(fields) == plain


def test_a_trial_on_a_sample_is_read_as_it_was_written() -> None:
    plain, *_ = plan_trials(make_recipe(["lora"]), make_setting(), {})
    sampled = plain.model_copy(update={"train_sample": "a" * 16})
    stored = json.loads(Record(trial=sampled, status="failed", reason="x").model_dump_json())
    assert Record.model_validate(stored).trial == sampled
    assert compute_id(stored["trial"]) == sampled.id


@pytest.fixture
def replicated(recipe: dict[str, Any]) -> dict[str, Any]:
    """Seven rows for train, out of which samples of three are drawn."""
    return recipe | {
        "data": recipe["data"] | {"sizes": {"train": 3, "validation": 2, "test": 3}},
        "methods": ["base", "lora", "last-layer"],
        "replicates": 2,
        "training": {"epochs": 1, "batch_size": 2},
    }


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The train texts of each training, and those of each evaluation of the train loss, in their order."""
    texts: list[tuple[str, ...]] = []
    train, score = trial_module.train, trial_module.compute_train_and_unrelated_scores

    def spy_on_training(model: Any, spec: TrainingSpec, *rest: Any, **named: Any) -> Any:
        texts.append(tuple(spec.text.train["source"]))
        return train(model, spec, *rest, **named)

    def spy_on_scores(model: Any, text: Any, *rest: Any) -> Any:
        texts.append(tuple(text.train["source"]))
        return score(model, text, *rest)

    monkeypatch.setattr(trial_module, "train", spy_on_training)
    monkeypatch.setattr(trial_module, "compute_train_and_unrelated_scores", spy_on_scores)
    return texts


@pytest.mark.usefixtures("quick_comparisons")
def test_each_replicate_trains_on_its_sample_and_is_scored_on_it(
    replicated: dict[str, Any], tmp_path: Path, trained_on: list[tuple[str, ...]]
) -> None:
    listener = RecordingListener()
    comparison = tuneoff.compare(replicated, run=tmp_path / "run", listener=listener)
    trials = [record.trial for record in listener.ended]
    pairs = zip(trained_on[::2], trained_on[1::2], strict=True)
    samples = dict(zip([(t.label, t.seed) for t in trials], pairs, strict=True))
    assert all(trained == scored for trained, scored in samples.values())
    assert samples["lora", 1] == samples["last-layer", 1] != samples["lora", 2] == samples["last-layer", 2]
    losses = {(r.trial.label, r.trial.seed): r.scores["train/loss"] for r in comparison.run.records}
    assert losses["lora", 1] != losses["lora", 2]
    assert {len(r.finished) for r in comparison.rows if not r.is_base} == {2}
    sentences = " ".join(describe_verdict(comparison).details)
    assert "2 replicates per method, so the result is about the methods on train samples of 3 examples" in sentences


@pytest.mark.usefixtures("quick_comparisons")
def test_replicates_can_be_added_to_a_run_and_finished_ones_are_kept(
    replicated: dict[str, Any], tmp_path: Path
) -> None:
    run, listener = tmp_path / "run", RecordingListener()
    tuneoff.compare(replicated, run=run)
    comparison = tuneoff.compare(replicated, "replicates=3", run=run, listener=listener)
    assert [(record.trial.label, record.trial.seed) for record in listener.ended] == [("lora", 3), ("last-layer", 3)]
    assert {len(row.finished) for row in comparison.rows if not row.is_base} == {3}
    assert tuneoff.load(run, "lora", seed=3).generate(["The mayor said"])


@pytest.mark.usefixtures("quick_comparisons")
def test_trials_on_a_sample_whose_text_has_changed_run_again(
    replicated: dict[str, Any], text_file: Path, tmp_path: Path, trained_on: list[tuple[str, ...]]
) -> None:
    run, listener = tmp_path / "run", RecordingListener()
    methods = "methods=[lora]"
    tuneoff.compare(replicated, methods, run=run)
    only_in_second = next(text for text in trained_on[2] if text not in trained_on[0])
    rows = [json.loads(line) for line in text_file.read_text().splitlines()]
    edited = [row | {"target": "Edited."} if row["source"] == only_in_second else row for row in rows]
    text_file.write_text("".join(json.dumps(row) + "\n" for row in edited))
    comparison = tuneoff.compare(replicated, methods, run=run, listener=listener)
    assert [record.trial.seed for record in listener.ended] == [2]
    assert len(comparison.run.records) == 2


@pytest.mark.usefixtures("quick_comparisons")
def test_trials_of_one_seed_on_different_samples_are_not_ranked_together(
    replicated: dict[str, Any], tmp_path: Path
) -> None:
    run = tuneoff.compare(replicated, "methods=[lora]", run=tmp_path / "run").run
    first, *rest = run.records
    other = first.model_copy(update={"trial": first.trial.model_copy(update={"label": "x", "train_sample": None})})
    with pytest.raises(UnequalSettingsError, match="seed 1 were trained on different train samples"):
        judge(replace(run, records=(first, *rest, other)))


@pytest.mark.usefixtures("quick_comparisons")
def test_a_sweep_over_the_size_of_train_draws_samples_of_each_size(
    replicated: dict[str, Any], tmp_path: Path, trained_on: list[tuple[str, ...]]
) -> None:
    sweep = {"parameter": "data.sizes.train", "values": [2, 3]}
    result = tuneoff.sweep(replicated | {"methods": ["lora"], "sweep": sweep}, run=tmp_path / "run")
    assert [len(texts) for texts in trained_on[::2]] == [2, 2, 3, 3]
    assert [len(point.row.finished) for point in result.lines["lora"]] == [2, 2]


@pytest.mark.model
def test_the_plan_says_how_the_samples_are_drawn(
    replicated: dict[str, Any], model_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    print_plan(tuneoff.plan(replicated), "tiny")
    out = " ".join(capsys.readouterr().out.split())
    assert "2 train samples of 3 examples, drawn from 7; " in out
    assert "confirm and test, replicates 1, 2" in out
