"""Kill comparisons with SIGKILL at many moments, continue them until they are finished, and compare their records with
those of undisturbed comparisons: `python -m benchmarks.kills --kills 100`.

A fork server imports everything once, so that processes start fast. Checkpoints are written very often. Some kills come
at a random moment, the others when a file appears that shows what the process is doing. The files that a kill leaves
show where it struck.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import altair  # noqa: F401, the fork server imports what a comparison would import later
import datasets  # noqa: F401
import optuna  # noqa: F401
import peft  # noqa: F401
import scipy.stats  # noqa: F401
import torch
import transformers.models.gpt_neo.modeling_gpt_neo
import transformers.trainer_pt_utils  # noqa: F401

import tuneoff
import tuneoff.api
import tuneoff.budget.limit
import tuneoff.runner.local_engine
import tuneoff.runner.prepare
from tests.conftest import save_model, save_rows, save_tokenizer
from tuneoff.evaluation import latency
from tuneoff.methods import METHODS
from tuneoff.records.record import Record
from tuneoff.report import page
from tuneoff.runner.listener import SilentListener
from tuneoff.runs import RunDirectory
from tuneoff.training import checkpoint
from tuneoff.training.checkpoint import read_steps

STEPS_PER_EPOCH = 4  # in `make_tiny_recipe`: seven training rows in batches of two
IN_TRAINING = {"training", "checkpoint writing"}
TIMES = {"train_seconds", "evaluation_seconds"}  # of a row of the curve
COUNTS = {"trainable_parameters", "total_parameters", "context_tokens", "adapter_bytes"}  # costs without times
TARGETS = {  # the file that appears in a phase, as a pattern in the run directory
    "training": "trials/*/checkpoint.safetensors",
    "checkpoint writing": "trials/*/.checkpoint.*",
    "evaluation": "trials/*/adapter",
    "record writing": "trials/*/curve.jsonl",
    "report writing": "report",
}


@dataclass
class Outcome:
    """The result of killing one comparison again and again, in one run directory or in several."""

    kills: Counter[str] = field(default_factory=Counter)  # by phase
    resumable: int = 0  # kills after which training resumes from a checkpoint between its first and last step
    finished: int = 0
    differing: list[str] = field(default_factory=list)


def kill_repeatedly(
    recipe: Mapping[str, Any], folder: Path, kills: int, draw: random.Random, *, report: bool
) -> Outcome:
    """Kill a comparison `kills` times. When a run finishes, the next start uses a new run directory."""
    undisturbed, seconds = folder / "undisturbed", time.monotonic()
    finish(recipe, undisturbed, report)
    seconds = time.monotonic() - seconds
    expected, outcome = read_results(undisturbed), Outcome()
    total_steps = STEPS_PER_EPOCH * recipe["training"]["epochs"]
    targets = itertools.cycle([None, *(t for t in TARGETS.values() if report or t != TARGETS["report writing"])])
    for number in itertools.count():
        run = folder / f"killed-{number}"
        while sum(outcome.kills.values()) < kills:
            code = _run_and_kill(recipe, run, report, plan_moment(next(targets), run, draw.uniform(0, seconds)))
            if code is None:
                phase = _find_phase(run)
                outcome.kills[phase] += 1
                outcome.resumable += phase in IN_TRAINING and any(0 < s < total_steps for s in _read_steps(run))
            elif code != 0:
                raise RuntimeError(f"the comparison in {run} ended with {code}")
            else:
                break
        finish(recipe, run, report)
        results = read_results(run)
        outcome.finished += 1
        names = expected.keys() | results.keys()
        outcome.differing += [name for name in names if expected.get(name) != results.get(name)]
        if sum(outcome.kills.values()) >= kills:
            return outcome
    raise AssertionError("counting never ends")


def read_results(run: Path) -> dict[str, str]:
    """Return what must be equal, by trial: record, curve and predictions without times and memory, and the weights."""
    results = {}
    for record in RunDirectory(run).read_records():
        weights = sorted((run / "trials" / record.trial.id).glob("adapter/*.safetensors"))
        checksums = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in weights]
        name = f"{record.trial.label} {record.trial.stage} {record.trial.rungs} {record.trial.id}"
        results[name] = json.dumps([_remove_times(record), checksums])
    return results


def _remove_times(record: Record) -> dict[str, Any]:
    return {
        **record.model_dump(mode="json", exclude={"costs"}),
        "costs": record.costs and record.costs.model_dump(include=COUNTS),
        "curve": [row.model_dump(exclude=TIMES) for row in record.curve],
        "predictions": [answer.model_dump() for answer in record.predictions],
    }


def plan_moment(target: str | None, run: Path, seconds: float) -> Callable[[], bool]:
    """Return a function that says whether to kill now: after some seconds, or when something new appears."""
    if target is None:
        end = time.monotonic() + seconds
        return lambda: time.monotonic() >= end
    before = _read_write_times(target, run)
    return lambda: _read_write_times(target, run) != before


def _read_write_times(pattern: str, run: Path) -> dict[str, int]:
    times = {}
    for path in run.glob(pattern):
        try:
            times[str(path)] = path.stat().st_mtime_ns
        except OSError:  # removed in the meantime
            continue
    return times


def _run_and_kill(recipe: Mapping[str, Any], run: Path, report: bool, is_moment: Callable[[], bool]) -> int | None:
    """Start or continue a run and kill it at the moment. Return None, or the exit code if it ended before."""
    process = _start(recipe, run, report)
    while not is_moment() and process.is_alive():
        time.sleep(0.0005)
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return None if process.exitcode == -signal.SIGKILL else process.exitcode


def finish(recipe: Mapping[str, Any], run: Path, report: bool) -> None:
    """Run a comparison to its end, without a disturbance."""
    for _ in range(2):  # a trial that was killed twice at one step is skipped, and run at the next start
        process = _start(recipe, run, report)
        process.join()
        if process.exitcode:
            raise RuntimeError(f"the comparison in {run} ended with {process.exitcode}")
        if all(record.status != "failed" for record in RunDirectory(run).read_records()):
            break


def _start(recipe: Mapping[str, Any], run: Path, report: bool) -> BaseProcess:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["benchmarks.kills"])
    process = server.Process(target=_compare, args=(recipe, run, report))
    process.start()
    return process


def _compare(recipe: Mapping[str, Any], run: Path, report: bool) -> None:
    """Run a comparison. This is the process that is killed."""
    torch.set_num_threads(1)
    checkpoint.MIN_INTERVAL_SECONDS, checkpoint.MIN_INTERVAL_WRITES = 0.0, 3
    latency.REPEATS, latency.NEW_TOKENS = 1, 2
    if not report:
        page.write_report = lambda *_, **__: None  # type: ignore[assignment]  # it takes longer than everything else
    tuneoff.compare(recipe, run=run, listener=SilentListener(), retry=True)


def _find_phase(run: Path) -> str:
    """Return the phase in which a run was killed, from the files that it left."""
    names = {file.name for folder in _list_unfinished(run) for file in folder.iterdir()}
    if any(name.startswith(".checkpoint") for name in names):
        return "checkpoint writing"
    if "curve.jsonl" in names or any(name.startswith(".curve") for name in names):
        return "record writing"
    if "adapter" in names:
        return "evaluation"
    if "checkpoint.safetensors" in names:
        return "training"
    return "report writing" if (run / "report").exists() else "start"


def _read_steps(run: Path) -> list[int]:
    """Return the steps in the checkpoint of each unfinished trial."""
    return [read_steps(folder / "checkpoint.safetensors") for folder in _list_unfinished(run)]


def _list_unfinished(run: Path) -> list[Path]:
    """Return the folders of the trials without a record."""
    return [folder for folder in run.glob("trials/*") if not (folder / "record.json").exists()]


def make_tiny_recipe(folder: Path) -> dict[str, Any]:
    """Return a recipe that takes seconds: a tiny GPT-Neo, seven rows, and 120 steps to be killed between."""
    save_tokenizer(folder / "model")
    save_model("gpt_neo", folder / "model")
    save_rows(folder / "text.jsonl")
    return {
        "name": "tiny",
        "model": {"name": str(folder / "model"), "precision": "float32", "device": "cpu"},
        "data": {"source": "jsonl", "files": str(folder / "text.jsonl"), "sizes": {"validation": 2, "test": 3},
                 "max_tokens": 64, "max_target_tokens": 24},
        "training": {"epochs": 30, "batch_size": 2},
        "evaluation": {"generation": {"max_new_tokens": 4}, "unrelated_passages": 2},
    }  # fmt: skip


OPTIONS = {"lora": {"dropout": 0.3}, "peft": {"peft_type": "VERA"}}  # dropout draws random numbers at every step


def main() -> None:
    """Kill comparisons at random moments, and print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["TUNEOFF_CACHE"] = str(root / "cache")
        base = make_tiny_recipe(root)
        cases: dict[str, dict[str, Any]] = {name: {"methods": {name: OPTIONS.get(name)}} for name in METHODS}
        cases["a search"] = {
            "methods": ["base", "lora"],
            "search": {"configurations": 4},
            "seeds": [1],
            "training": {"epochs": 12, "batch_size": 2},
        }
        print("| comparison | kills | killed during | resumed from a checkpoint | runs finished | records equal |")
        print("| --- | ---: | --- | ---: | ---: | --- |")
        total, resumable, by_phase = 0, 0, Counter[str]()
        for number, (name, case) in enumerate(cases.items()):
            kills = round((number + 1) * options.kills / len(cases)) - total
            outcome = kill_repeatedly(base | case, root / name, kills, draw, report=name == "a search")
            equal = "all, to the last bit" if not outcome.differing else f"NOT {', '.join(outcome.differing)}"
            phases, finished = _format_phases(outcome.kills), outcome.finished
            print(f"| {name} | {kills} | {phases} | {outcome.resumable} | {finished} | {equal} |", flush=True)
            total, resumable = total + kills, resumable + outcome.resumable
            by_phase += outcome.kills
        print(f"\n{total} kills: {_format_phases(by_phase)}; {resumable} runs resumed from a checkpoint.")


def _format_phases(kills: Counter[str]) -> str:
    return ", ".join(f"{phase} {count}" for phase, count in kills.most_common())


if __name__ == "__main__":
    main()
