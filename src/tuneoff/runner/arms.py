"""Several models of a run, asked the same question."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.errors import RunError
from tuneoff.records.record import Prediction, Record
from tuneoff.runner.trained_model import TrainedModel, choose_trial, load_trained_model
from tuneoff.runs import RunDirectory

if TYPE_CHECKING:
    from tuneoff.data.example import Row

SHARE_OF_MEMORY = 0.5  # of what is available, up to which loaded models are kept for the next question


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one model wrote."""

    label: str
    text: str
    seconds: float | None = None  # to write it, without loading the model; None: it was written in the run


class Arms:
    """The models of some trials. Each is loaded when it is first asked, and kept if the memory is enough for all."""

    def __init__(self, directory: RunDirectory, records: Sequence[Record]) -> None:
        self.records = tuple(records)
        self._directory = directory
        self._loaded: dict[str, TrainedModel] = {}

    def ask(self, question: str | Row | Sequence[Row], *, max_new_tokens: int | None = None) -> Iterator[Answer]:
        """Yield the answer of each model, as soon as it is written.

        Raises:
            DataError, RecipeError: as for `TrainedModel.generate`.
            ModelError, RunError: a model cannot be loaded.
        """
        for record in self.records:
            model = self._load(record)
            start = time.perf_counter()
            (text,) = model.generate([question], max_new_tokens=max_new_tokens)
            yield Answer(label=record.trial.label, text=text, seconds=time.perf_counter() - start)

    def _load(self, record: Record) -> TrainedModel:
        if record.trial.id in self._loaded:
            return self._loaded[record.trial.id]
        model = load_trained_model(self._directory, record)
        if self._has_space_for(model):
            self._loaded[record.trial.id] = model
        return model

    def _has_space_for(self, model: TrainedModel) -> bool:
        """Return whether the models that are not loaded yet fit too, if all are as large as this one."""
        import psutil

        size = sum(parameter.nbytes for parameter in model.language_model.parameters())
        others = len(self.records) - len(self._loaded) - 1
        return bool(size * others <= SHARE_OF_MEMORY * psutil.virtual_memory().available)


def choose_loadable(records: Sequence[Record], labels: Sequence[str] | None, ranked: Sequence[str]) -> list[Record]:
    """Return the record of each method's lowest seed that finished.

    Args:
        labels: the methods, as the recipe labels them; None: all whose models can be loaded.
        ranked: the labels of a comparison, in the order to show them.

    Raises:
        RunError: there is no such method, or it has nothing to load.
    """
    if labels is None:
        finished = {record.trial.label for record in records if _is_loadable(record)}
        labels = [label for label in ranked if label in finished]
    if not labels:
        raise RunError("The run has no finished method whose model could be asked. Finish it with `tuneoff compare`.")
    return [choose_trial(records, label, None) for label in dict.fromkeys(labels)]


def _is_loadable(record: Record) -> bool:
    return record.status == "done" and record.trial.stage == "confirm"


def recall_answers(records: Sequence[Record], number: int) -> tuple[Prediction, list[Answer]]:
    """Return a test example, and what each model wrote for it in the run.

    Args:
        number: of the example, from 1.

    Raises:
        RunError: there is no such example, or the run needed no text of its models.
    """
    first = sorted(records[0].predictions, key=lambda prediction: prediction.row)
    if not 1 <= number <= len(first):
        raise RunError(f"There is no test example {number}. The run has 1 to {len(first)}.")
    example = first[number - 1]
    answers = []
    for record in records:
        text = next((p.prediction for p in record.predictions if p.row == example.row), None)
        if text is None:
            raise RunError(
                f"{record.trial.label} has no text for test example {number}, because no metric of the run reads it. "
                "Give a prompt instead."
            )
        answers.append(Answer(label=record.trial.label, text=text))
    return example, answers
