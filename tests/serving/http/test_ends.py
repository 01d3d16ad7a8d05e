"""How answers end: the client goes away, the time is over, the server stops."""

import asyncio
import json
import socket
import threading
import time
from typing import Any

import openai
import pytest

from tests.serving.http.conftest import make_client
from tests.serving.http.scripted_engine import ScriptedEngine
from tests.serving.http.serving import serve
from tuneoff.serving.http.server import Server
from tuneoff.serving.limits import ServerLimits


@pytest.fixture
def endless(tokenizer: Any) -> ScriptedEngine:
    return ScriptedEngine(tokenizer, endless=True)


def send_and_leave(server: Server, *, stream: bool, wait_for: threading.Event | None = None) -> None:
    body = json.dumps({"model": "base", "prompt": "The river", "max_tokens": 50, "stream": stream}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(head.encode() + body)
        if stream:
            assert raw.recv(10)
        else:
            time.sleep(0.2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_row(endless: ScriptedEngine, stream: bool) -> None:
    with serve(endless) as server:
        send_and_leave(server, stream=stream)
        assert endless.tickets[0].cancelled.wait(10)
        time.sleep(0.05)
        with make_client(server) as client:
            metrics = client.with_options(base_url=server.address).get("/metrics", cast_to=str)
        assert "tuneoff_clients_gone_total 1.0" in metrics.splitlines()


def test_a_reader_that_stops_in_the_middle_frees_its_row(endless: ScriptedEngine) -> None:
    with serve(endless) as server, make_client(server) as client:
        stream = client.completions.create(model="base", prompt="The river", max_tokens=50, stream=True)
        next(iter(stream))
        stream.close()
        assert endless.tickets[0].cancelled.wait(10)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_takes_too_long_is_ended(endless: ScriptedEngine, stream: bool) -> None:
    with serve(endless, limits=ServerLimits(seconds=0.3)) as server, make_client(server) as client:
        endless.pause = 10
        with pytest.raises(openai.APIError, match="longer than the server allows"):
            list(client.completions.create(model="base", prompt="a", max_tokens=60, stream=stream))  # type: ignore[call-overload]
        assert endless.tickets[0].cancelled.wait(10)


def test_a_server_that_stops_ends_open_streams_and_then_the_engine(endless: ScriptedEngine) -> None:
    """`serve` fails if the server's thread does not end."""
    with serve(endless) as server, make_client(server) as client:
        stream = client.completions.create(model="base", prompt="a river " * 3, max_tokens=40, stream=True)
        next(iter(stream))
        server.stop()
        with pytest.raises(openai.APIError), stream:
            for _ in stream:
                pass
    assert endless.is_stopped
    assert endless.tickets[0].cancelled.is_set()


def test_an_answer_that_is_nearly_complete_is_finished_before_the_server_stops(tokenizer: Any) -> None:
    engine = ScriptedEngine(tokenizer, pause=0.05)
    with serve(engine) as server, make_client(server) as client:
        stream = client.completions.create(model="base", prompt="The river", stream=True)
        first = next(iter(stream))
        server.stop()
        rest = list(stream)
    assert first.choices[0].text
    assert rest[-1].choices[0].finish_reason == "stop"


def test_many_streams_at_once_get_their_own_answers(engine: ScriptedEngine, server: Server, tokenizer: Any) -> None:
    texts = [f"{'storm river mayor '[k % 7 :]}{k}" for k in range(40)]

    async def ask(client: openai.AsyncOpenAI, text: str) -> str:
        stream = await client.completions.create(model="lora", prompt=text, max_tokens=40, stream=True)
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.address}/v1", api_key="-", max_retries=0) as client:
            return list(await asyncio.gather(*(ask(client, text) for text in texts)))

    expected = ["".join(map(tokenizer.decode, reversed(tokenizer(text)["input_ids"]))) for text in texts]
    assert asyncio.run(ask_all()) == expected
