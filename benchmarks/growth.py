"""How the cost of a comparison scales: `python -m benchmarks.growth --help`.

Seconds and memory by the number of examples, their length, the number of trials and the method, each from full
comparisons on SmolLM2-135M. A power law is fitted to the seconds; its exponent is 1 for linear scaling.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tuneoff
from tuneoff.records.record import Record
from tuneoff.runner.listener import SilentListener

WORDS = (
    "the river bridge harbour storm ship plan mayor field rain night team",
    "match coach small model learns task",
)
EXAMPLES, LENGTHS, TRIALS = (8, 16, 32, 64), (64, 128, 256, 512), (1, 2, 4)
METHODS = ("base", "last-layer", "last-blocks", "layer-norm", "lora", "prefix", "soft-prompt", "full")


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run_comparison(home, "warm-up", ["lora"], 4, 64)
        _print_table("examples", "of 128 tokens", EXAMPLES, (measure_training(home, n, 128) for n in EXAMPLES))
        _print_table("tokens per example", "16 examples", LENGTHS, (measure_training(home, 16, n) for n in LENGTHS))
        _print_table("trials", "seeds, 8 examples, full comparisons", TRIALS, (measure_trials(home, n) for n in TRIALS))
        print(
            "\n| method | trainable parameters | seconds per step | peak memory, training |\n| --- | --- | --- | --- |"
        )
        for method in METHODS:
            (record,) = run_comparison(home, method, [method], 16, 128)[1]
            costs = record.costs
            assert costs is not None, f"{method}: {record.reason}"
            memory = f"{costs.training_memory.peak_bytes / 2**20:.0f} MiB" if costs.training_memory else ""
            print(f"| {method} | {costs.trainable_parameters} | {costs.train_seconds / 4:.2f} | {memory} |", flush=True)


def measure_training(home: Path, examples: int, tokens: int) -> tuple[float, float]:
    """Return the seconds and the peak bytes of one epoch of LoRA."""
    costs = run_comparison(home, f"{examples}-{tokens}", ["lora"], examples, tokens)[1][0].costs
    assert costs is not None
    assert costs.training_memory is not None
    return costs.train_seconds, costs.training_memory.peak_bytes or 0


def measure_trials(home: Path, trials: int) -> tuple[float, float]:
    """Return the seconds of a comparison, and the peak bytes of its trainings."""
    seconds, records = run_comparison(home, f"trials-{trials}", ["lora"], 8, 64, seeds=list(range(trials)))
    peaks = [r.costs.training_memory.peak_bytes for r in records if r.costs and r.costs.training_memory]
    return seconds, max(peak for peak in peaks if peak)


def run_comparison(
    home: Path, name: str, methods: Sequence[str], examples: int, tokens: int, seeds: Sequence[int] = (0,)
) -> tuple[float, tuple[Record, ...]]:
    """Run a comparison on generated text; return its seconds and its records."""
    text = home / f"{name}.jsonl"
    text.write_text("".join(_generate_lines(examples + 8, tokens)))
    recipe: dict[str, Any] = {
        "name": name,
        "model": {"name": "smollm2-135m-instruct"},
        "data": {
            "source": "jsonl", "files": str(text), "sizes": {"validation": 4, "test": 4},
            "max_tokens": tokens, "max_target_tokens": tokens // 4,
        },
        "methods": list(methods),
        "training": {"epochs": 1, "batch_size": 4},
        "evaluation": {"unrelated_passages": 0, "generation": {"max_new_tokens": 8}},
        "seeds": list(seeds),
    }  # fmt: skip
    start = time.perf_counter()
    comparison = tuneoff.compare(recipe, run=home / "runs" / name, listener=SilentListener())
    return time.perf_counter() - start, comparison.run.records


def _generate_lines(count: int, tokens: int) -> Iterator[str]:
    """Yield rows longer than `tokens`, so that all are truncated to that length."""
    rng = random.Random(0)
    for _ in range(count):
        words = rng.choices(" ".join(WORDS).split(), k=2 * tokens)
        yield json.dumps({"source": " ".join(words), "target": " ".join(words[: tokens // 5])}) + "\n"


def _print_table(quantity: str, setting: str, numbers: Sequence[int], costs: Iterator[tuple[float, float]]) -> None:
    print(f"\n| {quantity} ({setting}) | seconds | peak memory, training |\n| --- | --- | --- |")
    seconds = []
    for number, (cost_seconds, peak) in zip(numbers, costs, strict=True):
        seconds.append(cost_seconds)
        print(f"| {number} | {cost_seconds:.1f} | {peak / 2**20:.0f} MiB |", flush=True)
    exponent = np.polyfit(np.log(numbers), np.log(seconds), 1)[0]
    slope, intercept = np.polyfit(numbers, seconds, 1)
    print(f"\nseconds ≈ {intercept:.1f} + {slope:.3g} × {quantity}; exponent {exponent:.2f}")


if __name__ == "__main__":
    main()
