"""Kill comparisons with SIGKILL at many moments, let them go on until they are done, and hold the records against those
of undisturbed ones: `python -m benchmarks.kills --kills 100`.

A fork server has imported everything once, so that a process costs no start. Checkpoints are written as often as can
be. Some kills strike at a random moment, the others when a file appears that tells where the work is; what lies there
after a kill tells where it struck.
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

import altair  # noqa: F401, what a comparison imports when it needs it, the fork server has already
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

STEPS_OF_EPOCH = 4  # of `tiny`: seven rows for training, two at a time
MIDWAY = {"training", "checkpoint writing"}
CLOCKED = {"train_seconds", "evaluation_seconds"}  # of a curve's row
COUNTED = {"trainable_parameters", "total_parameters", "context_tokens", "adapter_bytes"}  # the costs without a clock
AIMS = {  # what appears where the work is, as a pattern in the run directory
    "training": "trials/*/checkpoint.safetensors",
    "checkpoint writing": "trials/*/.checkpoint.*",
    "evaluation": "trials/*/adapter",
    "record writing": "trials/*/curve.jsonl",
    "report writing": "report",
}


@dataclass
class Outcome:
    """What became of one comparison that was killed again and again, in one run directory or in several."""

    struck: Counter[str] = field(default_factory=Counter)
    midway: int = 0  # kills in a training that left some of its steps done, and some not
    finished: int = 0
    differing: list[str] = field(default_factory=list)


def killed(recipe: Mapping[str, Any], folder: Path, kills: int, draw: random.Random, *, report: bool) -> Outcome:
    """Kill as often as asked, beginning a new run directory whenever one came to its end."""
    undisturbed, seconds = folder / "undisturbed", time.monotonic()
    _to_the_end(recipe, undisturbed, report)
    seconds = time.monotonic() - seconds
    expected, outcome = results(undisturbed), Outcome()
    whole = STEPS_OF_EPOCH * recipe["training"]["epochs"]
    aims = itertools.cycle([None, *(aim for aim in AIMS.values() if report or aim != AIMS["report writing"])])
    for number in itertools.count():
        run = folder / f"killed-{number}"
        while sum(outcome.struck.values()) < kills:
            ended = _strike(recipe, run, report, _moment(next(aims), run, draw.uniform(0, seconds)))
            if ended is None:
                place = _place(run)
                outcome.struck[place] += 1
                outcome.midway += place in MIDWAY and any(0 < steps < whole for steps in _steps(run))
            elif ended != 0:
                raise RuntimeError(f"the comparison in {run} ended with {ended}")
            else:
                break
        _to_the_end(recipe, run, report)
        found = results(run)
        outcome.finished += 1
        outcome.differing += [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
        if sum(outcome.struck.values()) >= kills:
            return outcome
    raise AssertionError("counting never ends")


def results(run: Path) -> dict[str, str]:
    """All that must be equal, by trial: record, curve and predictions without clocks and memory, and the weights."""
    found = {}
    for record in RunDirectory(run).read_records():
        weights = sorted((run / "trials" / record.trial.id).glob("adapter/*.safetensors"))
        sums = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in weights]
        name = f"{record.trial.label} {record.trial.stage} {record.trial.rungs} {record.trial.id}"
        found[name] = json.dumps([_without_clocks(record), sums])
    return found


def _without_clocks(record: Record) -> dict[str, Any]:
    return {
        **record.model_dump(mode="json", exclude={"costs"}),
        "costs": record.costs and record.costs.model_dump(include=COUNTED),
        "curve": [row.model_dump(exclude=CLOCKED) for row in record.curve],
        "predictions": [answer.model_dump() for answer in record.predictions],
    }


def _moment(aim: str | None, run: Path, seconds: float) -> Callable[[], bool]:
    """Whether the moment to kill has come: a random one, or that at which something new appears."""
    if aim is None:
        end = time.monotonic() + seconds
        return lambda: time.monotonic() >= end
    before = _seen(aim, run)
    return lambda: _seen(aim, run) != before


def _seen(aim: str, run: Path) -> dict[str, int]:
    found = {}
    for path in run.glob(aim):
        try:
            found[str(path)] = path.stat().st_mtime_ns
        except OSError:  # gone in between
            continue
    return found


def _strike(recipe: Mapping[str, Any], run: Path, report: bool, has_come: Callable[[], bool]) -> int | None:
    """Begin or go on, and kill when the moment has come; the exit code if it came to its end before."""
    process = _started(recipe, run, report)
    while not has_come() and process.is_alive():
        time.sleep(0.0005)
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return None if process.exitcode == -signal.SIGKILL else process.exitcode


def _to_the_end(recipe: Mapping[str, Any], run: Path, report: bool) -> None:
    for _ in range(2):  # a trial that two kills struck at one place is passed over, and made the next time
        process = _started(recipe, run, report)
        process.join()
        if process.exitcode:
            raise RuntimeError(f"the comparison in {run} ended with {process.exitcode}")
        if all(record.status != "failed" for record in RunDirectory(run).read_records()):
            break


def _started(recipe: Mapping[str, Any], run: Path, report: bool) -> BaseProcess:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["benchmarks.kills"])
    process = server.Process(target=_compare, args=(recipe, run, report))
    process.start()
    return process


def _compare(recipe: Mapping[str, Any], run: Path, report: bool) -> None:
    """What the killed process does."""
    torch.set_num_threads(1)
    checkpoint.MIN_INTERVAL_SECONDS, checkpoint.MIN_INTERVAL_WRITES = 0.0, 3
    latency.REPEATS, latency.NEW_TOKENS = 1, 2
    if not report:
        page.write_report = lambda *_, **__: None  # type: ignore[assignment]  # it takes longer than all the rest
    tuneoff.compare(recipe, run=run, listener=SilentListener(), retry=True)


def _place(run: Path) -> str:
    """Where a kill struck, by what lies there."""
    left = {file.name for folder in _unfinished(run) for file in folder.iterdir()}
    if any(name.startswith(".checkpoint") for name in left):
        return "checkpoint writing"
    if "curve.jsonl" in left or any(name.startswith(".curve") for name in left):
        return "record writing"
    if "adapter" in left:
        return "evaluation"
    if "checkpoint.safetensors" in left:
        return "training"
    return "report writing" if (run / "report").exists() else "beginning"


def _steps(run: Path) -> list[int]:
    """How many each unfinished trial's checkpoint has."""
    return [read_steps(folder / "checkpoint.safetensors") for folder in _unfinished(run)]


def _unfinished(run: Path) -> list[Path]:
    """The folders of trials without a record."""
    return [folder for folder in run.glob("trials/*") if not (folder / "record.json").exists()]


def tiny(folder: Path) -> dict[str, Any]:
    """A comparison of seconds: a tiny GPT-Neo on seven rows, 120 steps, long enough to be struck in the middle."""
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


SETTINGS = {"lora": {"dropout": 0.3}, "peft": {"peft_type": "VERA"}}  # what draws random numbers at every step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ["TUNEOFF_CACHE"] = str(root / "cache")
        base = tiny(root)
        cases: dict[str, dict[str, Any]] = {name: {"methods": {name: SETTINGS.get(name)}} for name in METHODS}
        cases["a search"] = {
            "methods": ["base", "lora"],
            "search": {"configurations": 4},
            "seeds": [1],
            "training": {"epochs": 12, "batch_size": 2},
        }
        print("| what was killed | kills | where they struck | left steps | runs finished | records equal |")
        print("| --- | ---: | --- | ---: | ---: | --- |")
        total, midway, struck = 0, 0, Counter[str]()
        for number, (name, case) in enumerate(cases.items()):
            kills = round((number + 1) * asked.kills / len(cases)) - total
            found = killed(base | case, root / name, kills, draw, report=name == "a search")
            where = ", ".join(f"{place} {count}" for place, count in found.struck.most_common())
            equal = "all, to the last bit" if not found.differing else f"NOT {', '.join(found.differing)}"
            print(f"| {name} | {kills} | {where} | {found.midway} | {found.finished} | {equal} |", flush=True)
            total, midway, struck = total + kills, midway + found.midway, struck + found.struck
        places = ", ".join(f"{place} {count}" for place, count in struck.most_common())
        print(f"\n{total} kills: {places}; {midway} left steps to go on from.")


if __name__ == "__main__":
    main()
