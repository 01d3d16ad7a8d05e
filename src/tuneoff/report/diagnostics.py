"""What an author would otherwise have to guess: why a number is as it is, and what to change.

Pure: records in, words out. Each diagnosis states what was counted and names the cure.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean

from tuneoff.analysis.comparison import Comparison, Row
from tuneoff.records.record import Record
from tuneoff.report.format import format_rate, format_share, join_list, pluralize
from tuneoff.report.hyperparameters import format_range, list_ends
from tuneoff.report.search_table import found_nothing
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import Search
from tuneoff.search.sampling import ADAPTIVE

FORGOTTEN = 0.1  # nats per token of unrelated text, above the untouched model
OVERFITTED = 0.5  # nats per target token between examples that were trained on and validation


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing to know before quoting a number; without a label it concerns all methods."""

    label: str | None
    kind: str
    text: str


def diagnose(comparison: Comparison) -> tuple[Diagnosis, ...]:
    """Everything that there is to say, what concerns all methods first."""
    every = [diagnosis for look in WHOLE for diagnosis in look(comparison)]
    searched = [found for search in comparison.searches.values() for look in SEARCHES for found in look(search)]
    each = [diagnosis for row in comparison.rows for look in ROWS for diagnosis in look(comparison, row)]
    return (*every, *searched, *each)


def _seeds(comparison: Comparison) -> Iterator[Diagnosis]:
    trained = [row for row in comparison.rows if row.finished and _trains(row)]
    once = [row for row in trained if len(row.finished) == 1]
    if not once:
        return
    who = "Each method was" if once == trained else f"{join_list([row.label for row in once])} came to an end"
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
    in_vain = {label for label, search in comparison.searches.items() if found_nothing(search)}
    missing = [label for label in comparison.run.recipe.methods if label not in there | in_vain]
    if missing:
        yield Diagnosis(
            label=None,
            kind="not run yet",
            text=f"{join_list(missing)} {'has' if len(missing) == 1 else 'have'} no trial yet. "
            "Run the same comparison again: what is there is kept, what is missing is run.",
        )


def _shared_rate(comparison: Comparison) -> Iterator[Diagnosis]:
    by_rate: dict[float, list[Row]] = {}
    for row in filter(_trains, comparison.rows):
        if row.label in comparison.searches:
            continue  # it has this rate by its own search, and so by chance
        by_rate.setdefault(_rate(row.records[0]), []).append(row)
    for rate, rows in by_rate.items():
        if len({row.method for row in rows}) > 1:
            yield Diagnosis(
                label=None,
                kind="shared learning rate",
                text=f"{join_list([row.label for row in rows])} share the learning rate {format_rate(rate)}. "
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
        cut = [f"{format_share(share)} of {name}" for name, share in shares.items() if share > 0]
        if cut:
            yield Diagnosis(
                label=None,
                kind=f"{many} cut",
                text=f"The limit of {limit} tokens ({key}) cuts {many}: {join_list(cut)}. "
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
            f"{f' ({join_list(shared)})' if shared else ''}. The scores are free of them; nothing needs to be done.",
        )
    remaining = {pair: count for pair, count in data.duplicates.items() if count and not pair.startswith("train-")}
    for pair, count in remaining.items():
        yield Diagnosis(
            label=None,
            kind="duplicates remain",
            text=f"{pluralize(count, 'example')} in both {' and '.join(pair.split('-'))}. They stay, since no training "
            "reads them, but the choice of the best epoch has seen them. Remove them from one split of the data.",
        )


def _whole_head(comparison: Comparison) -> Iterator[Diagnosis]:
    if any(record.facts.get("split_head") is False for row in comparison.rows for record in row.records):
        yield Diagnosis(
            label=None,
            kind="head not split",
            text="This model's head could not be proven to work apart from its body, so its own full path is used and "
            "logits are computed at every position. The losses are the same; time and memory are higher, for every "
            "method alike. Another architecture would be cheaper.",
        )


def _memory(comparison: Comparison) -> Iterator[Diagnosis]:
    costs = [record.costs for row in comparison.rows for record in row.records if record.costs]
    if any(c.training_memory is not None and not c.training_memory.reset for c in costs):
        yield Diagnosis(
            label=None,
            kind="memory not reset",
            text="This system cannot restart its memory high-water mark, so a peak may be that of an earlier phase or "
            "trial. Compare memory on Linux or on a GPU, or run each method in a run directory of its own.",
        )


def _not_searched(comparison: Comparison) -> Iterator[Diagnosis]:
    left_out = [row.label for row in comparison.rows if _trains(row) and row.label not in comparison.searches]
    if comparison.searches and left_out:
        spaces = "search.spaces.LABEL.learning_rate={low: 1.0e-5, high: 1.0e-3}"
        yield Diagnosis(
            label=None,
            kind="not searched",
            text=f"{join_list(left_out)} {'was' if len(left_out) == 1 else 'were'} trained as the recipe says, while the "
            f"others were searched, so the effort was not equal. Leave a knob open, or give one a range: {spaces}.",
        )


def _adaptive(comparison: Comparison) -> Iterator[Diagnosis]:
    options = comparison.run.recipe.search
    if options and options.sampler in ADAPTIVE:
        yield Diagnosis(
            label=None,
            kind="adaptive sampler",
            text=f"The sampler {options.sampler} learns from its earlier tries, so they are not alike, and what a "
            "smaller budget would have found cannot be estimated without bias: that curve is not drawn. "
            "It is with search.sampler=quasi-random.",
        )


def _on_the_edge(search: Search) -> Iterator[Diagnosis]:
    if search.on_edge and search.chosen:
        low, high = list_ends(search.final_space[LEARNING_RATE])
        widened = ", even after its range was widened" if _was_widened(search) else ""
        wider = (low / 10, high) if search.on_edge == "low" else (low, 10 * high)
        yield Diagnosis(
            label=search.label,
            kind="best rate on the edge",
            text=f"The chosen learning rate, {format_rate(search.chosen.values[LEARNING_RATE])}, is the "
            f"{'lowest' if search.on_edge == 'low' else 'highest'} that was tried{widened}, so a better one may lie "
            f"beyond. Search on in a run of its own: search.spaces.{search.label}.learning_rate={_range(*wider)}.",
        )


def _widened(search: Search) -> Iterator[Diagnosis]:
    if _was_widened(search):
        declared, whole = format_range(search.space[LEARNING_RATE]), format_range(search.final_space[LEARNING_RATE])
        more = pluralize(sum(one.widened for one in search.tries), "try", "tries")
        wider = _range(*list_ends(search.final_space[LEARNING_RATE]))
        above = list_ends(search.final_space[LEARNING_RATE])[1] > list_ends(search.space[LEARNING_RATE])[1]
        yield Diagnosis(
            label=search.label,
            kind="range widened",
            text=f"The best of its first draws had the {'highest' if above else 'lowest'} rate that was tried of "
            f"{declared}, so {more} of {len(search.tries)} went beyond that range; searched were {whole} in all. "
            f"For as close a look as the others had, spread all over the wider range: "
            f"search.spaces.{search.label}.learning_rate={wider}.",
        )


def _lost(search: Search) -> Iterator[Diagnosis]:
    lost = [one for one in search.tries if one.scores[-1] is None]
    if lost:
        statuses = dict.fromkeys(one.records[-1].status for one in lost)
        least = format_rate(min(one.hyperparameters[LEARNING_RATE] for one in lost))
        yield Diagnosis(
            label=search.label,
            kind="tries without a score",
            text=f"{len(lost)} of {pluralize(len(search.tries), 'try', 'tries')} {' or '.join(statuses)}, at learning "
            f"rates from {least} on. "
            + (
                "So nothing was chosen, and nothing confirmed. Search lower rates: "
                f"search.spaces.{search.label}.learning_rate."
                if found_nothing(search)
                else "They were paid for like the others and count as worse than any score. "
                "If they are many, end its range below that rate."
            ),
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
        if record.stopped_early and record.best_epoch is not None:
            patience = options.patience or 0
            waited = f"{pluralize(patience, 'epoch')} brought no better validation loss"
            yield Diagnosis(
                label=row.label,
                kind="stopped early",
                text=f"{_of_seed(row, record)}Stopped after epoch {_last(record):g} of {options.epochs}, since "
                f"{waited}; the weights of epoch {record.best_epoch:g} are kept. If others needed all epochs, lower "
                f"its learning rate, now {_said_rate(record)}, or raise training.patience.",
            )


def _still_improving(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    unfinished = [r for r in row.finished if r.best_epoch and r.best_epoch == _last(r) and not r.stopped_early]
    if not unfinished:
        return
    ends = [_validation(record)[-2:] for record in unfinished if len(_validation(record)) > 1]
    before, last = (fmean(losses) for losses in zip(*ends, strict=True)) if ends else (None, None)
    mean = " in the mean" if len(ends) > 1 else ""
    fell = f", from {before:.3f} to {last:.3f}{mean} in the last epoch" if before and last else ""
    seeds = [str(record.trial.seed) for record in unfinished]
    whose = f"Seed{'s' if len(seeds) > 1 else ''} {join_list(seeds)}: " if len(row.records) > 1 else ""
    epochs = unfinished[0].trial.setting.training.epochs
    yield Diagnosis(
        label=row.label,
        kind="still improving",
        text=f"{whose}The validation loss was still falling when training ended{fell}. "
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
                text=f"{_of_seed(row, record)}All {pluralize(len(said), 'example')} of the test split got the "
                f"untouched model's prediction, word for word. Raise its learning rate, now {_said_rate(record)}, "
                "or train longer.",
            )


def _forgets(comparison: Comparison, row: Row) -> Iterator[Diagnosis]:
    forgotten, now = comparison.forgetting(row), row.mean_score("unrelated/loss")
    if forgotten is not None and now is not None and forgotten > FORGOTTEN:
        yield Diagnosis(
            label=row.label,
            kind="forgets",
            text=f"On text unrelated to the data its loss is {now:.3f} nats per token, the untouched model's "
            f"{now - forgotten:.3f}. What it was taught took the place of something else. If the model is to do more "
            "than this, lower its learning rate, train for fewer epochs, or choose a method that trains less.",
        )


def _overfits(_: Comparison, row: Row) -> Iterator[Diagnosis]:
    seen, unseen = row.mean_score("train/loss"), row.mean_score("validation/loss")
    if _trains(row) and seen is not None and unseen is not None and unseen - seen > OVERFITTED:
        yield Diagnosis(
            label=row.label,
            kind="overfits",
            text=f"Its loss is {seen:.3f} on examples that it was trained on and {unseen:.3f} on validation: it learns "
            "the train split by heart. Add examples, train for fewer epochs, or choose a method that trains less.",
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
    _seeds, _missing, _shared_rate, _not_searched, _adaptive, _cuts, _left_out, _duplicates, _whole_head, _memory,
)  # fmt: skip
ROWS: tuple[Callable[[Comparison, Row], Iterator[Diagnosis]], ...] = (
    _broken, _stopped_early, _still_improving, _never_improved, _without_effect, _forgets, _overfits, _tied,
)  # fmt: skip
SEARCHES: tuple[Callable[[Search], Iterator[Diagnosis]], ...] = (_on_the_edge, _widened, _lost)


def _trains(row: Row) -> bool:
    return _rate(row.records[0]) > 0  # the untouched model's rate is zero


def _rate(record: Record) -> float:
    return float(record.trial.hyperparameters.get("learning_rate", 0.0))


def _said_rate(record: Record) -> str:
    return format_rate(_rate(record))


def _last(record: Record) -> float:
    return max((epoch.epoch for epoch in record.curve), default=0.0)


def _validation(record: Record) -> list[float]:
    losses = [epoch.validation_loss for epoch in record.curve]
    return [loss for loss in losses if loss is not None and math.isfinite(loss)]


def _was_widened(search: Search) -> bool:
    return search.final_space != search.space


def _range(low: float, high: float) -> str:
    """As an override takes it; YAML reads no number in `1e-5`, but one in `1.0e-05`."""
    return f"{{low: {low:.1e}, high: {high:.1e}}}"


def _of_seed(row: Row, record: Record) -> str:
    return f"Seed {record.trial.seed}: " if len(row.records) > 1 else ""


def _more(seed: int) -> str:
    return ", ".join(str(seed + i) for i in range(3))


def _rows(count: int) -> str:
    return f"{count:,} row{' was' if count == 1 else 's were'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
