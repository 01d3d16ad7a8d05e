"""Flip single bits of every file of a run directory, and count what happens: `python -m benchmarks.flips --flips 40`.

After each flip the run is read as for a report, and `tuneoff verify` is asked. A flip is silent if the results change
and nothing says why.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.api.stored_runs import write_run
from tuneoff.api import load_comparison, verify
from tuneoff.budget.spending import SPENT_FILE, Spent, save_json
from tuneoff.errors import TuneoffError
from tuneoff.report.pairwise import format_pairs_csv
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.tables import format_results_csv

SILENT = "results changed silently"


def make_run(folder: Path) -> Path:
    """Write a run of three methods with two seeds, and what was spent on it."""
    run = write_run(folder, methods={"base": {}, "lora": {}, "full": {}}, seeds=[0, 1])
    save_json(Spent(seconds=12.5, trials={"a1": {"confirm": 3.25}}), run / SPENT_FILE)
    return run


def flip_bits(run: Path, flips: int, seed: int) -> Iterator[tuple[Path, str]]:
    """Flip bits of each file, one at a time, and yield the file with the outcome. The run is as before afterwards.

    Args:
        flips: how many for each file, at random places.
    """
    draw, expected = random.Random(seed), _read_results(run)
    for file in sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size):
        content = file.read_bytes()
        for _ in range(flips):
            damaged, bit = bytearray(content), draw.randrange(8 * len(content))
            damaged[bit // 8] ^= 1 << bit % 8
            file.write_bytes(damaged)
            yield file.relative_to(run), _classify(run, expected)
        file.write_bytes(content)


def _classify(run: Path, expected: str) -> str:
    warnings: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = warnings.append  # type: ignore[method-assign]  # the shortest way to collect records
    logger = logging.getLogger("tuneoff")
    logger.addHandler(handler)
    try:
        results = _read_results(run)
    except TuneoffError:
        return "refused"
    finally:
        logger.removeHandler(handler)
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
    parser.add_argument("--flips", type=int, default=40, help="of each file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict("os.environ", TUNEOFF_CACHE=folder + "/cache"):
        run = make_run(Path(folder) / "run")
        outcomes = Counter((file.name, outcome) for file, outcome in flip_bits(run, options.flips, options.seed))
        shutil.rmtree(run)
    for (name, outcome), count in sorted(outcomes.items()):
        print(f"{name}: {count} × {outcome}")
    silent = sum(count for (_, outcome), count in outcomes.items() if outcome == SILENT)
    print(f"{sum(outcomes.values())} flips, silent: {silent}")
    return int(silent > 0)


if __name__ == "__main__":
    raise SystemExit(main())
