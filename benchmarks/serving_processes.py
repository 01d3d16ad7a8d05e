"""A process for each arm, as who has no server for all of them would run them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from tuneoff.models.language_model import LanguageModel
from tuneoff.serving import Engine, Request, open_engine
from tuneoff.serving.arms import ArmSource

Tokens = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds by the clock and of the processor."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> Times:
        return cls(clock=time.perf_counter(), processor=time.process_time())

    def __sub__(self, other: Times) -> Times:
        return Times(clock=self.clock - other.clock, processor=self.processor - other.processor)


class Processes:
    """One process for each arm, all of which answer at the same time.

    Args:
        model: the name of the base model, or a run.
        find: from an arm to where its process finds it.
    """

    def __init__(self, model: str, find: Callable[[str], ArmSource | str], threads: int) -> None:
        self._model, self._find, self._threads = model, find, threads
        self._running: dict[str, tuple[BaseProcess, Connection]] = {}
        self.processor_seconds = 0.0  # of all processes in the last round

    def start(self, names: Sequence[str]) -> None:
        """Start the processes, and return when all are ready."""
        context = get_context("spawn")
        for name in names:
            ours, theirs = context.Pipe()
            process = context.Process(target=_answer, args=(self._model, name, self._find(name), self._threads, theirs))
            process.start()
            self._running[name] = process, ours
            ours.recv()  # one at a time, since loading takes most memory

    def ask(self, requests: Mapping[str, Request]) -> list[Tokens]:
        """Return the tokens of each answer."""
        for name, request in requests.items():
            self._running[name][1].send(request)
        answers = [self._running[name][1].recv() for name in requests]
        self.processor_seconds = sum(seconds for _, seconds in answers)
        return [tokens for tokens, _ in answers]

    @property
    def memory(self) -> float:
        """MB of all processes."""
        return sum(measure_memory(process.pid) for process, _ in self._running.values())

    def stop(self) -> None:
        for process, connection in self._running.values():
            connection.send(None)
            process.join()


@contextlib.contextmanager
def open_processes(model: str, find: Callable[[str], ArmSource | str], threads: int) -> Iterator[Processes]:
    """Start processes that serve one arm each, and end them after the block."""
    processes = Processes(model, find, threads)
    try:
        yield processes
    finally:
        processes.stop()


def measure_memory(pid: int | None) -> float:
    """Return the MB that would be free without a process."""
    return float(psutil.Process(pid).memory_full_info().uss / 1e6)


def load_base(name: str) -> LanguageModel:
    """Load a base model in float32."""
    import torch

    from tuneoff.config.model import ModelOptions
    from tuneoff.models.loading import load_model, load_tokenizer
    from tuneoff.models.precision import hold_for_inference
    from tuneoff.models.sources import find_source

    options = ModelOptions(name=name)
    source = find_source(options)
    return hold_for_inference(load_model(source, options, load_tokenizer(source, options)), torch.float32)


def _answer(model: str, name: str, place: ArmSource | str, threads: int, connection: Any) -> None:
    """Serve one arm, until None comes."""
    import torch

    from benchmarks.serving import ask_together

    torch.set_num_threads(threads)
    if isinstance(place, str):
        engine = open_engine([Path(model)], [name], max_shared_tokens=0)
    else:
        engine = Engine(load_base(model), max_shared_tokens=0)
        engine.add_arm(name, place)
    engine.start()
    connection.send("ready")
    while (request := connection.recv()) is not None:
        start = time.process_time()
        (tokens,) = ask_together(engine, [request])
        connection.send((tokens, time.process_time() - start))
    engine.stop()
