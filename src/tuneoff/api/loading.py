"""Load what a run trained, to use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.api.comparisons import load_comparison
from tuneoff.errors import RunError
from tuneoff.runs import RunDirectory

if TYPE_CHECKING:
    from tuneoff.analysis.comparison import Comparison
    from tuneoff.records.record import Record
    from tuneoff.runner.merged_models import MergedModels
    from tuneoff.runner.trained_model import TrainedModel


def load(run: str | Path, label: str | None = None, seed: int | None = None) -> TrainedModel:
    """Load a model that a run trained: the base model of its recipe with the adapter of a confirmed trial.

    model = tuneoff.load("runs/fair", "lora")
    model.generate(["The text to summarize."])
    model.chat([{"role": "user", "content": "Hello"}])

    Args:
        run: the run directory.
        label: the method, as the recipe labels it; by default the best one by the primary metric of the recipe.
        seed: the seed of the trial; by default the lowest one that finished.

    Returns:
        The model, ready for inference on the CPU. Its `generate` takes sources and returns texts, and its `chat` takes
        the messages of one chat. For the model of transformers or peft, take `.language_model.network`; for its
        tokenizer, `.language_model.tokenizer`.

    Raises:
        ModelError: the base model cannot be loaded.
        RunError: there is no such trial or it did not finish, its adapter is missing or damaged, or the base model has
            changed since the run.
    """
    from tuneoff.runner.trained_model import load_trained_model

    return load_trained_model(RunDirectory(Path(run)), choose_record(load_comparison(run), label, seed))


def load_merged(run: str | Path, labels: Sequence[str], *, capacity: int = 8) -> MergedModels:
    """Load several LoRA that a run trained into the weights of one base model, to use one at a time.

    models = tuneoff.load_merged("runs/fair", ["lora", "rslora"])
    models.generate("lora", ["The text to summarize."])

    A merged LoRA costs nothing per token. Going from one to another subtracts one update from the weights and adds the
    other. To answer for all at once, use `serve`.

    Args:
        run: the run directory.
        labels: plain LoRA, as the recipe labels them.
        capacity: how many stay in memory; those that were not used for longest are read again.

    Raises:
        ModelError: the base model cannot be loaded.
        RunError: a trial does not exist or did not finish, the base model is quantised or has changed since the run.
    """
    from tuneoff.runner.merged_models import MergedModels

    comparison = load_comparison(run)
    records = [choose_record(comparison, label, None) for label in labels]
    if not records:
        raise RunError("Name at least one LoRA of the run.")
    return MergedModels(RunDirectory(Path(run)), records, capacity=capacity)


def choose_record(comparison: Comparison, label: str | None, seed: int | None) -> Record:
    """Return the record of a method's trial; without a label, of the best method by the primary metric.

    Raises:
        RunError: there is no such trial, or it did not finish.
    """
    from tuneoff.runner.trained_model import choose_trial

    if label is None:
        if comparison.best is None:
            name = comparison.run.recipe.name
            raise RunError(f"No method of {name} has a score yet. Finish the run with `tuneoff compare`.")
        label = comparison.best.label
    return choose_trial(comparison.run.records, label, seed)
