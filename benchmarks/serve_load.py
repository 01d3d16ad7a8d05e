"""Load a server with many streams at once, mixed arms, clients that go away and bad requests, and check every answer.

`python -m benchmarks.serve_load --minutes 5` trains a run of most methods on a tiny Llama and serves it. Another run is
named with `--run`. First every prompt is answered by every arm alone, one request at a time, at temperature zero. Under
load each complete answer must be that one, token for token: an answer that differs is mixed up, and one that never ends
or ends with an error is lost. Requests that the server refuses with 429 are sent again, as its answer asks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import psutil

from tests.conftest import SENTENCES, save_model, save_tokenizer
from tests.tiny_run import make_run

METHODS: dict[str, Any] = {
    "base": None,
    "lora": {"learning_rate": 1e-1},
    "dora": {"learning_rate": 1e-1},
    "ia3": {"learning_rate": 1e-1},
    "adapter": {"learning_rate": 1e-1},
    "soft-prompt": {"tokens": 5},
    "prefix": {"tokens": 5},
    "last-layer": {"learning_rate": 1e-1},
    "full": {"learning_rate": 1e-2},
}
BAD: tuple[bytes, ...] = (
    b"{",
    b'{"model": "nobody", "prompt": "a"}',
    b'{"model": "base", "prompt": "\\u0000"}',
    b'{"model": "base", "prompt": "a", "max_tokens": "many"}',
    b'{"model": "base", "prompt": "' + b"river " * 3_000 + b'"}',
    b'{"model": "base", "prompt": "a", "tools": [{"type": "function"}]}',
)
PATIENCE_SECONDS = 120.0  # after which an answer is lost
SAMPLE_SECONDS = 5.0  # between two looks at the memory
Answers = Mapping[tuple[str, str], str]  # by arm and prompt


def main() -> None:
    """Load a server, and print what became of every request and of its memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=24, help="of the longest answer")
    parser.add_argument("--run", type=Path, help="a run directory; by default a tiny one is made")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or make_tiny_run(Path(folder))
        with serve(run) as (process, address):
            asyncio.run(load(process, address, options))


def make_tiny_run(folder: Path) -> Path:
    """Train a run of most methods on a tiny Llama."""
    save_model("llama", folder / "model")
    save_tokenizer(folder / "model")
    return make_run(folder, folder / "model", METHODS, training={"epochs": 2})


@contextmanager
def serve(run: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Serve a run in a process of its own, and yield that with its address."""
    command = [sys.executable, "-m", "tuneoff.cli", "serve", str(run), "--port", "0", "--max-waiting", "150"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        address = next(line.split()[1] for line in server.stdout if line.startswith("Page:"))
        yield psutil.Process(server.pid), address
        server.send_signal(signal.SIGTERM)
        print(f"The server ended with {server.wait(60)} after SIGTERM.")


async def load(process: psutil.Process, address: str, options: argparse.Namespace) -> None:
    async with openai.AsyncOpenAI(base_url=f"{address}v1", api_key="-", max_retries=0, timeout=None) as client:
        arms = [model.id async for model in client.models.list()]
        prompts = SENTENCES
        alone = {(arm, prompt): await _ask(client, arm, prompt, options.tokens) for arm in arms for prompt in prompts}
        print(
            f"{len(arms)} arms, {len(prompts)} prompts, {len(set(alone.values()))} different answers when asked alone"
        )
        counts: Counter[str] = Counter()
        end = time.monotonic() + 60 * options.minutes
        chance = random.Random(options.seed)
        work = [
            _stream_until(end, client, alone, options.tokens, random.Random(chance.random()), counts)
            for _ in range(options.streams)
        ]
        memory, _ = await asyncio.gather(_watch_memory(process, end), asyncio.gather(*work))
        again = sum([await _ask(client, *key, options.tokens) == text for key, text in alone.items()])
        metrics = await client.with_options(base_url=address).get("/metrics", cast_to=str)
    rows = next(line for line in metrics.splitlines() if line.startswith("tuneoff_rows "))
    _report(counts, memory, options)
    print(f"Afterwards {again} of {len(alone)} answers alone are as before, and {rows.split()[1]} rows are in use.")


async def _stream_until(
    end: float, client: openai.AsyncOpenAI, alone: Answers, tokens: int, chance: random.Random, counts: Counter[str]
) -> None:
    keys = sorted(alone)
    while time.monotonic() < end:
        kind = chance.random()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if kind < 0.1:
                    counts[await _send_bad(client, chance.choice(BAD))] += 1
                elif kind < 0.3:
                    await _leave_early(client, *chance.choice(keys), tokens, chance)
                    counts["left early"] += 1
                else:
                    key = chance.choice(keys)
                    counts["right" if await _ask(client, *key, tokens) == alone[key] else "mixed up"] += 1
        except openai.RateLimitError:
            counts["asked to come back"] += 1
            await asyncio.sleep(chance.random())
        except (openai.APIError, TimeoutError) as error:
            counts[f"lost: {type(error).__name__}, {error.__cause__!r}"] += 1


async def _ask(client: openai.AsyncOpenAI, arm: str, prompt: str, tokens: int) -> str:
    while True:
        try:
            stream = await client.completions.create(
                model=arm, prompt=prompt, max_tokens=tokens, temperature=0, stream=True
            )
            break
        except openai.RateLimitError:
            await asyncio.sleep(1)
    texts, reason = [], None
    async for chunk in stream:
        texts.append(chunk.choices[0].text)
        reason = chunk.choices[0].finish_reason or reason
    return "".join(texts) if reason else "no end"


async def _leave_early(client: openai.AsyncOpenAI, arm: str, prompt: str, tokens: int, chance: random.Random) -> None:
    stream = await client.completions.create(model=arm, prompt=prompt, max_tokens=tokens, stream=True)
    for _ in range(chance.randrange(tokens)):
        if await anext(aiter(stream), None) is None:
            break
    await stream.close()


async def _send_bad(client: openai.AsyncOpenAI, body: bytes) -> str:
    try:
        await client.post("/completions", cast_to=object, content=body)
    except (openai.BadRequestError, openai.NotFoundError) as error:
        return "bad and refused" if json.loads(error.response.text)["error"]["message"] else "bad without a reason"
    return "bad and answered"


async def _watch_memory(process: psutil.Process, end: float) -> list[int]:
    """Return the resident bytes of the server from now until the end."""
    found = [process.memory_info().rss]
    while time.monotonic() < end:
        await asyncio.sleep(min(SAMPLE_SECONDS, max(0.0, end - time.monotonic())))
        found.append(process.memory_info().rss)
    return found


def _report(counts: Counter[str], memory: list[int], options: argparse.Namespace) -> None:
    print(f"{options.streams} streams for {options.minutes:g} minutes, seed {options.seed}:")
    for what, count in sorted(counts.items()):
        print(f"  {count:8,}  {what}")
    for name in ("mixed up", "bad and answered", "bad without a reason"):
        print(f"  {counts[name]:8,}  {name} (must be none)")
    lost = sum(count for what, count in counts.items() if what.startswith("lost"))
    print(f"  {lost:8,}  lost (must be none)")
    minutes = [memory[int(share * (len(memory) - 1))] / 1e6 for share in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    print("Resident memory of the server, MB, from start to end:", ", ".join(f"{m:.0f}" for m in minutes))


if __name__ == "__main__":
    main()
