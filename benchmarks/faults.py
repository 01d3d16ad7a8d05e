"""Disturb the workers of a comparison and the comparison itself at many moments, and compare the records with those of
an undisturbed comparison in one process: `python -m benchmarks.faults --faults 100`.

Workers are killed with SIGKILL; put to sleep for so long that another one takes their trial, and woken again; or
started with so little room for files that their disk seems full. The comparison is killed, and started again. Whatever
ended is started again, as a supervisor or a scheduler does. With `--share` they share a URL and no folder.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

import tuneoff.api.working
import tuneoff.runner.driver
import tuneoff.runner.worker
from benchmarks.kills import finish, make_tiny_recipe, plan_moment, read_results
from tuneoff.evaluation import latency
from tuneoff.report import page
from tuneoff.runner import driver, worker
from tuneoff.runner.listener import SilentListener
from tuneoff.runs import attempt_files, lease_objects, leases, shared_work
from tuneoff.runs.share_url import get_scratch_folder
from tuneoff.system.supervisor import WORKER_VARIABLE
from tuneoff.training import checkpoint

WORKERS = 2
STALE_SECONDS = 2.0
FULL_BYTES = 8192  # of the largest file that a worker with a full disk can write; a checkpoint is larger
MOMENTS = (None, "work/attempts/*/checkpoint.safetensors", "work/attempts/*/.checkpoint.*", "work/attempts/*/adapter",
           "work/attempts/*/curve.jsonl", "trials/*/record.json")  # fmt: skip
LONGEST_SECONDS = 3.0  # until a fault, where nothing appears in the meantime


@dataclass
class Outcome:
    """What was done to a comparison, and what became of it."""

    faults: Counter[str] = field(default_factory=Counter)
    attempts: int = 0  # after the first, of any trial: work that was gone on with
    finished: int = 0
    differing: list[str] = field(default_factory=list)


def disturb_repeatedly(
    recipe: Mapping[str, Any], folder: Path, faults: int, draw: random.Random, share: str | None = None
) -> Outcome:
    """Disturb a comparison `faults` times. When a run finishes, the next one uses a new run directory.

    Args:
        share: a URL for what the comparison and its workers agree on; None: the run directory.
    """
    finish(recipe, folder / "undisturbed", report=False)
    expected, outcome = read_results(folder / "undisturbed"), Outcome()
    kinds = itertools.cycle(FAULTS)
    kind = next(kinds)
    for number in itertools.count():
        cluster = Cluster(recipe, folder / f"disturbed-{number}", share and f"{share}/{number}", outcome)
        while sum(outcome.faults.values()) < faults and cluster.is_running():
            cluster.wait_for(draw.choice(MOMENTS), draw.uniform(0.2, LONGEST_SECONDS))
            if cluster.is_running() and FAULTS[kind](cluster, draw):
                outcome.faults[kind] += 1
                kind = next(kinds)
        cluster.finish()
        results = read_results(cluster.run)
        outcome.finished += 1
        names = expected.keys() | results.keys()
        outcome.differing += [name for name in names if expected.get(name) != results.get(name)]
        if sum(outcome.faults.values()) >= faults:
            return outcome
    raise AssertionError("counting never ends")


class Cluster:
    """A comparison and its workers, each of which is started again when it has ended."""

    def __init__(self, recipe: Mapping[str, Any], run: Path, share: str | None, outcome: Outcome) -> None:
        self.run, self.share, self._recipe, self._outcome = run, share, recipe, outcome
        self.home = get_scratch_folder(share) if share else run  # of the workers
        self.driver = _start(_compare, recipe, run, share)
        self.workers: list[BaseProcess] = []
        self._seen: set[str] = set()

    def is_running(self) -> bool:
        """Start again what has ended. Return whether the comparison goes on."""
        if self.driver.exitcode not in {None, 0}:
            if self.driver.exitcode > 0:
                raise RuntimeError(f"the comparison in {self.run} ended with {self.driver.exitcode}")
            self.driver = _start(_compare, self._recipe, self.run, self.share)
        if not _is_led(self.run, self.share):
            return self.driver.exitcode is None
        self.workers = [process for process in self.workers if process.exitcode is None]
        while len(self.workers) < WORKERS and self.driver.exitcode is None:
            self.workers.append(_start(_work, self.run, self.share, None))
        names = {file.name for file in self.home.glob("work/attempts/*") if file.name.split(".")[1] > "1"}
        self._outcome.attempts += len(names - self._seen)
        self._seen |= names
        return self.driver.exitcode is None

    def is_at_work(self) -> bool:
        """Return whether there are workers, and one of them has begun a trial."""
        return bool(self.workers) and any(self.home.glob("work/attempts/*"))

    def wait_for(self, target: str | None, seconds: float) -> None:
        """Wait until something new appears, or for some seconds."""
        root = self.home if target and target.startswith("work") else self.run
        is_moment, end = plan_moment(target, root, seconds), time.monotonic() + seconds
        while not is_moment() and time.monotonic() < end and self.is_running():
            time.sleep(0.002)

    def finish(self) -> None:
        """Let the comparison finish, and wait for its workers."""
        while self.is_running():
            time.sleep(0.02)
        for process in self.workers:
            process.join()


def _kill_worker(cluster: Cluster, draw: random.Random) -> bool:
    return cluster.is_at_work() and _signal(draw.choice(cluster.workers), signal.SIGKILL)


def _kill_driver(cluster: Cluster, _: random.Random) -> bool:
    return _signal(cluster.driver, signal.SIGKILL)


def _put_to_sleep(cluster: Cluster, draw: random.Random) -> bool:
    """Let a worker sleep for so long that its lease is stale, and wake it."""
    if not cluster.is_at_work():
        return False
    sleeper = draw.choice(cluster.workers)
    if not _signal(sleeper, signal.SIGSTOP):
        return False
    cluster.wait_for("trials/*/record.json", 3 * STALE_SECONDS)
    time.sleep(1.5 * STALE_SECONDS)
    return _signal(sleeper, signal.SIGCONT)


def _fill_disk(cluster: Cluster, draw: random.Random) -> bool:
    """Put one that cannot write a file as large as a checkpoint in the place of a worker."""
    if not _kill_worker(cluster, draw):
        return False
    cluster.workers.append(_start(_work, cluster.run, cluster.share, FULL_BYTES))
    return True


FAULTS: dict[str, Callable[[Cluster, random.Random], bool]] = {
    "worker killed": _kill_worker,
    "worker slept": _put_to_sleep,
    "comparison killed": _kill_driver,
    "disk full": _fill_disk,
}


def _signal(process: BaseProcess, number: signal.Signals) -> bool:
    if process.exitcode is not None or process.pid is None:
        return False
    os.kill(process.pid, number)
    if number == signal.SIGKILL:
        process.join()
    return True


def _start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["benchmarks.faults"])
    process = server.Process(target=target, args=arguments)
    process.start()
    return process


def _compare(recipe: Mapping[str, Any], run: Path, share: str | None) -> None:
    """Lead a comparison whose workers are started by others."""
    _hurry()
    tuneoff.compare(recipe, run=run, engine="manual", share=share, threads=1, listener=SilentListener())


def _work(run: Path, share: str | None, most_bytes: int | None) -> None:
    _hurry()
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    try:
        tuneoff.api.working.work(share or run, listener=SilentListener())
    except tuneoff.TuneoffError:
        if not most_bytes and _is_led(run, share):
            raise


def _is_led(run: Path, share: str | None) -> bool:
    """Return whether there is a comparison for workers to join."""
    return (run / "share.json").exists() if share else (run / "work" / "session.json").exists()


def _hurry() -> None:
    """Write checkpoints and look at each other much more often than on a real machine."""
    os.environ[WORKER_VARIABLE] = "a scheduler"  # it does not outlive a death to say so
    torch.set_num_threads(1)
    checkpoint.MIN_INTERVAL_SECONDS, checkpoint.MIN_INTERVAL_WRITES = 0.0, 3
    latency.REPEATS, latency.NEW_TOKENS = 1, 2
    leases.BEAT_SECONDS, leases.STALE_SECONDS = 0.1, STALE_SECONDS
    lease_objects.BEAT_SECONDS, lease_objects.STALE_SECONDS = 0.2, STALE_SECONDS
    attempt_files.KEEP_SECONDS, shared_work.POLL_SECONDS = 0.05, 0.05
    worker.POLL_SECONDS, driver.POLL_SECONDS, driver.REPLAN_SECONDS = 0.05, 0.05, 0.5
    page.write_report = lambda *_, **__: None  # type: ignore[assignment]  # it takes longer than everything else


def make_search_recipe(folder: Path) -> dict[str, Any]:
    """Return a recipe with rungs that continue from each other's checkpoints."""
    small = {"methods": {"base": None, "lora": {"dropout": 0.3}}, "training": {"epochs": 8, "batch_size": 2}}
    return make_tiny_recipe(folder) | small | {"search": {"configurations": 2, "rungs": 2}, "seeds": [1, 2]}


def main() -> None:
    """Disturb comparisons at random moments, and print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", help="a URL, or `folder` for one of this machine", metavar="URL")
    options = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUNEOFF_CACHE"] = str(Path(folder, "cache"))
        recipe = make_search_recipe(Path(folder))
        share = f"file://{folder}/share" if options.share == "folder" else options.share
        outcome = disturb_repeatedly(recipe, Path(folder), options.faults, random.Random(options.seed), share)
    print("| fault | times |\n| --- | ---: |")
    for kind, count in outcome.faults.items():
        print(f"| {kind} | {count} |")
    equal = "all records equal, to the last bit" if not outcome.differing else f"NOT equal: {outcome.differing}"
    print(f"\n{outcome.finished} runs finished; {outcome.attempts} attempts went on with another's work; {equal}.")


if __name__ == "__main__":
    main()
