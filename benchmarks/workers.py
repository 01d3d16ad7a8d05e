"""How much faster a comparison of twelve trials is with two workers: `python -m benchmarks.workers --repeats 3`.

The commands run in turns, so that a busy machine slows them alike, and the median of each is printed with the load of
the machine. All use the same threads for each trial, so their records must be equal, which is checked. The time is that
of the whole command, from its start to its page; before the first trial is what it takes until that has begun.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import yaml

from benchmarks.kills import make_tiny_recipe, read_results

TWO = ["--workers", "2"]
WAYS = {"one process": [], "two workers": TWO, "two workers of Ray": [*TWO, "--engine", "ray"]}


def main() -> None:
    """Run the comparison in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=900, help="of a trial; more make starting up matter less")
    options = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    ways = {name: words for name, words in WAYS.items() if "ray" not in words or importlib.util.find_spec("ray")}
    seconds: dict[str, list[float]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    loads, results = [os.getloadavg()[0]], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["TUNEOFF_CACHE"] = str(root / "cache")
        recipe = root / "recipe.yaml"
        training = {"epochs": options.epochs, "batch_size": 2}
        changes = {"methods": ["lora"], "seeds": list(range(options.trials)), "training": training}
        recipe.write_text(yaml.safe_dump(make_tiny_recipe(root) | changes))
        for repeat in range(options.repeats):
            for name, words in ways.items():
                run = root / f"{name}-{repeat}"
                wait, whole = _time_comparison(recipe, run, words)
                waits[name].append(wait)
                seconds[name].append(whole)
                loads.append(os.getloadavg()[0])
                results.append(read_results(run))
    first = median(seconds["one process"])
    print("| way | seconds, median | all | times as fast | seconds before the first trial |")
    print("| --- | ---: | --- | ---: | ---: |")
    for name, times in seconds.items():
        each = ", ".join(f"{value:.0f}" for value in times)
        print(f"| {name} | {median(times):.1f} | {each} | {first / median(times):.2f} | {median(waits[name]):.1f} |")
    equal = "equal to the last bit" if all(result == results[0] for result in results) else "DIFFERENT"
    load = f"{min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores"
    print(f"\n{options.trials} trials of {options.epochs} epochs. Load of the machine: {load}. Records {equal}.")


def _time_comparison(recipe: Path, run: Path, words: list[str]) -> tuple[float, float]:
    """Return the seconds until the first trial has begun, and those of the whole command."""
    command = [sys.executable, "-m", "tuneoff.cli", "compare", str(recipe), "--run", str(run), "--threads", "1"]
    start, wait = time.perf_counter(), 0.0
    with subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if not wait and ": started" in line:
                wait = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return wait, time.perf_counter() - start


if __name__ == "__main__":
    main()
