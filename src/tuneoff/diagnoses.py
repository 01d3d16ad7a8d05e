"""What an author would otherwise have to guess: why a number is as it is, and what to change.

Pure: records in, words out. Each diagnosis states what was counted and names the cure.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tuneoff.comparison import Comparison, Row
from tuneoff.report.words import counted, listed, rate_in_words, share_in_words
from tuneoff.trial import Record


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing to know before quoting a number; without a label it concerns all methods."""

    label: str | None
    kind: str
    text: str


def diagnose(comparison: Comparison) -> tuple[Diagnosis, ...]:
    """Everything that there is to say, what concerns all methods first."""
    every = [diagnosis for look in WHOLE for diagnosis in look(comparison)]
    each = [diagnosis for row in comparison.rows for look in ROWS for diagnosis in look(comparison, row)]
    return (*every, *each)


def _seeds(comparison: Comparison) -> Iterator[Diagnosis]:
    trained = [row for row in comparison.rows if row.finished and _trains(row)]
    once = [row for row in trained if len(row.finished) == 1]
    if not once:
        return
    who = "Each method was" if once == trained else f"{listed([row.label for row in once])} came to an end"
    trainings = "trained once" if once == trained else "only once"
    seed = once[0].finished[0].trial.seed
    planned = len(comparison.run.recipe.seeds) > 1
    cure = "Run the comparison again to finish the other seeds." if planned else f"Add seeds: seeds=[{_more(seed)}]."
    yield Diagnosis(
        label=None,
        kind="one seed",
        text=f"{who} {trainings} (seed {seed}). The intervals cover the choice of test examples, not the luck of a "
        f"training, so a difference between rows is one between these trainings, not yet between methods. {cure}",
    )


def _missing(comparison: Comparison) -> Iterator[Diagnosis]:
    there = {row.label for row in comparison.rows}
    missing = [label for label in comparison.run.recipe.methods if label not in there]
    if missing:
        yield Diagnosis(
            label=None,
            kind="not run yet",
            text=f"{listed(missing)} {'has' if len(missing) == 1 else 'have'} no trial yet. "
            "Run the same comparison again: what is there is kept, what is missing is run.",
        )


def _shared_rate(comparison: Comparison) -> Iterator[Diagnosis]:
    by_rate: dict[float, list[Row]] = {}
    for row in filter(_trains, comparison.rows):
        by_rate.setdefault(_rate(row.records[0]), []).append(row)
    for rate, rows in by_rate.items():
        if len({row.method for row in rows}) > 1:
            yield Diagnosis(
                label=None,
                kind="shared learning rate",
                text=f"{listed([row.label for row in rows])} share the learning rate {rate_in_words(rate)}. "
                "Good rates differ up to a thousandfold between methods (in the T-Few experiments 3e-4 for full "
                "tuning and 0.3 for prompt tuning), so one rate for all ranks how well it suits each. "
                "Give each method its own: methods.LABEL.learning_rate; without the key, each has its own default.",
            )


def _cuts(comparison: Comparison) -> Iterator[Diagnosis]:
    options = comparison.setting.data
    cures = {
        "source": ("sources", options.max_tokens, "max_tokens", "reads only their beginning"),
        "target": ("targets", options.max_target_tokens, "max_target_tokens", "learns to stop short"),
    }
    for side, (many, limit, key, effect) in cures.items():
        shares = {name: getattr(split, f"{side}_cut_share") for name, split in comparison.run.data.splits.items()}
        cut = [f"{share_in_words(share)} of {name}" for name, share in shares.items() if share > 0]
        if cut:
            yield Diagnosis(
                label=None,
                kind=f"{many} cut",
                text=f"The limit of {limit} tokens ({key}) cuts {many}: {listed(cut)}. "
                f"The model {effect} there. Raise data.{key} if time and memory allow.",
            )


def _left_out(comparison: Comparison) -> Iterator[Diagnosis]:
    for name, split in comparison.run.data.splits.items():
        if split.left_out:
            first = f" The first: {'; '.join(split.left_out_examples[:3])}." if split.left_out_examples else ""
            yield Diagnosis(
                label=None,
                kind="rows left out",
                text=f"{_rows(split.left_out)} of {name} left out, since source or target is not text.{first} "
                "Correct them in the data, or check data.fields.",
            )


def _duplicates(comparison: Comparison) -> Iterator[Diagnosis]:
    data = comparison.run.data
    removed = sum(split.duplicates_removed for split in data.splits.values())
    if removed:
        pairs = {
            pair.removeprefix("train-"): n for pair, n in data.duplicates.items() if n and pair.startswith("train-")
        }
        shared = [f"{count} shared with {other}" for other, count in pairs.items()]
        yield Diagnosis(
            label=None,
            kind="duplicates removed",
            text=f"{_rows(removed)} removed from train, since another split holds the same text"
            f"{f' ({listed(shared)})' if shared else ''}. The scores are free of them; nothing needs to be done.",
        )
    remaining = {pair: count for pair, count in data.duplicates.items() if count and not pair.startswith("train-")}
    for pair, count in remaining.items():
        yield Diagnosis(
            label=None,
            kind="duplicates remain",
            text=f"{counted(count, 'example')} in both {' and '.join(pair.split('-'))}. They stay, since no training "
            "reads them, but the choice of the best epoch has seen them. Remove them from one split of the data.",
        )


def _whole_head(comparison: Comparison) -> Iterator[Diagnosis]:
    if any(record.facts.get("split_head") is False for record in comparison.run.records):
        yield Diagnosis(
            label=None,
            kind="head not split",
            text="This model's head could not be proven to work apart from its body, so its own full path is used and "
            "logits are computed at every position. The losses are the same; time and memory are higher, for every "
            "method alike. Another architecture would be cheaper.",
        )


def _memory(comparison: Comparison) -> Iterator[Diagnosis]:
    costs = [record.costs for record in comparison.run.records if record.costs]
    if any(c.training_memory is not None and not c.training_memory.reset for c in costs):
        yield Diagnosis(
            label=None,
            kind="memory not reset",
            text="This system cannot restart its memory high-water mark, so a peak may be that of an earlier phase or "
            "trial. Compare memory on Linux or on a GPU, or run each method in a run directory of its own.",
        )


def _broken(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    cures = {
        "diverged": "Lower its learning rate, now {rate}; a tenth of it is a good next guess.",
        "failed": "Remove the cause and run the comparison again with --retry.",
    }
    for record in row.records:
        if record.status in cures:
            cure = cures[record.status].format(rate=_said_rate(record))
            reason = (record.reason or "no reason recorded").rstrip(".")
            yield Diagnosis(
                label=row.label, kind=record.status, text=f"{_of_seed(row, record)}{_capital(reason)}. {cure}"
            )


def _stopped_early(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    for record in row.finished:
        options = record.trial.setting.training
        if record.stopped_early and record.curve:
            patience = options.patience or 0
            waited = f"{counted(patience, 'epoch')} brought no better validation loss"
            yield Diagnosis(
                label=row.label,
                kind="stopped early",
                text=f"{_of_seed(row, record)}Stopped after epoch {_last(record)} of {options.epochs}, since {waited}; "
                f"the weights of epoch {record.best_epoch} are kept. If others needed all epochs, lower its learning "
                f"rate, now {_said_rate(record)}, or raise training.patience.",
            )


def _still_improving(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    for record in row.finished:
        epochs = record.trial.setting.training.epochs
        if record.best_epoch and record.best_epoch == _last(record) and not record.stopped_early:
            before, last = _validation(record)[-2:] if len(_validation(record)) > 1 else (None, None)
            fell = f", from {before:.3f} to {last:.3f} in the last epoch" if before and last else ""
            yield Diagnosis(
                label=row.label,
                kind="still improving",
                text=f"{_of_seed(row, record)}The validation loss was still falling when training ended{fell}. "
                f"Train longer, such as training.epochs={2 * epochs}, before calling it worse than another.",
            )


def _never_improved(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    for record in row.finished:
        start, *trained = _validation(record) or [math.inf]
        if trained and min(trained) >= start:
            yield Diagnosis(
                label=row.label,
                kind="never improved",
                text=f"{_of_seed(row, record)}No epoch had a lower validation loss than the model before its first "
                f"step ({min(trained):.3f} at best, {start:.3f} before). "
                f"Lower its learning rate, now {_said_rate(record)}.",
            )


def _without_effect(comparison: Comparison, row: Row) -> Iterator[Diagnosis]:
    base = comparison.base
    if base is None or not base.finished or not _trains(row):
        return
    untouched = {answer.row: answer.prediction for answer in base.finished[0].predictions}
    for record in row.finished:
        said = {answer.row: answer.prediction for answer in record.predictions}
        if said and said == untouched:
            yield Diagnosis(
                label=row.label,
                kind="without effect",
                text=f"{_of_seed(row, record)}All {counted(len(said), 'example')} of the test split got the "
                f"untouched model's prediction, word for word. Raise its learning rate, now {_said_rate(record)}, "
                "or train longer.",
            )


def _tied(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    if any(record.facts.get("tied") is True for record in row.records):
        yield Diagnosis(
            label=row.label,
            kind="tied embedding",
            text="The model's head is its input embedding as well, and both were trained as one: more than a last "
            f"layer was tuned. For the head alone write methods.{row.label}.tied=false.",
        )


WHOLE: tuple[Callable[[Comparison], Iterator[Diagnosis]], ...] = (
    _seeds, _missing, _shared_rate, _cuts, _left_out, _duplicates, _whole_head, _memory,
)  # fmt: skip
ROWS: tuple[Callable[[Comparison, Row], Iterator[Diagnosis]], ...] = (
    _broken, _stopped_early, _still_improving, _never_improved, _without_effect, _tied,
)  # fmt: skip


def _trains(row: Row) -> bool:
    return _rate(row.records[0]) > 0  # the untouched model's rate is zero


def _rate(record: Record) -> float:
    return float(record.trial.hyperparameters.get("learning_rate", 0.0))


def _said_rate(record: Record) -> str:
    return rate_in_words(_rate(record))


def _last(record: Record) -> int:
    return max((epoch.epoch for epoch in record.curve), default=0)


def _validation(record: Record) -> list[float]:
    losses = [epoch.validation_loss for epoch in record.curve]
    return [loss for loss in losses if loss is not None and math.isfinite(loss)]


def _of_seed(row: Row, record: Record) -> str:
    return f"Seed {record.trial.seed}: " if len(row.records) > 1 else ""


def _more(seed: int) -> str:
    return ", ".join(str(seed + i) for i in range(3))


def _rows(count: int) -> str:
    return f"{count:,} row{' was' if count == 1 else 's were'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
