"""How much faster a comparison of twelve trials is with several workers: `python -m benchmarks.workers --repeats 3`.

The commands run in turns, so that a busy machine slows them alike, and the median of each is printed with the load of
the machine. One worker and several use the same threads for each trial, so their records must be equal, which is
checked. The time is that of the whole command, from its start to its page.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.kills import make_tiny_recipe, read_results


def main() -> None:
    """Run the comparison in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=300, help="of a trial; more make starting up matter less")
    options = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    seconds: dict[int, list[float]] = {workers: [] for workers in options.workers}
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["TUNEOFF_CACHE"] = str(root / "cache")
        recipe = root / "recipe.yaml"
        training = {"epochs": options.epochs, "batch_size": 2}
        changes = {"methods": ["lora"], "seeds": list(range(options.trials)), "training": training}
        recipe.write_text(yaml.safe_dump(make_tiny_recipe(root) | changes))
        results = []
        for repeat in range(options.repeats):
            for workers in options.workers:
                run = root / f"{workers}-{repeat}"
                seconds[workers].append(_time_comparison(recipe, run, workers))
                loads.append(os.getloadavg()[0])
                results.append(read_results(run))
    first = statistics.median(seconds[options.workers[0]])
    print("| workers | seconds, median | all | times as fast |\n| ---: | ---: | --- | ---: |")
    for workers, times in seconds.items():
        each = ", ".join(f"{value:.0f}" for value in times)
        print(f"| {workers} | {statistics.median(times):.1f} | {each} | {first / statistics.median(times):.2f} |")
    equal = "equal to the last bit" if all(result == results[0] for result in results) else "DIFFERENT"
    load = f"{min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores"
    print(f"\n{options.trials} trials of {options.epochs} epochs. Load of the machine: {load}. Records {equal}.")


def _time_comparison(recipe: Path, run: Path, workers: int) -> float:
    command = [sys.executable, "-m", "tuneoff.cli", "compare", str(recipe), "--run", str(run)]
    start = time.perf_counter()
    subprocess.run([*command, "--workers", str(workers), "--threads", "1"], check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
