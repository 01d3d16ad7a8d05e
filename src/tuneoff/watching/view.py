"""What a run looks like at a moment, as values that the terminal, the page and the notebook show. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tuneoff.records.record import Epoch, Record
from tuneoff.runs.live import Count, Event, Worker

STALL_SECONDS = 300.0  # without a line from a process that has not said that it is over
State = Literal["running", "silent", "stopped", "finished", "no trial yet"]
Curve = tuple[tuple[float, float], ...]  # epochs so far, and nats per token; finite


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time that one process worked on a trial, in seconds since 1970."""

    worker: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """A trial that has begun."""

    id: str
    label: str
    stage: str
    seed: int
    share: float  # of the full training, at which it ends
    state: str  # "running", "interrupted", or the status of its record
    spans: tuple[Span, ...] = ()
    train_loss: Curve = ()
    validation_loss: Curve = ()
    reason: str = ""  # why it failed or diverged
    last: Event | None = None  # while it runs: how far it is


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What valid looks have decided. Between them nothing is said, because looking more often finds more than is so."""

    is_decided: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """A run at a moment."""

    name: str
    now: float  # seconds since 1970, by the clock of who looks on
    state: State
    last_moved: float | None  # when a file of the run last said something; None: never
    plan: Mapping[str, Count]  # by stage
    trials: tuple[TrialView, ...]  # in the order in which they began
    workers: tuple[str, ...]
    verdict: Verdict
    spent_seconds: float = 0.0
    price_per_hour: float | None = None
    left_seconds: float | None = None  # estimated; None: not known
    budget_seconds: float | None = None
    misfits: Mapping[str, str] = field(default_factory=dict)  # methods that are not compared, with the reason
    decisions: tuple[str, ...] = ()  # that people made, in words
    methods: tuple[str, ...] = ()  # that are compared

    @property
    def running(self) -> tuple[TrialView, ...]:
        """The trials that run now."""
        return tuple(trial for trial in self.trials if trial.state == "running")

    @property
    def money(self) -> float | None:
        """What the run has cost, in the currency of the price; None without a price."""
        return None if self.price_per_hour is None else self.spent_seconds / 3600 * self.price_per_hour


def build_trials(
    workers: Sequence[Worker], records: Mapping[str, Record], ended: Mapping[str, float], dead: Sequence[str] = ()
) -> tuple[TrialView, ...]:
    """Return every trial that has begun, from what its processes wrote and from its record.

    A trial without a line from a process, such as one of an early version, has no span.

    Args:
        records: by trial id.
        ended: when each record was written, in seconds since 1970.
        dead: the names of processes that are known to be gone.
    """
    attempts: dict[str, list[tuple[Worker, list[Event]]]] = {}
    for worker in workers:
        for events in _split_attempts(worker.events):
            attempts.setdefault(events[0].trial or "", []).append((worker, events))
    views = [_view_attempts(id, of_trial, records.get(id), dead) for id, of_trial in attempts.items()]
    views += [_view_record(record) for id, record in records.items() if id not in attempts]
    starts = {view.id: view.spans[0].start if view.spans else ended.get(view.id, 0.0) for view in views}
    return tuple(sorted(views, key=lambda view: starts[view.id]))


def _split_attempts(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events of one process by trial, from its start to its end."""
    current: list[Event] = []
    for event in events:
        if event.kind == "trial":
            if current:
                yield current
            current = [event]
        elif current and (event.trial == current[0].trial or event.kind == "over"):
            current.append(event)
    if current:
        yield current


def _view_attempts(
    id: str, attempts: Sequence[tuple[Worker, list[Event]]], record: Record | None, dead: Sequence[str]
) -> TrialView:
    first = attempts[0][1][0]
    worker, last = attempts[-1]
    is_over = last[-1].kind in {"end", "over"} or worker.name in dead
    steps = [event for _, events in attempts for event in events if event.kind == "step"]
    spans = tuple(Span(worker=w.name, start=events[0].at, end=events[-1].at) for w, events in attempts)
    if record:
        return _view_record(record, spans)
    return TrialView(
        id=id,
        label=first.label or "",
        stage=first.stage or "confirm",
        seed=first.seed or 0,
        share=first.share or 1.0,
        state="interrupted" if is_over else "running",
        spans=spans,
        train_loss=_trace_live(steps),
        last=steps[-1] if steps else None,
    )


def _view_record(record: Record, spans: tuple[Span, ...] = ()) -> TrialView:
    trial = record.trial
    return TrialView(
        id=trial.id,
        label=trial.label,
        stage=trial.stage,
        seed=trial.seed,
        share=trial.rungs[-1],
        state=record.status,
        spans=spans,
        train_loss=tuple(_trace_training(record.curve)),
        validation_loss=tuple(
            (row.epoch, row.validation_loss) for row in record.curve if row.validation_loss is not None
        ),
        reason=record.reason or "",
    )


def _trace_live(steps: Sequence[Event]) -> Curve:
    """Return the training loss so far. Where a trial was begun again, the later line about a place counts."""
    points: dict[float, float] = {}
    for event in steps:
        if event.phase == "training" and event.loss is not None and event.epoch and event.of:
            points[event.epoch - 1 + (event.done or 0) / event.of] = event.loss
    return tuple(sorted(points.items()))


def _trace_training(curve: Sequence[Epoch]) -> Iterator[tuple[float, float]]:
    """Yield the training loss of each part of an epoch; a loss that was not finite is left out."""
    before = 0.0
    for row in curve:
        steps = 0
        for part in row.parts:
            steps += part.steps
            if part.train_loss is not None:
                yield before + (row.epoch - before) * steps / max(1, row.steps), part.train_loss
        if not row.parts and row.train_loss is not None:
            yield row.epoch, row.train_loss
        before = row.epoch


def find_state(view_trials: Sequence[TrialView], workers: Sequence[Worker], dead: Sequence[str], now: float) -> State:
    """Return whether the run goes on, as far as its files say.

    Of a process on another machine, only its silence can be noticed; the clocks may differ by less than that.
    """
    alive = [worker for worker in workers if worker.events[-1].kind != "over" and worker.name not in dead]
    if any(now - worker.events[-1].at < STALL_SECONDS for worker in alive):
        return "running"
    if not view_trials:
        return "no trial yet"
    return "silent" if alive or any(worker.name in dead for worker in workers[-1:]) else "stopped"


def estimate_left(plan: Mapping[str, Count], trials: Sequence[TrialView], seconds: Mapping[str, float]) -> float | None:
    """Return the seconds that the missing trials should take, from those that were trained; None if none was.

    Args:
        seconds: spent on each trial, by id.
    """
    total = 0.0
    for stage, count in plan.items():
        left = count.of - count.done
        if left <= 0 or stage == "test":  # a test is part of its trial
            continue
        of_stage = [trial for trial in trials if trial.stage == stage and trial.id in seconds]
        done = [trial for trial in of_stage if trial.state in {"done", "diverged"} and trial.train_loss]
        if not done:
            return None
        running = [trial for trial in of_stage if trial.state == "running"]
        waiting = max(0, left - len(running))
        total += waiting * _average(done, seconds) + sum(
            max(0.0, _average([t for t in done if t.label == trial.label] or done, seconds) - seconds[trial.id])
            for trial in running
        )
    return total / max(1, len({trial.spans[-1].worker for trial in trials if trial.state == "running" and trial.spans}))


def _average(trials: Sequence[TrialView], seconds: Mapping[str, float]) -> float:
    return sum(seconds[trial.id] for trial in trials) / len(trials)
