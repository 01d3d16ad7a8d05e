"""Read a run directory, again and again, while other processes write into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import final

import psutil

from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.analysis.partial import find_missing
from tuneoff.budget.spending import Spending, read_spending
from tuneoff.errors import RunError, TuneoffError
from tuneoff.recipe.recipe import Recipe, drop_methods
from tuneoff.records.record import Record
from tuneoff.report.escape import escape_control
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.sentences.sequential import list_looks
from tuneoff.runner.plan import select_records
from tuneoff.runner.planner import Planner
from tuneoff.runs import RunDirectory
from tuneoff.runs.decisions import apply_decisions, read_decisions
from tuneoff.runs.layout import RECORD, has_recipe, list_recorded_trials
from tuneoff.runs.live import Count, Worker, get_host, read_workers
from tuneoff.runs.reading import read_misfits, read_recipe, read_record
from tuneoff.watching.view import Verdict, View, build_trials, estimate_left, find_state

NOT_YET = Verdict(is_decided=False, lines=("Not decided yet.",))


@final
class RunWatch:
    """Looks at one run. A record is read once, and again when it changes.

    Args:
        price_per_hour: of the machine, to show money; by default that of the recipe's budget, if it has one.

    Raises:
        RunError: this is no run directory.
    """

    def __init__(self, run: str | Path, price_per_hour: float | None = None) -> None:
        self.path, self._price = Path(run), price_per_hour
        if not has_recipe(self.path):
            raise RunError(f"{run} is not a run directory: it has no recipe.yaml. `tuneoff compare` creates one.")
        self._records: dict[Path, tuple[tuple[int, int], Record]] = {}
        self._verdict: tuple[object, Verdict] | None = None
        self._lock = threading.Lock()  # a server looks in several threads

    def look(self) -> View:
        """Return what the run looks like now.

        Raises:
            RunError: a file that all trials share cannot be read.
        """
        with self._lock:
            return self._look()

    def _look(self) -> View:
        now, workers, spending = time.time(), read_workers(self.path), read_spending(self.path)
        misfits, recipe = read_misfits(self.path), read_recipe(self.path)
        decisions = read_decisions(self.path)
        recipe = apply_decisions(drop_methods(recipe, misfits), decisions)
        recipe = spending.fit.shrink(recipe) if spending.fit else recipe
        records, ended = self._read_records()
        alive = {worker.name: _is_alive(worker) for worker in workers if worker.events[-1].kind != "over"}
        dead = [name for name, is_alive in alive.items() if is_alive is False]
        trials = build_trials(workers, records, ended, dead)
        plan = _find_plan(workers) or self._make_plan(recipe, records)
        state = "running" if any(alive.values()) else find_state(trials, workers, dead, now)
        is_complete = bool(plan) and all(count.done >= count.of for count in plan.values())
        price = self._price or (recipe.budget.price_per_hour if recipe.budget else None)
        seconds = {id: sum(parts.values()) for id, parts in spending.spent.trials.items()}
        return View(
            name=self.path.resolve().name,
            now=now,
            state="finished" if is_complete and state != "running" else state,
            last_moved=max([*ended.values(), *(worker.events[-1].at for worker in workers)], default=None),
            plan=plan,
            trials=trials,
            workers=tuple(dict.fromkeys(worker.name for worker in workers)),
            verdict=self._find_verdict(recipe, records, spending),
            spent_seconds=spending.spent.seconds,
            price_per_hour=price,
            left_seconds=0.0 if is_complete else estimate_left(plan, trials, seconds),
            budget_seconds=spending.fit.whole_seconds if spending.fit else None,
            misfits=misfits,
            decisions=tuple(decision.describe_whole() for decision in decisions),
            methods=tuple(recipe.methods),
        )

    def _read_records(self) -> tuple[dict[str, Record], dict[str, float]]:
        """Return the records that can be read, and when each was written, by trial id."""
        for folder in list_recorded_trials(self.path):
            try:
                status = (folder / RECORD).stat()
                state = status.st_mtime_ns, status.st_size
                if self._records.get(folder, (None,))[0] != state:
                    self._records[folder] = state, read_record(folder)
            except (OSError, RunError):  # being written or removed at this moment, or damaged
                self._records.pop(folder, None)
        present = {folder: kept for folder, kept in self._records.items() if (folder / RECORD).exists()}
        self._records = present
        records = {folder.name: record for folder, (_, record) in present.items()}
        return records, {folder.name: state[0] / 1e9 for folder, (state, _) in present.items()}

    def _make_plan(self, recipe: Recipe, records: Mapping[str, Record]) -> Mapping[str, Count]:
        """Return the counts of a run whose processes wrote none, such as one of an early version."""
        if not records:
            return {}
        try:
            samples = RunDirectory(self.path).read_data().train_samples
            planner = Planner(recipe, next(iter(records.values())).trial.setting, records, samples)
            return {stage: Count(done=tally.done, of=tally.of) for stage, tally in planner.tally_stages().items()}
        except TuneoffError:
            return {}

    def _find_verdict(self, recipe: Recipe, records: Mapping[str, Record], spending: Spending) -> Verdict:
        """Return what valid looks decided. It is computed again only when a trial on the test split has ended."""
        tested = {id: record for id, record in records.items() if record.trial.stage == "confirm"}
        key = (recipe, tuple(sorted((id, record.status, len(record.scores)) for id, record in tested.items())))
        if self._verdict is None or self._verdict[0] != key:
            self._verdict = key, self._judge(recipe, tuple(records.values()), spending) if tested else NOT_YET
        return self._verdict[1]

    def _judge(self, recipe: Recipe, records: Sequence[Record], spending: Spending) -> Verdict:
        try:
            run = RunDirectory(self.path).read()
            chosen = select_records(recipe, records, run.data.train_samples)
            if recipe.until_decided is None and find_missing(recipe, chosen) is not None:
                return _say_when(recipe)
            return _describe(judge(replace(run, recipe=recipe, records=chosen), spending))
        except TuneoffError as error:
            return Verdict(is_decided=False, lines=(f"No verdict: {escape_control(str(error))}",))


def _find_plan(workers: Sequence[Worker]) -> Mapping[str, Count] | None:
    """Return the counts that were written last."""
    plans = [event for worker in workers for event in worker.events if event.plan is not None]
    return max(plans, key=lambda event: event.at).plan if plans else None


def _is_alive(worker: Worker) -> bool | None:
    """Return whether a process that has not said that it is over still runs; None on another machine."""
    host, _, pid = worker.name.rpartition(" ")
    if host != get_host() or not pid.isdecimal():
        return None
    try:
        return bool(
            psutil.Process(int(pid)).create_time() <= worker.events[0].at + 1
        )  # a later one has only its number
    except psutil.Error:
        return False


def _say_when(recipe: Recipe) -> Verdict:
    return Verdict(
        is_decided=False,
        lines=(
            "Not decided yet.",
            "This comparison is judged once, when every seed of every method is done: a verdict that is read again "
            "after each trial finds differences that are not there. `until_decided: true` allows for looks on the way.",
        ),
    )


def _describe(comparison: Comparison) -> Verdict:
    """Describe the looks of a comparison that runs until it is decided, or the verdict of a finished one."""
    looks = [f"After {look.seeds} seeds: {look.dropped}" for look in list_looks(comparison)]
    rounds = comparison.rounds
    is_decided = comparison.partial is None if rounds is None else rounds.is_decided or not rounds.next_seeds
    verdict = describe_verdict(comparison)
    lines = (verdict.headline, *verdict.points) if is_decided else ("Not decided yet.",)
    return Verdict(is_decided=is_decided, lines=(*lines, *looks))
