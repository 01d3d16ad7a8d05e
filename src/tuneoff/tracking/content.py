"""What a tracking tool is told of a trial or a comparison, from records alone. Pure.

A tool gets what the record says, in its units: a score in [0, 1] stays one, and a loss is in nats per target token. A
value that is not finite has no place in a chart, so it is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.records.record import Epoch, Record
from tuneoff.records.trial import Trial
from tuneoff.report.leaderboard import build_leaderboard
from tuneoff.report.sentences import describe_verdict
from tuneoff.runs.redaction import redact

MOST_EXAMPLES = 20  # rows of a table of predictions
Scalar = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Point:
    """The values of a tracker run at one training step."""

    step: int  # updates of the weights so far
    values: Mapping[str, float]  # finite


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; every row has a cell for each column."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class TrackerRun:
    """One run of a tracking tool: a trial, or the comparison as a whole."""

    id: str  # 16 hex digits, the same whenever the same trial of the same run directory is told
    project: str
    group: str  # of the runs of one comparison
    name: str
    tags: tuple[str, ...] = ()
    config: Mapping[str, Scalar]
    points: tuple[Point, ...] = ()  # by ascending step, each step once
    note: str = ""
    tables: tuple[Table, ...] = ()
    files: tuple[Path, ...] = ()
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    """The names under which a comparison is told."""

    id: str  # of the run directory, wherever it is moved
    project: str
    name: str

    def compute_id(self, of: str) -> str:
        """Return the id of the tracker run of a trial, or of the comparison."""
        return hashlib.sha256(f"{self.id} {of}".encode()).hexdigest()[:16]


def describe_trial(record: Record, group: Group, *, with_text: bool) -> TrackerRun:
    """Describe a trial with its hyperparameters, curve, scores and costs.

    Args:
        with_text: also describe test examples and predictions.
    """
    trial = record.trial
    id = group.compute_id(trial.id)
    return TrackerRun(
        id=id,
        project=group.project,
        group=group.name,
        name=f"{_name_trial(trial)}-{id[:6]}",
        tags=(trial.label, trial.stage, record.status),
        config=_flatten_trial(trial),
        points=build_points(record),
        note=redact(record.reason) if record.reason else "",
        tables=tuple(_build_example_table(record)) if with_text else (),
        failed=record.status != "done",
    )


def describe_comparison(comparison: Comparison, group: Group, files: Sequence[Path]) -> TrackerRun:
    """Describe the comparison as a whole: its leaderboard and its verdict, with files such as its page."""
    verdict = describe_verdict(comparison)
    board = build_leaderboard(comparison)
    columns = ("Method", *(column.title for column in board.columns))
    rows = tuple((name, *(column.cells[i].text for column in board.columns)) for i, name in enumerate(board.names))
    id = group.compute_id("comparison")
    return TrackerRun(
        id=id,
        project=group.project,
        group=group.name,
        name=f"comparison-{id[:6]}",
        tags=("comparison", "partial" if comparison.partial else "complete"),
        config=_flatten({"recipe": comparison.run.recipe.to_dict()}),
        points=(Point(step=0, values=dict(_list_means(comparison))),),
        note="\n\n".join((verdict.headline, *verdict.points, *verdict.details)),
        tables=(Table(name="leaderboard", columns=columns, rows=rows),),
        files=tuple(files),
    )


def build_points(record: Record) -> tuple[Point, ...]:
    """Return the curve by step, with the scores and the costs at the last step.

    `train/loss` is a mean over the steps since the point before it. Records of early versions have one for each epoch.
    """
    values: dict[int, dict[str, float | None]] = {}
    ends = accumulate(row.steps for row in record.curve)
    seconds = accumulate(row.train_seconds for row in record.curve)
    tokens = accumulate(row.real_tokens for row in record.curve)
    last = 0
    for row, end, train_seconds, real_tokens in zip(record.curve, ends, seconds, tokens, strict=True):
        for step, loss in _list_losses(row, end):
            values.setdefault(step, {})["train/loss"] = loss
        values.setdefault(end, {}).update(
            {
                "epoch": row.epoch,
                "validation/loss": row.validation_loss,
                "train/learning_rate": row.learning_rate if row.steps else None,
                "train/seconds": train_seconds,
                "train/tokens": real_tokens,
            }
        )
        last = end
    values.setdefault(last, {}).update(_list_outcomes(record))
    points = [Point(step=step, values=_keep_finite(at_step)) for step, at_step in sorted(values.items())]
    return tuple(point for point in points if point.values)


def _list_losses(row: Epoch, end: int) -> Iterator[tuple[int, float | None]]:
    """Yield the training loss after each part of an epoch, with the step at which the part ends."""
    step = end - row.steps
    for part in row.parts:
        step += part.steps
        yield step, part.train_loss
    if not row.parts and row.steps:
        yield end, row.train_loss


def _list_outcomes(record: Record) -> Iterator[tuple[str, float | None]]:
    """Yield the scores as "score/test/loss", and the costs as "cost/train_seconds".

    A score of validation is that of the weights that were kept, and not a point of the curve.
    """
    yield from ((f"score/{name}", value) for name, value in record.scores.items())
    yield "best_epoch", record.best_epoch
    if record.costs:
        yield from ((f"cost/{cost.name}", cost.value(record.costs)) for cost in COSTS.values())


def _keep_finite(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def _list_means(comparison: Comparison) -> Iterator[tuple[str, float]]:
    """Yield the mean of each method by each metric, in the metric's unit."""
    for row in comparison.rows:
        for metric in comparison.metrics:
            if metric.name in row.scores and math.isfinite(row.scores[metric.name].mean):
                yield f"{metric.name}/{row.label}", row.scores[metric.name].mean


def _name_trial(trial: Trial) -> str:
    return f"{trial.label}-seed-{trial.seed}" if trial.stage == "confirm" else f"{trial.label}-search"


def _flatten_trial(trial: Trial) -> dict[str, Scalar]:
    """Return the trial as flat keys. They belong to its identity, so they never change."""
    values = trial.model_dump(mode="json")
    knobs, setting = values.pop("hyperparameters"), values.pop("setting")
    return {**_flatten(values), **_flatten(knobs), **_flatten({"setting": setting}), "trial": trial.id}


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:  # Any: JSON values
    """Return a tree as flat keys, as `setting.training.epochs`. Lists are written as JSON; what is null is left out."""
    flat: dict[str, Scalar] = {}
    for name, value in tree.items():
        match value:
            case None:
                continue
            case Mapping():
                flat |= _flatten(value, f"{prefix}{name}.")
            case bool() | int() | float():
                flat[f"{prefix}{name}"] = value
            case _:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                flat[f"{prefix}{name}"] = redact(text)
    return flat


def _build_example_table(record: Record) -> Iterator[Table]:
    if record.predictions:
        yield Table(
            name="predictions",
            columns=("row", "source", "reference", "prediction", "loss"),
            rows=tuple(
                (str(p.row), p.source, p.reference, p.prediction or "", f"{p.loss / max(1, p.target_tokens):.4f}")
                for p in record.predictions[:MOST_EXAMPLES]
            ),
        )
