"""A trial that is stopped anywhere and resumed has the record of an undisturbed one, to the last bit."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.runner.recorded_runs import dump_reproducible, read_records_by_id
from tuneoff.methods import METHODS
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import SilentListener
from tuneoff.runner.local_engine import run_missing
from tuneoff.runner.prepare import Preparation, prepare
from tuneoff.runs import RunDirectory
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.interrupts import Stopped, StopRequest

pytestmark = pytest.mark.usefixtures("quick_inference")

ARCHITECTURES = {"bitfit": "gpt_neo"}  # a Llama has no biases to train
METHOD_OPTIONS = {
    **{n: {} for n, m in METHODS.items() if (m.trains or m.is_base) and n not in {"peft", *ARCHITECTURES}},
    "peft": {"peft_type": "ADALORA"},
    "vera": {"method": "peft", "peft_type": "VERA"},
    "lora-dropout": {"method": "lora", "dropout": 0.5},
}


class StoppingListener(SilentListener):
    """Stops each trial at the first progress event that `stops_at` accepts, once, and counts its training steps."""

    def __init__(
        self, stop: StopRequest, stops_at: Callable[[Progress], bool], steps: dict[str, int], stopped: set[str]
    ) -> None:
        self._stop, self._stops_at, self.steps, self.stopped = stop, stops_at, steps, stopped

    def on_trial_start(self, trial: Trial) -> OnProgress:
        def on_progress(progress: Progress) -> None:
            self.steps[trial.id] = self.steps.get(trial.id, 0) + bool(progress.phase == "training" and progress.done)
            if trial.id not in self.stopped and self._stops_at(progress):
                self.stopped.add(trial.id)
                self._stop.request("the test")

        return on_progress


def run_with_stops(
    preparation: Preparation, path: Path, stops_at: Callable[[Progress], bool]
) -> tuple[dict[str, Record], StoppingListener]:
    """Run all trials, stopping each once, and return their records by id."""
    steps: dict[str, int] = {}
    stopped: set[str] = set()
    directory = RunDirectory(path)
    while True:
        stop = StopRequest()
        listener = StoppingListener(stop, stops_at, steps, stopped)
        try:
            run_missing(preparation.recipe, preparation, directory, listener, stop=stop)
        except Stopped:
            continue
        assert not list(path.glob("trials/*/checkpoint*"))
        return read_records_by_id(path), listener


def never(_: Progress) -> bool:
    return False


def is_in_mid_epoch(progress: Progress) -> bool:
    return (progress.phase, progress.epoch, progress.done) == ("training", 2, 2)


@pytest.fixture
def small_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {
        "methods": {"lora": {"dropout": 0.5}},
        "training": {"epochs": 2, "batch_size": 2, "schedule": "cosine"},
        "evaluation": {"generation": {"max_new_tokens": 4}, "unrelated_passages": 0},
    }


def are_equal(records: Mapping[str, Record], others: Mapping[str, Record]) -> bool:
    assert records.keys() == others.keys()
    return all(dump_reproducible(records[id]) == dump_reproducible(others[id]) for id in records)


def read_weights(run: Path) -> dict[str, bytes]:
    """Every file that is handed over, config and tokenizer included."""
    files = [file for folder in run.glob("trials/*/adapter") for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


@pytest.mark.slow
@pytest.mark.parametrize("label", [*METHOD_OPTIONS, *ARCHITECTURES])
def test_every_method_resumes_in_the_middle_of_an_epoch_to_the_same_record(
    label: str, small_recipe: dict[str, Any], model_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    small_recipe["methods"] = {label: METHOD_OPTIONS.get(label, {})}
    small_recipe["model"]["name"] = str(model_folder(ARCHITECTURES.get(label, "llama")))
    preparation = prepare(Recipe.read(small_recipe))
    undisturbed, _ = run_with_stops(preparation, tmp_path / "undisturbed", never)
    resumed, listener = run_with_stops(preparation, tmp_path / "resumed", is_in_mid_epoch)
    assert are_equal(undisturbed, resumed)
    assert read_weights(tmp_path / "undisturbed") == read_weights(tmp_path / "resumed")
    (record,), trains = resumed.values(), label != "base"
    assert (record.status, record.reason) == ("done", None)
    assert (len(listener.stopped), sum(listener.steps.values())) == ((1, 8) if trains else (0, 0))
    assert bool(read_weights(tmp_path / "resumed")) is trains


@pytest.mark.slow
def test_a_trial_that_is_stopped_before_or_after_training_repeats_no_step(
    small_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.training.checkpoint.MIN_INTERVAL_WRITES", 0)  # a checkpoint is always due
    preparation = prepare(Recipe.read(small_recipe))
    undisturbed, _ = run_with_stops(preparation, tmp_path / "undisturbed", never)
    for phase in ("loading", "predictions"):
        resumed, listener = run_with_stops(
            preparation, tmp_path / phase, lambda progress, phase=phase: progress.phase == phase
        )
        assert are_equal(undisturbed, resumed)
        assert (len(listener.stopped), sum(listener.steps.values())) == (1, 8)


@pytest.mark.slow
def test_a_search_resumes_within_its_rungs(small_recipe: dict[str, Any], tmp_path: Path) -> None:
    preparation = prepare(Recipe.read(small_recipe | {"search": {"configurations": 2, "rungs": 2}, "seeds": [1]}))
    undisturbed, _ = run_with_stops(preparation, tmp_path / "undisturbed", never)
    resumed, listener = run_with_stops(preparation, tmp_path / "resumed", lambda progress: progress.phase == "training")
    assert are_equal(undisturbed, resumed)
    assert set(listener.stopped) == set(resumed)
