"""How the cost of a comparison grows: `python -m benchmarks.growth --help`.

Seconds and memory against the number of examples, their length, the number of trials, and the method, each from
whole comparisons on SmolLM2-135M; with the exponent of a power that fits, one where cost grows in proportion.
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
        compared(home, "warm", ["lora"], 4, 64)
        _table("examples", "of 128 tokens", EXAMPLES, (trained(home, n, 128) for n in EXAMPLES))
        _table("tokens of an example", "16 examples", LENGTHS, (trained(home, 16, n) for n in LENGTHS))
        _table("trials", "seeds, of 8 examples, whole comparisons", TRIALS, (whole(home, n) for n in TRIALS))
        print(
            "\n| method | trained parameters | seconds of a step | peak memory, training |\n| --- | --- | --- | --- |"
        )
        for method in METHODS:
            (record,) = compared(home, method, [method], 16, 128)[1]
            costs = record.costs
            assert costs is not None, f"{method}: {record.reason}"
            memory = f"{costs.training_memory.peak_bytes / 2**20:.0f} MiB" if costs.training_memory else ""
            print(f"| {method} | {costs.trainable_parameters} | {costs.train_seconds / 4:.2f} | {memory} |", flush=True)


def trained(home: Path, examples: int, tokens: int) -> tuple[float, float]:
    """Seconds of one epoch of LoRA, and the bytes at its peak."""
    costs = compared(home, f"{examples}-{tokens}", ["lora"], examples, tokens)[1][0].costs
    assert costs is not None
    assert costs.training_memory is not None
    return costs.train_seconds, costs.training_memory.peak_bytes or 0


def whole(home: Path, trials: int) -> tuple[float, float]:
    """Seconds of a whole comparison, and the bytes at the peak of its last training."""
    seconds, records = compared(home, f"trials-{trials}", ["lora"], 8, 64, seeds=list(range(trials)))
    peaks = [r.costs.training_memory.peak_bytes for r in records if r.costs and r.costs.training_memory]
    return seconds, max(peak for peak in peaks if peak)


def compared(
    home: Path, name: str, methods: Sequence[str], examples: int, tokens: int, seeds: Sequence[int] = (0,)
) -> tuple[float, tuple[Record, ...]]:
    """A comparison on made-up text: the seconds that it took, and its records."""
    text = home / f"{name}.jsonl"
    text.write_text("".join(_lines(examples + 8, tokens)))
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


def _lines(count: int, tokens: int) -> Iterator[str]:
    """Rows longer than `tokens`, so that all are cut to it."""
    draw = random.Random(0)
    for _ in range(count):
        words = draw.choices(" ".join(WORDS).split(), k=2 * tokens)
        yield json.dumps({"source": " ".join(words), "target": " ".join(words[: tokens // 5])}) + "\n"


def _table(what: str, of: str, numbers: Sequence[int], costs: Iterator[tuple[float, float]]) -> None:
    print(f"\n| {what} ({of}) | seconds | peak memory, training |\n| --- | --- | --- |")
    seconds = []
    for number, (took, peak) in zip(numbers, costs, strict=True):
        seconds.append(took)
        print(f"| {number} | {took:.1f} | {peak / 2**20:.0f} MiB |", flush=True)
    exponent = np.polyfit(np.log(numbers), np.log(seconds), 1)[0]
    each, once = np.polyfit(numbers, seconds, 1)
    print(f"\nseconds ≈ {once:.1f} + {each:.3g} × {what}; exponent {exponent:.2f}")


if __name__ == "__main__":
    main()
