"""Both sides of a case, each in a process of its own, taking turns."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.work import METHODS, SHAPES, Case, matrix_rate

AGREEMENT = 2e-2  # of two losses in nats: bf16 products in another order


def cases() -> Iterator[Case]:
    """All that is timed."""
    for shape in SHAPES:
        for batch_size in (4, 16):
            for method in METHODS:
                yield Case(shape=shape, task="step", method=method, batch_size=batch_size, steps=8 // batch_size or 1)
        yield Case(shape=shape, task="step", method="lora", compiled=True)
        yield Case(shape=shape, task="epochs", method="last-layer")
        yield Case(shape=shape, task="evaluation", batch_size=16)
        for batch_size in (16, 64):
            yield Case(shape=shape, task="generation", batch_size=batch_size)
        yield Case(shape=shape, task="comparison", method="lora")


def side(kind: str, case: Case, folder: Path, device: str, threads: int, pipe: Connection) -> None:
    """A process that does what it is asked to: a round of the case's work, or a measure of its own."""
    import torch

    torch.set_num_threads(threads)
    if kind in {"ours", "not compiled"}:
        from benchmarks.ours import Side as Ours

        made: Any = Ours(replace(case, compiled=case.compiled and kind == "ours"), folder, device)
    else:
        from benchmarks.usual import Side as Usual

        made = Usual(case, folder, device, bf16=kind == "bf16")
    pipe.send(None)
    while asked := pipe.recv():
        match asked:
            case "round":
                pipe.send((*made.round(), made.peak_bytes()))
            case "flops":
                pipe.send(made.flops())
            case "rate":
                pipe.send(matrix_rate(device))


def measure(case: Case, folder: Path, device: str, threads: int, rounds: int) -> dict[str, Any]:
    """Both sides in turn, `rounds` times after a first that is not counted."""
    context = multiprocessing.get_context("spawn")
    kinds = ("ours", "not compiled") if case.compiled else ("ours", "float32", "bf16")
    pipes, processes = {}, []
    for kind in kinds:
        ours, theirs = context.Pipe()
        process = context.Process(target=side, args=(kind, case, folder, device, threads, theirs), daemon=True)
        process.start()
        ours.recv()
        pipes[kind] = ours
        processes.append(process)

    def ask(kind: str, what: str = "round") -> Any:
        pipes[kind].send(what)
        return pipes[kind].recv()

    start = time.perf_counter()
    first = {kind: ask(kind) for kind in kinds[:1]}
    first_s = time.perf_counter() - start
    first |= {kind: ask(kind) for kind in kinds[1:]}
    peer = min(kinds[1:], key=lambda kind: ask(kind)[0])
    turns = [(ask("ours"), ask(peer), ask("ours", "rate")) for _ in range(rounds)]
    flops = ask("ours", "flops") if case.task == "step" else None
    for pipe in pipes.values():
        pipe.send(None)
    for process in processes:
        process.join()
    ratios = sorted(theirs[0] / ours[0] for ours, theirs, _ in turns)
    ours_s = median(ours[0] for ours, _, _ in turns)
    ours_bytes, peer_bytes = (max(turn[i][2] for turn in turns) for i in (0, 1))
    return {
        "case": case.name,
        "first_s": first_s,  # the round that is not counted, with what is built once: a compiled program, above all
        "peer": peer,
        "ours_s": ours_s,
        "peer_s": median(theirs[0] for _, theirs, _ in turns),
        "ratio": median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "tokens_per_second": case.tokens / ours_s,
        "ours_bytes": ours_bytes,
        "peer_bytes": peer_bytes,
        "memory_ratio": ours_bytes / peer_bytes,
        "matrix_share": median(flops / ours[0] / rate for ours, _, rate in turns) if flops else None,
        "loss_apart": abs(first["ours"][1] - first[peer][1]),
    }
