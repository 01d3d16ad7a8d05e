"""How long the engine takes for requests to several arms: in one batch, and one arm after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tuneoff.records.measured import MixedTimes, Spread
from tuneoff.serving.engine import Engine
from tuneoff.serving.opening import open_engine
from tuneoff.serving.requests import Event, Failed, Finished, Request, Sampling

BASE = "base"


def measure_mixed(
    run: Path, labels: Sequence[str], prompt: Sequence[int], *, new_tokens: int, repeats: int
) -> MixedTimes | None:
    """Time a request to each arm, with the same prompt and greedy decoding; None for fewer than two arms.

    The three ways take turns in each repeat, and the first repeat is not counted.

    Raises:
        RunError: an arm cannot be served.
    """
    if len(labels) < 2:
        return None
    engine = open_engine([run], [*labels, BASE], max_shared_tokens=0)  # each repeat reads the same prompt anew
    engine.start()
    try:
        repeated = [_time_repeat(engine, labels, prompt, new_tokens) for _ in range(repeats + 1)][1:]
    finally:
        engine.stop()
    mixed, in_turn, base = (Spread.of([times[way] for times in repeated]) for way in range(3))
    return MixedTimes(labels=tuple(labels), mixed_ms=mixed, in_turn_ms=in_turn, base_ms=base)


def _time_repeat(
    engine: Engine, labels: Sequence[str], prompt: Sequence[int], new_tokens: int
) -> tuple[float, float, float]:
    """Return the milliseconds for all arms at once, for one after another, and for as many rows of the base model."""
    mixed = _time_requests(engine, labels, prompt, new_tokens)
    in_turn = sum(_time_requests(engine, [label], prompt, new_tokens) for label in labels)
    return mixed, in_turn, _time_requests(engine, [BASE] * len(labels), prompt, new_tokens)


def _time_requests(engine: Engine, arms: Sequence[str], prompt: Sequence[int], new_tokens: int) -> float:
    """Submit a request to each arm at once, and return the milliseconds until all are finished."""
    endings: list[Event] = []
    all_ended = threading.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, Finished | Failed):
            endings.append(event)
            if len(endings) == len(arms):
                all_ended.set()

    sampling = Sampling(max_tokens=new_tokens, temperature=0)
    start = time.perf_counter()
    for arm in arms:
        engine.submit(Request(arm=arm, prompt_ids=tuple(prompt), sampling=sampling), on_event)
    all_ended.wait()
    milliseconds = 1000 * (time.perf_counter() - start)
    for event in endings:
        if isinstance(event, Failed):
            raise event.error
    return milliseconds
