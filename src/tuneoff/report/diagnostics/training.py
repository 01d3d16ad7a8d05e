"""Diagnoses of training: broken trials, early stopping, and validation losses that still fell or never did."""

import math
from collections.abc import Iterator
from statistics import fmean

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.records.record import Record
from tuneoff.report.diagnostics.diagnosis import (
    Diagnosis,
    format_learning_rate,
    format_seed_prefix,
    has_worsened,
    list_validation_losses,
)
from tuneoff.report.format import join_list, pluralize

REMEDIES = {
    "diverged": "Lower the learning rate (now {rate}); a tenth of it is a good next try.",
    "failed": "Fix the cause and run the comparison again with --retry.",
}


def diagnose_broken_trial(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report each trial that diverged or failed, with its reason."""
    for record in row.records:
        if record.status in REMEDIES:
            remedy = REMEDIES[record.status].format(rate=format_learning_rate(record))
            reason = (record.reason or "no reason recorded").rstrip(".")
            yield Diagnosis(
                label=row.label,
                kind=record.status,
                text=f"{format_seed_prefix(row, record)}{reason[:1].upper()}{reason[1:]}. {remedy}",
            )


def diagnose_early_stop(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report each trial that was stopped early, and which epoch's weights were kept."""
    for record in row.finished:
        options = record.trial.setting.training
        if record.stopped_early and record.best_epoch is not None:
            yield Diagnosis(
                label=row.label,
                kind="stopped early",
                text=f"{format_seed_prefix(row, record)}Training stopped after epoch {_get_last_epoch(record):g} of "
                f"{options.epochs} because the validation loss did not improve for "
                f"{pluralize(options.patience or 0, 'epoch')}; the weights of epoch {record.best_epoch:g} were kept. "
                "If other methods needed all epochs, lower the learning rate "
                f"(now {format_learning_rate(record)}) or raise training.patience.",
            )


def diagnose_unfinished_training(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report, once for all seeds, trials whose last validation loss was the lowest, that before training included."""
    improving = [record for record in row.finished if _is_still_improving(record)]
    if not improving:
        return
    ends = [list_validation_losses(record)[-2:] for record in improving]
    before, last = (fmean(losses) for losses in zip(*ends, strict=True))
    mean = " on average" if len(ends) > 1 else ""
    seeds = [str(record.trial.seed) for record in improving]
    prefix = f"Seed{'s' if len(seeds) > 1 else ''} {join_list(seeds)}: " if len(row.records) > 1 else ""
    epochs = improving[0].trial.setting.training.epochs
    yield Diagnosis(
        label=row.label,
        kind="still improving",
        text=f"{prefix}The validation loss was still falling when training ended, from {before:.3f} "
        f"to {last:.3f}{mean} in the last epoch. "
        f"Train longer, for example training.epochs={2 * epochs}, before concluding that the method is worse.",
    )


def diagnose_no_improvement(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    """Report each trial whose validation loss was above that before training after every epoch."""
    for record in row.finished:
        if has_worsened(record):
            start, *trained = list_validation_losses(record)
            yield Diagnosis(
                label=row.label,
                kind="never improved",
                text=f"{format_seed_prefix(row, record)}No epoch had a lower validation loss than the model before "
                f"training ({min(trained):.3f} at best, {start:.3f} before). "
                f"Lower the learning rate (now {format_learning_rate(record)}).",
            )


def _is_still_improving(record: Record) -> bool:
    *earlier, last = list_validation_losses(record) or [math.inf]
    return bool(earlier) and last < min(earlier) and not record.stopped_early


def _get_last_epoch(record: Record) -> float:
    return max((epoch.epoch for epoch in record.curve), default=0.0)
