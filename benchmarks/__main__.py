"""Compares the speed and memory of tuneoff with the usual stack, and prints a table of medians.

Each side runs in its own process, so that its memory is measured alone. The two alternate, so that other load on the
machine affects both. The usual stack runs in float32 and bf16, and the faster of the two counts in each case. Compiled
cases compare tuneoff with itself without compilation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.turns import LOSS_TOLERANCE, list_cases, measure_case
from benchmarks.work import prepare_model

COLUMNS = (
    "case", "ours", "usual", "usual / ours", "spread", "tokens per second", "peak memory", "ours / usual",
    "share of matrix rate", "loss difference",
)  # fmt: skip


def main() -> int:
    """Time the cases that the command line selects; return 1 if the two sides of a case differ in their losses."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this, such as 'lora step, batch 4'")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps in one round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="append each result to this file, as a line of JSON")
    options = parser.parse_args()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(
        f"{platform.processor() or platform.machine()}, {device}, {options.threads} threads, torch {torch.__version__}"
    )
    print(f"\n{' | '.join(COLUMNS)}\n{' | '.join('---' for _ in COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for case in list_cases():
            if options.only not in case.name:
                continue
            case = replace(case, steps=options.steps or case.steps)
            folder = prepare_model(case.shape, Path(cache))
            result = measure_case(case, folder, device, options.threads, options.rounds)
            print(" | ".join(_format_cells(result)), flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(result) + "\n")
            if result["loss_apart"] > LOSS_TOLERANCE:
                print(
                    f"The two sides did not do the same work: their losses differ by {result['loss_apart']:.3f} nats",
                    file=sys.stderr,
                )
                return 1
    return 0


def _format_cells(result: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one row."""
    share = result["matrix_share"]
    return (
        result["case"],
        f"{result['ours_s']:.2f} s",
        f"{result['peer_s']:.2f} s ({result['peer']})",
        f"**{result['ratio']:.2f}**",
        f"{result['lowest']:.2f} to {result['highest']:.2f}",
        f"{result['tokens_per_second']:.0f}",
        f"{result['ours_bytes'] / 2**20:.0f} MiB",
        f"{result['memory_ratio']:.2f}",
        f"{share:.0%}" if share else "",
        f"{result['loss_apart']:.0e}",
    )


if __name__ == "__main__":
    raise SystemExit(main())
