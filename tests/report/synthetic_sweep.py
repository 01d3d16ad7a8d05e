"""Synthetic sweeps of LoRA's rank and modules, in one comparison, and of train size and model, over several."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.report.synthetic import judge_records, make_synthetic_recipe, make_synthetic_run
from tuneoff.analysis.sweep import Sweep, build_sweep
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep
from tuneoff.records.record import Memory, Record

METHODS: dict[str, dict[str, Any]] = {"base": {}, "lora": {}, "full": {}}
# by value, what is added to the synthetic ROUGE-L of the methods that the parameter affects
RANKS = {1: -0.06, 4: -0.02, 16: 0.0, 64: 0.0}
SIZES = {100: -0.09, 1_000: -0.05, 10_000: 0.0}
MODELS = {"HuggingFaceTB/SmolLM2-135M": -0.06, "HuggingFaceTB/SmolLM2-360M": -0.03, "HuggingFaceTB/SmolLM2-1.7B": 0.0}
PARAMETERS = dict(zip(MODELS, (134_515_008, 361_821_120, 1_711_376_384), strict=True))
MODULES = {"attention": -0.04, "all-linear": 0.0}


def make_rank_sweep(seeds: Sequence[int] = (0, 1, 2)) -> Sweep:
    """LoRA at four ranks, with full tuning as a reference, in one comparison."""
    return _make_sweep("methods.lora.rank", RANKS, seeds)


def make_modules_sweep(seeds: Sequence[int] = (0, 1, 2)) -> Sweep:
    """LoRA with two choices of modules, which have no order."""
    return _make_sweep("methods.lora.modules", MODULES, seeds)


def make_size_sweep() -> Sweep:
    """Every method at three sizes of the train split, which are three settings."""
    return _make_sweep("data.sizes.train", SIZES)


def make_model_sweep() -> Sweep:
    """Every method on three models. Larger models are better and more expensive; soft prompts improve most."""
    return _make_sweep("model.name", MODELS)


def _make_sweep(
    parameter: str, shifts: Mapping[Any, float], seeds: Sequence[int] = (0, 1, 2)
) -> Sweep:  # Any: values of the parameter
    methods = METHODS | {"soft-prompt": {}} if parameter == "model.name" else METHODS
    recipe = make_synthetic_recipe(
        name="synthetic-sweep",
        methods=methods,
        seeds=list(seeds),
        sweep={"parameter": parameter, "values": list(shifts)},
    )
    comparisons = {}
    for name, part in expand_sweep(recipe).items():
        run = make_synthetic_run(**{key: value for key, value in part.to_dict().items() if key != "sweep"})
        records = [shift_scores(r, _shift(parameter, part, r, shifts)) for r in run.records]
        comparisons[name] = judge_records(
            run, [_scale_costs(r) for r in records] if parameter == "model.name" else records
        )
    return build_sweep(recipe, comparisons)


def _shift(parameter: str, part: Recipe, record: Record, shifts: Mapping[Any, float]) -> float:
    if parameter == "model.name":
        return shifts[part.model.name] * {"soft-prompt": 2, "base": 0.5}.get(record.trial.method, 1)
    if record.trial.method == "base":
        return 0.0
    if parameter.startswith("data."):
        return shifts[part.data.sizes.train]
    return shifts[record.trial.hyperparameters[parameter.split(".")[-1]]] if record.trial.method == "lora" else 0.0


def shift_scores(record: Record, by: float) -> Record:
    """Add `by` to the ROUGE of every prediction of a record, and lower the losses accordingly."""
    predictions = tuple(
        prediction.model_copy(
            update={
                "loss": prediction.loss - 100 * by,
                "scores": {name: max(0.0, value + by) for name, value in prediction.scores.items()},
            }
        )
        for prediction in record.predictions
    )
    return record.model_copy(update={"predictions": predictions})


def _scale_costs(record: Record) -> Record:
    """Scale the costs of a record to the size of its model."""
    if record.costs is None:
        return record
    total = PARAMETERS[record.trial.setting.model.name]
    factor, costs = total / min(PARAMETERS.values()), record.costs
    memory = costs.training_memory and Memory(resident_bytes=round(factor * (costs.training_memory.peak_bytes or 0)))
    trains_all = costs.trainable_parameters == costs.total_parameters
    scaled = costs.model_copy(
        update={
            "total_parameters": total,
            "trainable_parameters": total if trains_all else round(factor**0.5 * costs.trainable_parameters),
            "train_seconds": factor * costs.train_seconds,
            "training_memory": memory,
        }
    )
    return record.model_copy(update={"costs": scaled})
