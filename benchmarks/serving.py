"""Measures what mixing arms in a batch costs: one row of each arm against as many rows of the base model, and against
one arm after another.

python -m benchmarks.serving
python -m benchmarks.serving --run runs/demo --rounds 7 --tokens 32

Without --run, the arms have taken one training step from the demo's weights. The ways alternate, and ratios are those
within a round, of processor time, which other load on the machine changes less than the clock. The answers of the mixed
batch must be those of the arms one after another.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tuneoff.serving import Engine, Failed, Finished, Request, Sampling, Token, open_engine
from tuneoff.serving.requests import Event

MODEL = "smollm2-135m-instruct"
METHODS: dict[str, Any] = {
    "base": None,
    "lora": None,
    "lora-qv": {"method": "lora", "rank": 16, "modules": "attention"},
    "dora": None,
    "ia3": None,
    "soft-prompt": None,
    "prefix": None,
    "adapter": None,
}
TEXT = "The committee met on Monday and agreed on a plan for the river, the bridge and the old harbour of the town. "


def main() -> int:
    """Print the table; return 1 if an answer in the mixed batch is another than alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="a run directory whose arms are served; by default arms after one training step")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=16, help="new tokens of each answer")
    parser.add_argument("--prompt", type=int, default=64, help="tokens of each prompt")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine([options.run]) if options.run else _train(Path(folder))
        engine.start()
        print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads, torch {torch.__version__}")
        worst = max(one.largest_difference for one in engine.check().values())
        print(f"largest difference of a logit in a mixed batch from the model alone: {worst:.1e}\n")
        same = _measure(engine, options.rounds, options.tokens, options.prompt)
        engine.stop()
    return 0 if same else 1


def _train(folder: Path) -> Engine:
    """Return an engine whose arms have taken one step on the text, from the demo's weights."""
    import torch

    from tuneoff.config.model import ModelOptions
    from tuneoff.methods import read_method
    from tuneoff.models.loading import load_model, load_tokenizer
    from tuneoff.models.precision import hold_for_inference
    from tuneoff.models.shared_weights import copy_sharing_weights
    from tuneoff.models.sources import find_source
    from tuneoff.serving.arms import ArmSource

    options = ModelOptions(name=MODEL)
    source = find_source(options)
    base = hold_for_inference(load_model(source, options, load_tokenizer(source, options)), torch.float32)
    tokens_1T = torch.tensor([base.tokenizer(TEXT)["input_ids"]])
    everything_1T = torch.ones_like(tokens_1T, dtype=torch.bool)
    scored_1T = everything_1T.clone()
    scored_1T[0, 0] = False
    engine = Engine(base)
    for label, hyperparameters in METHODS.items():
        torch.manual_seed(0)
        method = read_method(label, hyperparameters)
        tuned = method.apply(copy_sharing_weights(base))
        if method.trains:
            trained = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
            tuned(tokens_1T, everything_1T, scored_1T).mean().backward()
            torch.optim.AdamW(trained, lr=method.learning_rate).step()
        method.save(tuned, folder / label)
        engine.add_arm(label, ArmSource(method=method, folder=folder / label))
    return engine


def _measure(engine: Engine, rounds: int, tokens: int, prompt: int) -> bool:
    names = [info.name for info in engine.arms() if info.mixes]
    text_ids = engine.tokenizer(TEXT)["input_ids"]
    ids = (text_ids * (prompt // len(text_ids) + 1))[:prompt]
    requests = {
        name: Request(arm=name, prompt_ids=tuple(ids), sampling=Sampling(max_tokens=tokens, temperature=0))
        for name in names
    }
    base = [requests["base"]] * len(names)
    ways: dict[str, Callable[[], list[tuple[int, ...]]]] = {
        f"{len(names)} rows of the base model": lambda: _ask_together(engine, base),
        f"{len(names)} arms in one batch": lambda: _ask_together(engine, list(requests.values())),
        f"{len(names)} arms, one after another": lambda: [_ask_together(engine, [r])[0] for r in requests.values()],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    answers = {}
    for number in range(rounds + 1):
        for way, ask in ways.items():
            start = time.process_time()
            answers[way] = ask()
            if number:  # the first round warms up
                seconds[way].append(time.process_time() - start)
    _print_table(seconds, tokens * len(names))
    together, alone = (answers[way] for way in list(ways)[1:])
    same = sum(a == b for a, b in zip(together, alone, strict=True))
    print(
        f"\n{same} of {len(names)} answers of {tokens} tokens are the same in the batch and alone: {', '.join(names)}"
    )
    return same == len(names)


def _print_table(seconds: dict[str, list[float]], tokens: int) -> None:
    first = next(iter(seconds.values()))
    print("| way | processor time, median | tokens per second of it | of the first way, median (lowest to highest) |")
    print("| --- | --- | --- | --- |")
    for way, measured in seconds.items():
        ratios = [own / of_first for own, of_first in zip(measured, first, strict=True)]
        median = statistics.median(measured)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {way} | {median:.2f} s | {tokens / median:.1f} | {spread} |")


def _ask_together(engine: Engine, requests: Sequence[Request]) -> list[tuple[int, ...]]:
    """Return the tokens of the answers to requests that arrive at the same time."""
    answers: list[list[int]] = [[] for _ in requests]
    done = threading.Semaphore(0)
    failures: list[Exception] = []

    def listen(number: int, event: Event) -> None:
        if isinstance(event, Token):
            answers[number].append(event.id)
        if isinstance(event, Failed):
            failures.append(event.error)
        if isinstance(event, Finished | Failed):
            done.release()

    for number, request in enumerate(requests):
        engine.submit(request, lambda event, number=number: listen(number, event))
    for _ in requests:
        done.acquire()
    if failures:
        raise failures[0]
    return [tuple(answer) for answer in answers]


if __name__ == "__main__":
    sys.exit(main())
