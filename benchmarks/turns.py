"""Both sides of a case, each in a process of its own, taking turns."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.work import METHODS, SHAPES, Case

AGREEMENT = 2e-2  # of two losses in nats: bf16 products in another order


def cases() -> Iterator[Case]:
    """All that is timed."""
    for shape in SHAPES:
        for batch_size in (4, 16):
            for method in METHODS:
                yield Case(shape=shape, task="step", method=method, batch_size=batch_size, steps=8 // batch_size or 1)
        yield Case(shape=shape, task="epochs", method="last-layer")
        yield Case(shape=shape, task="evaluation", batch_size=16)
        yield Case(shape=shape, task="generation", batch_size=16)
        yield Case(shape=shape, task="comparison", method="lora")


def side(kind: str, case: Case, folder: Path, device: str, threads: int, pipe: Connection) -> None:
    """A process that does the case's work whenever it is asked to."""
    import torch

    torch.set_num_threads(threads)
    if kind == "ours":
        from benchmarks.ours import Side as Ours

        made: Any = Ours(case, folder, device)
    else:
        from benchmarks.usual import Side as Usual

        made = Usual(case, folder, device, bf16=kind == "usual bf16")
    pipe.send(None)
    while pipe.recv():
        seconds, loss = made.round()
        pipe.send((seconds, loss, made.peak_bytes()))


def measure(case: Case, folder: Path, device: str, threads: int, rounds: int) -> dict[str, Any]:
    """Both sides in turn, `rounds` times after a first that is not counted."""
    context = multiprocessing.get_context("spawn")
    kinds = ("ours", "usual", "usual bf16")
    pipes, processes = {}, []
    for kind in kinds:
        ours, theirs = context.Pipe()
        process = context.Process(target=side, args=(kind, case, folder, device, threads, theirs), daemon=True)
        process.start()
        ours.recv()
        pipes[kind] = ours
        processes.append(process)

    def ask(kind: str) -> tuple[float, float, int]:
        pipes[kind].send(True)
        return pipes[kind].recv()

    first = {kind: ask(kind) for kind in kinds}
    peer = min(kinds[1:], key=lambda kind: ask(kind)[0])
    turns = [(ask("ours"), ask(peer)) for _ in range(rounds)]
    for pipe in pipes.values():
        pipe.send(False)
    for process in processes:
        process.join()
    ratios = sorted(theirs[0] / ours[0] for ours, theirs in turns)
    return {
        "case": case.name,
        "peer": peer,
        "ours_s": median(ours[0] for ours, _ in turns),
        "peer_s": median(theirs[0] for _, theirs in turns),
        "ratio": median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "memory_ratio": max(ours[2] for ours, _ in turns) / max(theirs[2] for _, theirs in turns),
        "ours_bytes": max(ours[2] for ours, _ in turns),
        "loss_apart": abs(first["ours"][1] - first[peer][1]),
    }
