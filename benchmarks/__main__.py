"""Times both sides of every case in turn, and prints medians of ratios.

Each side is a process of its own, so that memory is its own; the two take turns, so that whatever else the machine
does falls on both. Of the usual stack's two precisions the faster one is taken, case by case.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.turns import AGREEMENT, cases, measure
from benchmarks.work import model_folder


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
    print(f"{'case':44} {'ours':>8} {'usual':>8} {'times':>6} {'spread':>12} {'memory':>7} {'losses':>8}")
    with tempfile.TemporaryDirectory() as cache:
        for case in cases():
            if options.only not in case.name:
                continue
            case = replace(case, steps=options.steps or case.steps)
            begun = time.perf_counter()
            found = measure(case, model_folder(case.shape, Path(cache)), device, options.threads, options.rounds)
            print(
                f"{found['case']:44} {found['ours_s']:7.2f}s {found['peer_s']:7.2f}s {found['ratio']:6.2f} "
                f"{found['lowest']:5.2f}–{found['highest']:<5.2f} "
                f"{found['memory_ratio']:7.2f} {found['loss_apart']:8.1e}"
                f"  ({found['peer']}; {time.perf_counter() - begun:.0f} s)",
                flush=True,
            )
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(found) + "\n")
            if found["loss_apart"] > AGREEMENT:
                print(
                    f"The two sides did not do the same work: losses {found['loss_apart']:.3f} apart", file=sys.stderr
                )
                return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
