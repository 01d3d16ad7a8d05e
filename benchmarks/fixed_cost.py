"""What a comparison costs beside its trainings: `python -m benchmarks.fixed_cost --repeats 5`.

Five methods on a model of about 300,000 parameters and 24 rows: the seconds of the whole command, of its phases, and of
commands that only read the run. The commands run in turns, each in a process of its own. The medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from tests.conftest import SENTENCES, save_model, save_tokenizer
from tuneoff.budget.spending import read_spent
from tuneoff.report.phases import TITLES

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": "jsonl", "sizes": {"validation": 4, "test": 4}, "max_tokens": 64, "max_target_tokens": 24},
    "methods": ["base", "lora", "full", "soft-prompt", "last-layer"],
    "seeds": [0],
    "training": {"epochs": 1, "batch_size": 4},
    "evaluation": {"generation": {"max_new_tokens": 4}},
}
READING = {"tuneoff show": ["show"], "tuneoff report": ["report"]}


def main() -> None:
    """Run the commands in turns, and print a line for each and for each phase of the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["TUNEOFF_CACHE"] = str(root / "cache")
        recipe = _write_recipe(root)
        for repeat in range(options.repeats + 1):  # the first one is not counted: it compiles and fills caches
            run = root / str(repeat)
            times = {"tuneoff --help": _time("--help"), "tuneoff compare": _time("compare", recipe, "--run", run)}
            times |= {name: _time(*words, run) for name, words in READING.items()}
            times |= {f"  {TITLES.get(name, name)}": value for name, value in read_spent(run).phases.items()}
            for name, value in times.items() if repeat else ():
                seconds[name].append(value)
    print(f"{options.repeats} repeats, load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| what | seconds, median | lowest to highest |\n| --- | ---: | --- |")
    for name, values in seconds.items():
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} to {max(values):.2f} |")


def _write_recipe(root: Path) -> Path:
    """Write a model, 24 rows and a recipe for them. Return the file of the recipe."""
    save_tokenizer(root / "model")
    save_model("llama", root / "model", width=128)
    rows = [{"source": f"{a} {b}", "target": a.split(",")[0]} for a in SENTENCES for b in SENTENCES[:4]]
    (root / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"name": str(root / "model"), "precision": "float32", "device": "cpu"}
    data = RECIPE["data"] | {"files": str(root / "text.jsonl")}
    recipe = root / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE | {"model": model, "data": data}))
    return recipe


def _time(*words: str | Path) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tuneoff.cli", *map(str, words)], check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
