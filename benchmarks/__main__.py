"""Times both sides of every case in turn, and prints medians of ratios.

Each side is a process of its own, so that memory is its own; the two take turns, so that whatever else the machine
does falls on both. Of the usual stack's two precisions the faster one is taken, case by case; what is compiled stands
beside the same as it is.
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

from benchmarks.turns import AGREEMENT, cases, measure
from benchmarks.work import model_folder

COLUMNS = (
    "case", "ours", "usual", "usual / ours", "spread", "tokens per second", "peak memory", "ours / usual",
    "of the matrix rate", "losses apart",
)  # fmt: skip


def main() -> int:
    """Time the cases that the command line asks for; 1 if two sides did not do the same work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this, such as 'lora step, batch 4'")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps in one round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="also append each result to this file")
    options = parser.parse_args()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(
        f"{platform.processor() or platform.machine()}, {device}, {options.threads} threads, torch {torch.__version__}"
    )
    print(f"\n{' | '.join(COLUMNS)}\n{' | '.join('---' for _ in COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for case in cases():
            if options.only not in case.name:
                continue
            case = replace(case, steps=options.steps or case.steps)
            found = measure(case, model_folder(case.shape, Path(cache)), device, options.threads, options.rounds)
            print(" | ".join(_cells(found)), flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(found) + "\n")
            if found["loss_apart"] > AGREEMENT:
                print(
                    f"The two sides did not do the same work: losses {found['loss_apart']:.3f} apart", file=sys.stderr
                )
                return 1
    return 0


def _cells(found: dict[str, Any]) -> tuple[str, ...]:
    """One row of the table, in Markdown."""
    share = found["matrix_share"]
    return (
        found["case"],
        f"{found['ours_s']:.2f} s",
        f"{found['peer_s']:.2f} s ({found['peer']})",
        f"**{found['ratio']:.2f}**",
        f"{found['lowest']:.2f} to {found['highest']:.2f}",
        f"{found['tokens_per_second']:.0f}",
        f"{found['ours_bytes'] / 2**20:.0f} MiB",
        f"{found['memory_ratio']:.2f}",
        f"{share:.0%}" if share else "",
        f"{found['loss_apart']:.0e}",
    )


if __name__ == "__main__":
    raise SystemExit(main())
