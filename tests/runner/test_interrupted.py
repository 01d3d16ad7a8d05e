"""A trial that is asked to stop, anywhere, goes on to the record that it would have had, to the last bit."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

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

WHERE = {"bitfit": "gpt_neo"}  # a Llama has no biases to train
EVERY = {
    **{name: {} for name in METHODS if name not in {"peft", *WHERE}},
    "peft": {"peft_type": "ADALORA"},
    "vera": {"method": "peft", "peft_type": "VERA"},
    "lora-dropout": {"method": "lora", "dropout": 0.5},
}
CLOCKS = {
    "train_seconds", "mean_epoch_seconds", "slowest_epoch_seconds", "evaluation_seconds", "generation_seconds",
    "real_tokens_per_second", "target_tokens_per_second", "training_memory", "evaluation_memory", "inference",
}  # fmt: skip


def without_clocks(record: Record) -> dict[str, Any]:
    """Everything of a record but what a clock or the kernel said."""
    plain = record.model_dump(mode="json", exclude={"costs": CLOCKS})
    plain["curve"] = [row.model_dump(exclude={"train_seconds", "evaluation_seconds"}) for row in record.curve]
    plain["predictions"] = [p.model_dump() for p in record.predictions]
    return plain


class Asking(SilentListener):
    """Asks each trial to stop at a moment of it, the first time that it is there; counts its training steps."""

    def __init__(
        self, stop: StopRequest, at: Callable[[Progress], bool], steps: dict[str, int], asked: set[str]
    ) -> None:
        self._stop, self._at, self.steps, self.asked = stop, at, steps, asked

    def on_trial_start(self, trial: Trial) -> OnProgress:
        def hear(moment: Progress) -> None:
            self.steps[trial.id] = self.steps.get(trial.id, 0) + (moment.phase == "training")
            if trial.id not in self.asked and self._at(moment):
                self.asked.add(trial.id)
                self._stop.request("the test")

        return hear


def run(preparation: Preparation, path: Path, at: Callable[[Progress], bool]) -> tuple[dict[str, Record], Asking]:
    """All trials, each interrupted once at that moment, if it has one; their records by id."""
    steps: dict[str, int] = {}
    asked: set[str] = set()
    directory = RunDirectory(path)
    while True:
        stop = StopRequest()
        listener = Asking(stop, at, steps, asked)
        try:
            run_missing(preparation.recipe, preparation, directory, listener, stop=stop)
        except Stopped:
            continue
        assert not list(path.glob("trials/*/checkpoint*"))
        return {record.trial.id: record for record in directory.read_records()}, listener


def never(_: Progress) -> bool:
    return False


def in_mid_epoch(moment: Progress) -> bool:
    return (moment.phase, moment.epoch, moment.done) == ("training", 2, 2)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneoff.evaluation.latency.REPEATS", 1)
    monkeypatch.setattr("tuneoff.evaluation.latency.NEW_TOKENS", 1)


@pytest.fixture
def small(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {
        "methods": {"lora": {"dropout": 0.5}},
        "training": {"epochs": 2, "batch_size": 2, "schedule": "cosine"},
        "evaluation": {"generation": {"max_new_tokens": 4}, "unrelated_passages": 0},
    }


def same(one: Mapping[str, Record], other: Mapping[str, Record]) -> bool:
    assert one.keys() == other.keys()
    return all(without_clocks(one[id]) == without_clocks(other[id]) for id in one)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("label", [*EVERY, *WHERE])
def test_every_method_goes_on_from_the_middle_of_an_epoch_to_the_same_record(
    label: str, small: dict[str, Any], model_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    small["methods"] = {label: EVERY.get(label, {})}
    small["model"]["name"] = str(model_folder(WHERE.get(label, "llama")))
    preparation = prepare(Recipe.read(small))
    undisturbed, _ = run(preparation, tmp_path / "undisturbed", never)
    resumed, listener = run(preparation, tmp_path / "resumed", in_mid_epoch)
    assert same(undisturbed, resumed)
    (record,), trains = resumed.values(), label != "base"
    assert (record.status, record.reason) == ("done", None)
    assert (len(listener.asked), sum(listener.steps.values())) == ((1, 8) if trains else (0, 0))


@pytest.mark.usefixtures("quick")
def test_a_trial_that_is_stopped_in_its_evaluation_repeats_no_step(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.training.checkpoint.MIN_INTERVAL_WRITES", 0)  # it is always worth writing
    preparation = prepare(Recipe.read(small))
    undisturbed, _ = run(preparation, tmp_path / "undisturbed", never)
    for phase in ("loading", "predictions"):
        resumed, listener = run(preparation, tmp_path / phase, lambda moment, phase=phase: moment.phase == phase)
        assert same(undisturbed, resumed)
        assert (len(listener.asked), sum(listener.steps.values())) == (1, 8)


@pytest.mark.usefixtures("quick")
def test_a_search_goes_on_within_its_rungs(small: dict[str, Any], tmp_path: Path) -> None:
    preparation = prepare(Recipe.read(small | {"search": {"configurations": 2, "rungs": 2}, "seeds": [1]}))
    undisturbed, _ = run(preparation, tmp_path / "undisturbed", never)
    resumed, listener = run(preparation, tmp_path / "resumed", lambda moment: moment.phase == "training")
    assert same(undisturbed, resumed)
    assert set(listener.asked) == set(resumed)
