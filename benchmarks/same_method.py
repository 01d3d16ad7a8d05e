"""Compare LoRA with itself under two labels, with different learning-rate ranges and defaults, and count how often the
whole tool calls the two different: `python -m benchmarks.same_method --draws 40`.

Everything is real but small: a tiny model with random weights, and new text for every draw. Both labels can reach the
same score, so every "different" is false.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from scipy.stats import binomtest

import tuneoff
from tests.conftest import SENTENCES, save_model, save_tokenizer
from tuneoff.analysis.comparison import Comparison
from tuneoff.evaluation import latency
from tuneoff.metrics import METRICS, Metric
from tuneoff.report import page
from tuneoff.runner.listener import SilentListener

STATED = 0.05  # the share of false differences that the verdict's confidence of 95 % allows
LABELS = {
    "low": {"learning_rate": 1e-3, "range": (3e-4, 3e-2)},
    "high": {"learning_rate": 1e-2, "range": (1e-3, 1e-1)},
}
ROWS, SIZES = 60, {"train": 24, "validation": 8, "test": 24}


@dataclass
class Tally:
    """The outcomes of the draws."""

    draws: int = 0
    different: dict[str, int] = field(default_factory=dict)  # by metric
    chosen: list[tuple[float, ...]] = field(default_factory=list)  # the rates of both labels, of each draw


def write_text(file: Path, seed: int) -> None:
    """Write rows whose sources are random sentences of known words, and whose targets are parts of them."""
    draw = random.Random(seed)
    words = sorted({word.strip(".,;") for sentence in SENTENCES for word in sentence.split()})
    rows = []
    for _ in range(ROWS):
        source = [draw.choice(words) for _ in range(draw.randint(6, 10))]
        rows.append({"source": " ".join(source) + ".", "target": " ".join(source[:4])})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_recipe(model: Path, text: Path, seed: int, configurations: int) -> dict[str, Any]:
    """Return the recipe of one draw: LoRA under both labels, with the data in `text`."""
    fixed = {"method": "lora", "rank": 4, "alpha": 8, "dropout": 0.0, "modules": "all-linear"}
    low_high = ("low", "high")
    return {
        "name": "same",
        "model": {"name": str(model), "precision": "float32", "device": "cpu"},
        "data": {
            "source": "jsonl", "files": str(text), "sizes": SIZES, "max_tokens": 64, "max_target_tokens": 24,
            "seed": seed,
        },
        "methods": {label: {**fixed, "learning_rate": own["learning_rate"]} for label, own in LABELS.items()},
        "search": {
            "configurations": configurations, "rungs": 2, "seed": 100 + seed,
            "spaces": {
                label: {"learning_rate": dict(zip(low_high, own["range"], strict=True))}  # type: ignore[call-overload]
                for label, own in LABELS.items()
            },
        },
        "metrics": ["rougeL", "loss"],
        "seeds": [1, 2, 3],
        "training": {"epochs": 2, "batch_size": 4},
        "evaluation": {"generation": {"max_new_tokens": 6, "batch_size": 24}, "unrelated_passages": 0},
    }  # fmt: skip


def compare_with_itself(draws: Sequence[int], configurations: int, metrics: Sequence[Metric]) -> Tally:
    """Run the comparison on a text of its own for each draw, and count false differences."""
    tally = Tally(different=dict.fromkeys((metric.name for metric in metrics), 0))
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.multiple(latency, REPEATS=1, NEW_TOKENS=2),  # neither costs nor the page are looked at
        mock.patch.object(page, "write_report", return_value=None),
    ):
        model = Path(folder) / "model"
        save_tokenizer(model)
        save_model("llama", model)
        for seed in draws:
            text = Path(folder) / f"{seed}.jsonl"
            write_text(text, seed)
            recipe = make_recipe(model, text, seed, configurations)
            comparison = tuneoff.compare(recipe, run=Path(folder) / f"run-{seed}", listener=SilentListener())
            _count(tally, comparison, metrics)
    return tally


def _count(tally: Tally, comparison: Comparison, metrics: Sequence[Metric]) -> None:
    tally.draws += 1
    chosen = [comparison.searches[label].chosen for label in LABELS]
    tally.chosen.append(tuple(attempt.values["learning_rate"] for attempt in chosen if attempt))
    for metric in metrics:
        tally.different[metric.name] += any(pair.is_beyond_noise for pair in comparison.get_pairs(metric))


def is_more_often_than_stated(different: int, draws: int) -> bool:
    """Return whether so many false differences would be unlikely, below 1 in 100, at the stated share."""
    return bool(binomtest(different, draws, STATED, alternative="greater").pvalue < 0.01)


def main() -> int:
    """Print the counts; return 1 if the two labels were called different more often than stated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_method", description=__doc__)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--configurations", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    options = parser.parse_args()
    torch.set_num_threads(1)
    metrics = [METRICS["rougeL"], METRICS["loss"]]
    draws = range(options.seed, options.seed + options.draws)
    tally = compare_with_itself(draws, options.configurations, metrics)
    for name, different in tally.different.items():
        print(f"{name}: called different in {different} of {tally.draws} draws")
    return int(any(is_more_often_than_stated(count, tally.draws) for count in tally.different.values()))


if __name__ == "__main__":
    raise SystemExit(main())
