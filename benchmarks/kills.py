"""Kill comparisons with SIGKILL at many moments, continue them until they are finished, and compare their records with
those of undisturbed comparisons: `python -m benchmarks.kills --kills 100`.

The worker dies alone, or its supervisor alone, or both at once, as where power fails or a scheduler ends the job.
Checkpoints are written very often, or with `--real-interval` as seldom as in a real run. Some kills come at a random
moment, the others when a file appears that shows what the worker is doing. The files that a kill leaves show where it
struck.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from benchmarks.killable import Victim, kill_at, start_supervised, wait
from tests.conftest import save_model, save_rows, save_tokenizer
from tuneoff.methods import METHODS
from tuneoff.records.record import Record
from tuneoff.runs import RunDirectory
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
    victims: Counter[str] = field(default_factory=Counter)
    wronged: int = 0  # trials that failed though never the worker alone died
    resumable: int = 0  # kills after which training resumes from a checkpoint between its first and last step
    finished: int = 0
    differing: list[str] = field(default_factory=list)


def kill_repeatedly(
    recipe: Mapping[str, Any], folder: Path, kills: int, draw: random.Random, *, report: bool, often: bool = True
) -> Outcome:
    """Kill a comparison `kills` times. When a run finishes, the next start uses a new run directory.

    Args:
        often: whether checkpoints are written after every few steps instead of at the real interval.
    """
    undisturbed, seconds = folder / "undisturbed", time.monotonic()
    finish(recipe, undisturbed, report, often=often)
    seconds = time.monotonic() - seconds
    expected, outcome = read_results(undisturbed), Outcome()
    total_steps = STEPS_PER_EPOCH * recipe["training"]["epochs"]
    targets = itertools.cycle([None, *(t for t in TARGETS.values() if report or t != TARGETS["report writing"])])
    victims = itertools.cycle(get_args(Victim))
    for number in itertools.count():
        run, before = folder / f"killed-{number}", outcome.victims.copy()
        while sum(outcome.kills.values()) < kills:
            victim, is_moment = next(victims), plan_moment(next(targets), run, draw.uniform(0, seconds))
            process = start_supervised(recipe, run, report=report, often=often)
            if kill_at(is_moment, victim, process, run):
                phase = _find_phase(run)
                outcome.kills[phase] += 1
                outcome.victims[victim] += 1
                outcome.resumable += phase in IN_TRAINING and any(0 < s < total_steps for s in _read_steps(run))
            code = wait(process, run)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                raise RuntimeError(f"the comparison in {run} ended with {code}")
        if outcome.victims["worker"] == before["worker"]:
            outcome.wronged += sum(record.status == "failed" for record in RunDirectory(run).read_records())
        finish(recipe, run, report, often=often)
        results = read_results(run)
        outcome.finished += 1
        names = expected.keys() | results.keys()
        outcome.differing += [name for name in names if expected.get(name) != results.get(name)]
        if sum(outcome.kills.values()) >= kills:
            return outcome
    raise AssertionError("counting never ends")


def read_results(run: Path) -> dict[str, str]:
    """Return what must be equal, by trial: record, curve and predictions without times and memory, and the adapter."""
    results = {}
    for record in RunDirectory(run).read_records():
        saved = sorted(file for file in (run / "trials" / record.trial.id / "adapter").rglob("*") if file.is_file())
        checksums = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in saved]
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


def finish(recipe: Mapping[str, Any], run: Path, report: bool, *, often: bool = True) -> None:
    """Run a comparison to its end, without a disturbance."""
    for _ in range(2):  # a trial in which the worker died twice at one step is skipped, and run at the next start
        process = start_supervised(recipe, run, report=report, often=often)
        if code := wait(process, run):
            raise RuntimeError(f"the comparison in {run} ended with {code}")
        if all(record.status != "failed" for record in RunDirectory(run).read_records()):
            break


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
        "seeds": [0, 1],
    }  # fmt: skip


COLUMNS = ("comparison", "kills", "killed during", "who died", "resumed from a checkpoint", "runs finished",
           "wrongly failed", "records equal")  # fmt: skip
SEARCH = "a search within a budget"
OPTIONS = {"lora": {"dropout": 0.3}, "peft": {"peft_type": "VERA"}}  # dropout draws random numbers at every step


def main() -> int:
    """Kill comparisons at random moments, and print how they ended. Return 1 if any record differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="methods, or `a search within a budget`; all by default")
    parser.add_argument("--real-interval", action="store_true", help="write checkpoints as seldom as in a real run")
    options = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["TUNEOFF_CACHE"] = str(root / "cache")
        base, cases = make_tiny_recipe(root), make_cases(options.only)
        print("| " + " | ".join(COLUMNS) + " |\n| --- | ---: | --- | --- | ---: | ---: | ---: | --- |")
        total = Outcome()
        for number, (name, case) in enumerate(cases.items()):
            kills = round((number + 1) * options.kills / len(cases)) - sum(total.kills.values())
            report, often = name == SEARCH, not options.real_interval
            outcome = kill_repeatedly(base | case, root / name, kills, draw, report=report, often=often)
            print(_format_row(name, outcome), flush=True)
            total.kills += outcome.kills
            total.victims += outcome.victims
            total.resumable, total.finished = total.resumable + outcome.resumable, total.finished + outcome.finished
            total.wronged, total.differing = total.wronged + outcome.wronged, total.differing + outcome.differing
        print(_format_row("all", total))
    return int(bool(total.differing or total.wronged))


def make_cases(only: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """Return the changes of the recipe, by the name of the comparison."""
    cases: dict[str, dict[str, Any]] = {
        name: {"methods": {name: OPTIONS.get(name)}}
        for name, method in METHODS.items()
        if method.trains or method.is_base
    }
    cases[SEARCH] = {
        "methods": ["base", "lora"],
        "search": {"configurations": 4},
        "seeds": [1, 2],
        "training": {"epochs": 12, "batch_size": 2},
        "budget": {"time": "10h"},
    }
    return {name: case for name, case in cases.items() if not only or name in only}


def _format_row(name: str, outcome: Outcome) -> str:
    equal = "all, to the last bit" if not outcome.differing else f"NOT {', '.join(outcome.differing)}"
    counts = sum(outcome.kills.values()), _format_phases(outcome.kills), _format_phases(outcome.victims)
    results = outcome.resumable, outcome.finished, outcome.wronged, equal
    return f"| {' | '.join(map(str, (name, *counts, *results)))} |"


def _format_phases(kills: Counter[str]) -> str:
    return ", ".join(f"{phase} {count}" for phase, count in kills.most_common())


if __name__ == "__main__":
    raise SystemExit(main())
