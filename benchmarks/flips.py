"""Flip single bits of every file of a run directory and of the cache, one at a time, and count what happens:
`python -m benchmarks.flips --flips 40`, or `--through compare --flips 4`.

After each flip the run is read as for a report, and `tuneoff verify` is asked; or the same comparison is run once more.
A flip is silent if the results change and nothing says why. A comparison that finds damage trains again, so that its
results must be the same ones whatever was damaged.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

from tests.api.stored_runs import write_run
from tuneoff.api import load_comparison, verify
from tuneoff.budget.spending import SPENT_FILE, Spent, save_json
from tuneoff.errors import TuneoffError
from tuneoff.report.pairwise import format_pairs_csv
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.tables import format_results_csv
from tuneoff.runs import RunDirectory
from tuneoff.runs.decisions import add_decision

SILENT = "results changed silently"


Classify = Callable[[], str]  # returns the outcome for a run with a flipped bit


def make_run(folder: Path) -> Path:
    """Write a run of three methods with two seeds, of which one was left out later, and what was spent on it."""
    run = write_run(folder, methods={"base": {}, "lora": {}, "full": {}}, seeds=[0, 1])
    add_decision(run, RunDirectory(run).read().recipe, "drop-method", by="ada", why="too slow", method="full")
    save_json(Spent(seconds=12.5, trials={next((run / "trials").iterdir()).name: {"confirm": 3.25}}), run / SPENT_FILE)
    return run


def flip_bits(folders: Sequence[Path], classify: Classify, flips: int, seed: int) -> Iterator[tuple[Path, str]]:
    """Flip bits of each file, one at a time, and yield the file with the outcome. All is as before afterwards.

    Args:
        flips: how many for each file, at random places.
    """
    draw = random.Random(seed)
    files = [(folder, file) for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()]
    for folder, file in [(folder, file) for folder, file in files if file.stat().st_size]:
        for _ in range(flips):
            with _kept(folders):
                damaged = bytearray(file.read_bytes())
                bit = draw.randrange(8 * len(damaged))
                damaged[bit // 8] ^= 1 << bit % 8
                file.write_bytes(damaged)
                yield file.relative_to(folder.parent), classify()


@contextlib.contextmanager
def _kept(folders: Sequence[Path]) -> Iterator[None]:
    """Put the folders back as they were before the block."""
    with tempfile.TemporaryDirectory() as copies:
        for number, folder in enumerate(folders):
            shutil.copytree(folder, Path(copies) / str(number), symlinks=True)
        try:
            yield
        finally:
            for number, folder in enumerate(folders):
                shutil.rmtree(folder)
                shutil.copytree(Path(copies) / str(number), folder, symlinks=True)


def prepare_report(run: Path) -> Classify:
    """Return what reads the run as for a report."""
    expected = _read_results(run)
    return lambda: _classify(run, expected)


def prepare_comparison(folder: Path, run: Path) -> Classify:
    """Run a tiny comparison, and return what runs it once more. The trunk of one of its methods is in the cache."""
    from benchmarks.killable import compare_quickly
    from benchmarks.kills import make_tiny_recipe, read_results

    short = {"training": {"epochs": 2, "batch_size": 2}, "methods": ["base", "lora", "last-layer"]}
    recipe = make_tiny_recipe(folder) | short
    compare_quickly(recipe, run, report=False, often=False)
    expected = read_results(run)

    def classify() -> str:
        with _collect_warnings() as warnings:
            try:
                compare_quickly(recipe, run, report=False, often=False)
            except TuneoffError:
                return "refused"
        if read_results(run) != expected:
            return SILENT
        return "made again with a message, equal" if warnings else "nothing changed"

    return classify


@contextlib.contextmanager
def _collect_warnings() -> Iterator[list[logging.LogRecord]]:
    warnings: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = warnings.append  # type: ignore[method-assign]  # the shortest way to collect records
    logger = logging.getLogger("tuneoff")
    logger.addHandler(handler)
    try:
        yield warnings
    finally:
        logger.removeHandler(handler)


def _classify(run: Path, expected: str) -> str:
    with _collect_warnings() as warnings:
        try:
            results = _read_results(run)
        except TuneoffError:
            return "refused"
    if results == expected:
        return "no result changed, and verify finds it" if verify(run).problems else "nothing changed"
    return "left out with a message" if warnings else SILENT


def _read_results(run: Path) -> str:
    """Return what a report says: its scores, costs, differences and verdict, and what was spent."""
    comparison = load_comparison(run)
    spent = comparison.spending.spent if comparison.spending else None
    texts = [
        format_results_csv(comparison),
        format_pairs_csv(comparison),
        str(describe_verdict(comparison)),
        str(spent),
    ]
    return "\n".join(texts)


def main() -> int:
    """Print the outcomes by kind of file; return 1 if any flip was silent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flips", description=__doc__)
    parser.add_argument("--through", choices=("report", "compare"), default="report")
    parser.add_argument("--flips", type=int, default=40, help="of each file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict("os.environ", TUNEOFF_CACHE=folder + "/cache"):
        root, run = Path(folder), Path(folder) / "run"
        classify = prepare_comparison(root, run) if options.through == "compare" else prepare_report(make_run(run))
        outcomes: Counter[tuple[str, str]] = Counter()
        for file, outcome in flip_bits([run, root / "cache"], classify, options.flips, options.seed):
            outcomes["cache: " * (file.parts[0] == "cache") + file.name, outcome] += 1
            print(".", end="", file=sys.stderr, flush=True)
    for (name, outcome), count in sorted(outcomes.items()):
        print(f"{name}: {count} × {outcome}")
    silent = sum(count for (_, outcome), count in outcomes.items() if outcome == SILENT)
    print(f"{sum(outcomes.values())} flips, silent: {silent}")
    return int(silent > 0)


if __name__ == "__main__":
    raise SystemExit(main())
