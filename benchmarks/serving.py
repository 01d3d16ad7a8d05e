"""Measures what mixing arms in a batch costs: one row of each arm against as many rows of the base model, against one
arm after another, and against a process for each arm. Also what prompts that begin alike save.

python -m benchmarks.serving
python -m benchmarks.serving --run runs/demo --rounds 7 --tokens 32
python -m benchmarks.serving --run runs/demo --rounds 3 --tokens 17 --rows 16

With --rows, each arm answers so many of the run's test prompts: in one batch of all arms, against a batch for each.
Without --run, the arms have taken one training step from the demo's weights. The ways alternate, and ratios are those
within a round, of processor time, which other load on the machine changes less than the clock. The answers of the mixed
batch must be those of the arms one after another, and of the processes.
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
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import serving_processes as processes
from benchmarks.serving_processes import Processes, Times, measure_memory
from tuneoff.methods import read_method
from tuneoff.serving import Engine, Failed, Finished, Request, Sampling, Token, open_engine
from tuneoff.serving.arms import ArmSource
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
    parser.add_argument("--rows", type=int, help="test prompts for each arm of the run, and nothing else is measured")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine([options.run]) if options.run else _train(Path(folder))
        engine.start()
        print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads, torch {torch.__version__}")
        if options.rows:
            _measure_batches(engine, list_test_prompts(options.run, options.rows), options.rounds, options.tokens)
            engine.stop()
            return 0
        worst = max(one.largest_difference for one in engine.check().values())
        print(f"largest difference of a logit in a mixed batch from the model alone: {worst:.1e}\n")
        places = _list_places(options.run, Path(folder))
        with processes.open_processes(options.run or MODEL, places, options.threads) as alone:
            same = _measure(engine, alone, options.rounds, options.tokens, options.prompt)
        _measure_beginnings(engine, options.rounds)
        engine.stop()
    return 0 if same else 1


def _list_places(run: str | None, folder: Path) -> Callable[[str], ArmSource | str]:
    """Return a function from an arm to where a process of its own finds it."""
    if run:
        return lambda name: f"{run}:{name}"
    return lambda name: ArmSource(method=read_method(name, METHODS[name]), folder=folder / name)


def _train(folder: Path) -> Engine:
    """Return an engine whose arms have taken one step on the text, from the demo's weights."""
    import torch

    from tuneoff.models.shared_weights import copy_sharing_weights

    base = processes.load_base(MODEL)
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


def _measure(engine: Engine, alone: Processes, rounds: int, tokens: int, prompt: int) -> bool:
    names = [info.name for info in engine.arms() if info.mixes]
    text_ids = engine.tokenizer(TEXT)["input_ids"]
    ids = (text_ids * (prompt // len(text_ids) + 1))[:prompt]
    requests = {
        name: Request(arm=name, prompt_ids=tuple(ids), sampling=Sampling(max_tokens=tokens, temperature=0))
        for name in names
    }
    base = [requests["base"]] * len(names)
    ways: dict[str, Callable[[], list[tuple[int, ...]]]] = {
        f"{len(names)} rows of the base model": lambda: ask_together(engine, base),
        f"{len(names)} arms in one batch": lambda: ask_together(engine, list(requests.values())),
        f"{len(names)} arms, one after another": lambda: [ask_together(engine, [r])[0] for r in requests.values()],
        f"{len(names)} processes with an arm each": lambda: alone.ask(requests),
    }
    engine._lanes.mixed.prefixes = None  # the prompts are the same in all rounds, and all are to be read
    times: dict[str, list[Times]] = {way: [] for way in ways}
    answers = {}
    alone.start(names)
    for number in range(rounds + 1):
        for way, ask in ways.items():
            start = Times.now()
            answers[way] = ask()
            passed = Times.now() - start
            if way == list(ways)[-1]:
                passed = Times(clock=passed.clock, processor=alone.processor_seconds)
            if number:  # the first round warms up
                times[way].append(passed)
    _print_table(times, tokens * len(names))
    own = sum(info.bytes for info in engine.arms()) / 1e6
    print(
        f"\nmemory: {measure_memory(os.getpid()):.0f} MB for this process with all arms, of which {own:.0f} MB are the"
    )
    print(f"arms' own; {alone.memory:.0f} MB for the {len(names)} processes (not shared with others, USS)")
    same = sum(len(set(of_arm)) == 1 for of_arm in zip(*list(answers.values())[1:], strict=True))
    print(
        f"\n{same} of {len(names)} answers of {tokens} tokens are the same in the batch, alone and in a process: "
        f"{', '.join(names)}"
    )
    return same == len(names)


def list_test_prompts(run: str, count: int) -> list[tuple[int, ...]]:
    """Return the tokens of the first test prompts of a run."""
    import tuneoff
    from tuneoff.data import load_text
    from tuneoff.models.loading import load_tokenizer
    from tuneoff.models.sources import find_source

    recipe = tuneoff.load_comparison(run).run.recipe
    test = load_text(recipe.data, load_tokenizer(find_source(recipe.model), recipe.model)).test.select(range(count))
    return [tuple(tokens[:length]) for tokens, length in zip(test["tokens"], test["prompt_tokens"], strict=True)]


def _measure_batches(engine: Engine, prompts: Sequence[tuple[int, ...]], rounds: int, tokens: int) -> None:
    """Time one batch with the prompts for all arms against a batch for each arm, reading alone and with new tokens."""
    engine._lanes.mixed.prefixes = None  # the prompts are the same in all rounds, and all are to be read

    def list_requests(arm: str, new: int) -> list[Request]:
        sampling = Sampling(max_tokens=new, temperature=0)
        return [Request(arm=arm, prompt_ids=prompt, sampling=sampling) for prompt in prompts]

    arms = [info.name for info in engine.arms() if info.mixes]
    print("| new tokens | one batch of all arms | a batch for each arm | ratio, of each round |\n|" + " --- |" * 4)
    for new in (1, tokens):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for together in [True, False] * rounds:
            batches = [list_requests(arm, new) for arm in arms]
            start = time.process_time()
            for requests in [list(chain.from_iterable(batches))] if together else batches:
                ask_together(engine, requests)
            seconds[together].append(time.process_time() - start)
        ratios = ", ".join(f"{one / each:.2f}" for one, each in zip(seconds[True], seconds[False], strict=True))
        one, each = (statistics.median(seconds[together]) for together in (True, False))
        print(f"| {new} | {one:.1f} s | {each:.1f} s | {ratios} |", flush=True)


def _measure_beginnings(engine: Engine, rounds: int) -> None:
    """Time the reading of a prompt whose beginning was read before, against reading all of it."""
    text_ids = engine.tokenizer(TEXT)["input_ids"]
    words = text_ids * 60
    print("\n| tokens alike of a prompt with 16 more | read whole | with the beginning known | ratio |")
    print("| --- | --- | --- | --- |")
    for length in (16, 64, 256, 512):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * rounds + 4):
            shares = number % 2 == 0
            engine._lanes.mixed.prefixes = engine._lanes.prefixes if shares else None
            prompt = (*words[:length], *(1000 + 16 * number + n for n in range(16)))
            request = Request(arm="lora", prompt_ids=tuple(prompt), sampling=Sampling(max_tokens=1, temperature=0))
            start = time.process_time()
            ask_together(engine, [request])
            if number >= 4:  # the third prompt is the first that finds the beginning
                seconds[shares].append(time.process_time() - start)
        whole, known = (statistics.median(seconds[shares]) for shares in (False, True))
        print(f"| {length} | {1000 * whole:.0f} ms | {1000 * known:.0f} ms | {known / whole:.2f} |")


def _print_table(times: dict[str, list[Times]], tokens: int) -> None:
    first = next(iter(times.values()))
    print("| way | processor time, median | of the first way, median (lowest to highest) | by the clock | tokens/s |")
    print("| --- | --- | --- | --- | --- |")
    for way, measured in times.items():
        ratios = [own.processor / of_first.processor for own, of_first in zip(measured, first, strict=True)]
        processor, clock = (
            statistics.median(getattr(one, name) for one in measured) for name in ("processor", "clock")
        )
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {way} | {processor:.2f} s | {spread} | {clock:.2f} s | {tokens / clock:.1f} |")


def ask_together(engine: Engine, requests: Sequence[Request]) -> list[tuple[int, ...]]:
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
