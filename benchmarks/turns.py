"""Runs both sides of a case alternately, each in its own process."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.work import METHODS, SHAPES, Case, measure_matrix_rate

LOSS_TOLERANCE = 2e-2  # nats; bf16 products in another order


def list_cases() -> Iterator[Case]:
    """Yield every case of the benchmark."""
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
        yield Case(shape=shape, task="comparison", method="lora", on_text=True)


def serve_side(kind: str, case: Case, folder: Path, device: str, threads: int, pipe: Connection) -> None:
    """Load one side, then run the commands that arrive through the pipe until it gets None."""
    import torch

    torch.set_num_threads(threads)
    if kind in {"ours", "not compiled"}:
        from benchmarks.ours import Side as Ours

        side: Any = Ours(replace(case, compiled=case.compiled and kind == "ours"), folder, device)
    else:
        from benchmarks.usual import Side as Usual

        side = Usual(case, folder, device, bf16=kind == "bf16")
    pipe.send(None)
    while command := pipe.recv():
        match command:
            case "round":
                pipe.send((*side.run_round(), side.get_peak_bytes()))
            case "flops":
                pipe.send(side.count_flops())
            case "rate":
                pipe.send(measure_matrix_rate(device))


def measure_case(case: Case, folder: Path, device: str, threads: int, rounds: int) -> dict[str, Any]:
    """Run both sides alternately, `rounds` times after a first round that is not counted; return the medians."""
    context = multiprocessing.get_context("spawn")
    kinds = ("ours", "not compiled") if case.compiled else ("ours", "float32", "bf16")
    pipes, processes = {}, []
    for kind in kinds:
        pipe, child_pipe = context.Pipe()
        arguments = (kind, case, folder, device, threads, child_pipe)
        process = context.Process(target=serve_side, args=arguments, daemon=True)
        process.start()
        pipe.recv()
        pipes[kind] = pipe
        processes.append(process)

    def run(kind: str, command: str = "round") -> Any:
        pipes[kind].send(command)
        return pipes[kind].recv()

    start = time.perf_counter()
    first = {kind: run(kind) for kind in kinds[:1]}
    first_s = time.perf_counter() - start
    first |= {kind: run(kind) for kind in kinds[1:]}
    peer = min(kinds[1:], key=lambda kind: run(kind)[0])
    turns = [(run("ours"), run(peer), run("ours", "rate")) for _ in range(rounds)]
    flops = run("ours", "flops") if case.task == "step" else None
    for pipe in pipes.values():
        pipe.send(None)
    for process in processes:
        process.join()
    ratios = sorted(peer_round[0] / our_round[0] for our_round, peer_round, _ in turns)
    ours_s = median(our_round[0] for our_round, _, _ in turns)
    ours_bytes, peer_bytes = (max(turn[i][2] for turn in turns) for i in (0, 1))
    return {
        "case": case.name,
        "first_s": first_s,  # the round that is not counted; it includes compilation
        "peer": peer,
        "ours_s": ours_s,
        "peer_s": median(peer_round[0] for _, peer_round, _ in turns),
        "ratio": median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "tokens_per_second": case.tokens / ours_s,
        "ours_bytes": ours_bytes,
        "peer_bytes": peer_bytes,
        "memory_ratio": ours_bytes / peer_bytes,
        "matrix_share": median(flops / our_round[0] / rate for our_round, _, rate in turns) if flops else None,
        "loss_apart": abs(first["ours"][1] - first[peer][1]),
    }
