"""Diagnoses of the trained model: no effect, forgetting, overfitting, and more trained than the method's name says."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.report.diagnostics.diagnosis import Diagnosis, format_learning_rate, format_seed_prefix, has_worsened
from tuneoff.report.format import pluralize

FORGETTING_LIMIT = 0.1  # nats per token of unrelated text, above the base model
OVERFITTING_LIMIT = 0.5  # nats per target token between training examples and validation


def diagnose_missing_effect(comparison: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report trials whose test predictions are all the base model's, though the validation loss did not rise."""
    base = comparison.base
    if base is None or not base.finished or not row.trains:
        return
    base_predictions = {answer.row: answer.prediction for answer in base.finished[0].predictions}
    for record in row.finished:
        predictions = {answer.row: answer.prediction for answer in record.predictions}
        if predictions and predictions == base_predictions and not has_worsened(record):
            yield Diagnosis(
                label=row.label,
                kind="no effect",
                text=f"{format_seed_prefix(row, record)}The predictions for all "
                f"{pluralize(len(predictions), 'example')} of the test split are identical to the base model's. "
                f"Raise the learning rate (now {format_learning_rate(record)}) or train longer.",
            )


def diagnose_forgetting(comparison: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report a loss on unrelated text that is clearly above the base model's."""
    forgetting, loss = comparison.estimate_forgetting(row), row.compute_mean_score("unrelated/loss")
    if forgetting is not None and loss is not None and forgetting.mean > FORGETTING_LIMIT:
        yield Diagnosis(
            label=row.label,
            kind="forgetting",
            text=f"On text unrelated to the data its loss is {loss:.3f} nats per token, the base model's "
            f"{loss - forgetting.mean:.3f}: training has cost it abilities outside this task. If the model has to do "
            "other tasks too, lower the learning rate, train for fewer epochs, or use a method that trains fewer "
            "parameters.",
        )


def diagnose_overfitting(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report a loss on training examples that is clearly below that on validation."""
    train, validation = row.compute_mean_score("train/loss"), row.compute_mean_score("validation/loss")
    if row.trains and train is not None and validation is not None and validation - train > OVERFITTING_LIMIT:
        yield Diagnosis(
            label=row.label,
            kind="overfitting",
            text=f"Its loss is {train:.3f} on training examples and {validation:.3f} on validation: it memorizes the "
            "train split. Add examples, train for fewer epochs, or use a method that trains fewer parameters.",
        )


def diagnose_tied_embedding(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report a head that was trained together with the input embedding."""
    if any(record.facts.get("tied") is True for record in row.records):
        yield Diagnosis(
            label=row.label,
            kind="tied embedding",
            text="The model's output head shares its weights with the input embedding, and training changed both, so "
            f"more than the last layer was tuned. To train only the head, set methods.{row.label}.tied=false.",
        )
