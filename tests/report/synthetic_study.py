"""Studies made by code: LoRA's rank within one comparison, and the size of the train split over several."""

from collections.abc import Mapping
from typing import Any

from tests.report.synthetic import synthetic_recipe, synthetic_run, with_records
from tuneoff.recipe import Recipe
from tuneoff.study import Study, study_of
from tuneoff.trial import Record
from tuneoff.variants import variants

METHODS: dict[str, dict[str, Any]] = {"base": {}, "lora": {}, "full": {}}
RANKS = {1: -0.06, 4: -0.02, 16: 0.0, 64: 0.0}  # what each rank's ROUGE-L differs from LoRA's made-up one
SIZES = {100: -0.09, 1_000: -0.05, 10_000: 0.0}
MODULES = {"attention": -0.04, "all-linear": 0.0}


def rank_study() -> Study:
    """LoRA at four ranks beside full tuning, in one comparison."""
    return _study("methods.lora.rank", RANKS)


def modules_study() -> Study:
    """LoRA at words without an order."""
    return _study("methods.lora.modules", MODULES)


def size_study() -> Study:
    """Every method at three sizes of the train split, each a setting of its own."""
    return _study("data.sizes.train", SIZES)


def _study(knob: str, shifts: Mapping[Any, float]) -> Study:  # Any: what the knob takes
    recipe = synthetic_recipe(name="synthetic-study", methods=METHODS, vary={"knob": knob, "values": list(shifts)})
    comparisons = {}
    for name, part in variants(recipe).items():
        run = synthetic_run(**{key: value for key, value in part.written().items() if key != "vary"})
        comparisons[name] = with_records(run, [_shifted(r, _shift(knob, part, r, shifts)) for r in run.records])
    return study_of(recipe, comparisons)


def _shift(knob: str, part: Recipe, record: Record, shifts: Mapping[Any, float]) -> float:
    if record.trial.method == "base":
        return 0.0
    if knob.startswith("data."):
        return shifts[part.data.sizes.train]
    return shifts[record.trial.hyperparameters[knob.split(".")[-1]]] if record.trial.method == "lora" else 0.0


def _shifted(record: Record, by: float) -> Record:
    answers = tuple(
        answer.model_copy(
            update={
                "loss": answer.loss - 100 * by,
                "rouge": {name: max(0.0, value + by) for name, value in answer.rouge.items()},
            }
        )
        for answer in record.predictions
    )
    return record.model_copy(update={"predictions": answers})
