"""A comparison of thousands of trials on a thousand workers, simulated: `python -m benchmarks.simulation`.

The real planner decides what is open and takes the records; a training only has a duration and a score. Some attempts
are lost, as where a node dies, and go on 30 seconds later. Printed are the CPU seconds of the process that leads, and
how many files it and its workers look at, which a shared folder has to bear.
"""

from __future__ import annotations

import argparse
import heapq
import random
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np

from benchmarks.search_calibration import RANGES, World, draw_response, make_setting
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner import driver
from tuneoff.runner.planner import Planner
from tuneoff.runs.leases import STALE_SECONDS, LeaseFolder, Watcher

MEAN_SECONDS, LOSS_RATE = 600.0, 0.05  # of a full training; of attempts that are lost
COUNTED = {"decide": 0.0, "add": 0.0}


def make_recipe(labels: int, configurations: int, seeds: int) -> Recipe:
    """Return a recipe whose methods are all full tuning, under several labels."""
    names = [f"m{number}" for number in range(labels)]
    space = {"learning_rate": {"low": RANGES["a"][0], "high": RANGES["a"][1]}}
    return Recipe.read(
        {
            "name": "r", "model": {"name": "m"}, "data": {"source": "aclsum"}, "seeds": list(range(1, seeds + 1)),
            "methods": {name: {"method": "full", "learning_rate": 1e-4, "weight_decay": 0.0} for name in names},
            "search": {"configurations": configurations, "spaces": dict.fromkeys(names, space)},
        }
    )  # fmt: skip


def simulate(recipe: Recipe, workers: int, draw: random.Random) -> tuple[int, int, float]:
    """Run the trials of a recipe. Return how many records and lost attempts there were, and the simulated seconds."""
    generator, setting = np.random.default_rng(0), make_setting()
    responses = {label: draw_response(World(), "a", generator, 0.0) for label in recipe.methods}
    planner, known = Planner(recipe, setting, {}), set[str]()
    now, lost, free = 0.0, 0, workers
    running: list[tuple[float, str, Trial, bool]] = []  # when it ends, and whether it is lost then
    busy: set[str] = set()
    while True:
        started = time.process_time()
        opened = planner.list_open()
        COUNTED["decide"] += time.process_time() - started
        waiting = deque(trial for trial in opened if trial.id not in busy)
        while free and waiting:
            trial = waiting.popleft()
            seconds = MEAN_SECONDS * trial.rungs[-1] * draw.lognormvariate(0, 0.5)
            is_lost = draw.random() < LOSS_RATE
            seconds = seconds * draw.random() + STALE_SECONDS if is_lost else seconds
            heapq.heappush(running, (now + seconds, trial.id, trial, is_lost))
            busy.add(trial.id)
            free -= 1
        if not running:
            return len(known), lost, now
        end = running[0][0] + driver.POLL_SECONDS
        while running and running[0][0] <= end:  # all that one look finds
            now, id, trial, is_lost = heapq.heappop(running)
            busy.discard(id)
            free, lost = free + 1, lost + is_lost
            if not is_lost:
                known.add(id)
                record = _make_record(trial, responses[trial.label].compute_loss, generator)
                started = time.process_time()
                planner.add(record)
                planner.take_needless_checkpoints(trial.label)
                planner.tally_stages()
                COUNTED["add"] += time.process_time() - started


def _make_record(trial: Trial, compute_loss, generator: np.random.Generator) -> Record:  # type: ignore[no-untyped-def]
    loss = compute_loss(trial.hyperparameters["learning_rate"], trial.rungs[-1]) + 0.006 * generator.standard_normal()
    return Record(trial=trial, status="done", scores={"validation/loss": loss})


def measure_leases(count: int) -> tuple[float, float]:
    """Return the CPU seconds of one look at the leases of `count` running trials, and of claiming one."""
    with tempfile.TemporaryDirectory() as folder:
        watcher = Watcher(LeaseFolder(Path(folder)))
        leases = [lease for number in range(count) if (lease := watcher.claim(f"{number:012x}", 0))]
        started = time.process_time()
        for name, attempt in watcher.list_attempts().items():
            watcher.read(name, attempt)
        look = time.process_time() - started
        started = time.process_time()
        for lease in leases:
            lease.beat()
        return look, (time.process_time() - started) / count


def main() -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--methods", type=int, default=12)
    parser.add_argument("--configurations", type=int, default=440)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recipe = make_recipe(options.methods, options.configurations, options.seeds)
    records, lost, simulated = simulate(recipe, options.workers, random.Random(options.seed))
    look, beat = measure_leases(options.workers)
    decide, add = COUNTED["decide"], COUNTED["add"]
    rows = {
        "records": f"{records}",
        "attempts that were lost": f"{lost}",
        "simulated hours": f"{simulated / 3600:.1f}",
        "records per simulated second": f"{records / simulated:.1f}",
        "CPU ms to take a record into account": f"{1000 * add / records:.2f}",
        "CPU ms to decide what is open, per record": f"{1000 * decide / records:.2f}",
        "records per CPU second of the leading process": f"{records / (add + decide):.0f}",
        f"CPU ms of one look at {options.workers} leases": f"{1000 * look:.0f}",
        "CPU ms of one sign of life": f"{1000 * beat:.2f}",
    }
    print("| what | value |\n| --- | ---: |")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
