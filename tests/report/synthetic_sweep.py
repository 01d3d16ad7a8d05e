"""Studies made by code: LoRA's rank within one comparison; the train split's size and the model over several."""

from collections.abc import Mapping
from typing import Any

from tests.report.synthetic import synthetic_recipe, synthetic_run, with_records
from tuneoff.analysis.sweep import Sweep, build_sweep
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep
from tuneoff.records.record import Memory, Record

METHODS: dict[str, dict[str, Any]] = {"base": {}, "lora": {}, "full": {}}
RANKS = {1: -0.06, 4: -0.02, 16: 0.0, 64: 0.0}  # what each rank's ROUGE-L differs from LoRA's made-up one
SIZES = {100: -0.09, 1_000: -0.05, 10_000: 0.0}
MODELS = {"HuggingFaceTB/SmolLM2-135M": -0.06, "HuggingFaceTB/SmolLM2-360M": -0.03, "HuggingFaceTB/SmolLM2-1.7B": 0.0}
PARAMETERS = dict(zip(MODELS, (134_515_008, 361_821_120, 1_711_376_384), strict=True))
MODULES = {"attention": -0.04, "all-linear": 0.0}


def rank_study() -> Sweep:
    """LoRA at four ranks beside full tuning, in one comparison."""
    return _study("methods.lora.rank", RANKS)


def modules_study() -> Sweep:
    """LoRA at words without an order."""
    return _study("methods.lora.modules", MODULES)


def size_study() -> Sweep:
    """Every method at three sizes of the train split, each a setting of its own."""
    return _study("data.sizes.train", SIZES)


def model_study() -> Sweep:
    """Every method on three models, the larger ones better and dearer; soft prompts gain most."""
    return _study("model.name", MODELS)


def _study(knob: str, shifts: Mapping[Any, float]) -> Sweep:  # Any: what the knob takes
    methods = METHODS | {"soft-prompt": {}} if knob == "model.name" else METHODS
    recipe = synthetic_recipe(
        name="synthetic-study", methods=methods, sweep={"parameter": knob, "values": list(shifts)}
    )
    comparisons = {}
    for name, part in expand_sweep(recipe).items():
        run = synthetic_run(**{key: value for key, value in part.to_dict().items() if key != "sweep"})
        records = [shifted(r, _shift(knob, part, r, shifts)) for r in run.records]
        comparisons[name] = with_records(run, [_grown(r) for r in records] if knob == "model.name" else records)
    return build_sweep(recipe, comparisons)


def _shift(knob: str, part: Recipe, record: Record, shifts: Mapping[Any, float]) -> float:
    if knob == "model.name":
        return shifts[part.model.name] * {"soft-prompt": 2, "base": 0.5}.get(record.trial.method, 1)
    if record.trial.method == "base":
        return 0.0
    if knob.startswith("data."):
        return shifts[part.data.sizes.train]
    return shifts[record.trial.hyperparameters[knob.split(".")[-1]]] if record.trial.method == "lora" else 0.0


def shifted(record: Record, by: float) -> Record:
    """The record with its answers' ROUGE that much higher, and their loss lower accordingly."""
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


def _grown(record: Record) -> Record:
    """The record with the costs of its model's size."""
    if record.costs is None:
        return record
    total = PARAMETERS[record.trial.setting.model.name]
    times, costs = total / min(PARAMETERS.values()), record.costs
    memory = costs.training_memory and Memory(resident_bytes=round(times * (costs.training_memory.peak_bytes or 0)))
    all_of_it = costs.trainable_parameters == costs.total_parameters
    grown = costs.model_copy(
        update={
            "total_parameters": total,
            "trainable_parameters": total if all_of_it else round(times**0.5 * costs.trainable_parameters),
            "train_seconds": times * costs.train_seconds,
            "training_memory": memory,
        }
    )
    return record.model_copy(update={"costs": grown})
