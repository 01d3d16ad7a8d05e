"""Bad requests are refused in OpenAI's format, by the name of what is wrong, and the server answers the next one."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.serving.http.conftest import make_client
from tests.serving.http.scripted_engine import ScriptedEngine
from tests.serving.http.serving import serve
from tuneoff.serving.http.bodies import NEUTRAL
from tuneoff.serving.http.server import Server

GOOD: dict[str, Any] = {"model": "base", "prompt": "The river", "max_tokens": 2}
Post = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def post(shared_server: Server) -> Iterator[Post]:
    """Send a body, check the form of its answer if it is an error, and that the server goes on."""
    with httpx.Client(base_url=shared_server.address, timeout=30) as client:

        def send(body: Any, path: str = "/v1/completions", **options: Any) -> httpx.Response:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            response = client.post(path, content=content, **options)
            if response.status_code != 200:
                assert set(response.json()["error"]) == {"message", "type", "param", "code"}
            assert client.post("/v1/completions", json=GOOD).status_code == 200
            return response

        yield send


def deep(levels: int) -> bytes:
    return b'{"model":"base","prompt":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"null", b"[]", b'"text"', b"1e999999", b"{}", deep(200_000),
        b'{"model":"base","prompt":"a","temperature":NaN}',
        b'{"model":"base","prompt":"a","temperature":1e400}',
        b'{"model":"base","prompt":"a","max_tokens":' + b"9" * 10_000 + b"}",
        b'{"model":"base","prompt":"NUL \\u0000"}',
        b'{"model":"base","prompt":"half \\ud800"}',
        b'{"model":"base","prompt":"a","stop":["\\u0000"]}',
    ],
    ids=range(15),
)  # fmt: skip
def test_what_is_no_request_is_refused(post: Post, body: bytes) -> None:
    assert post(body).status_code == 400
    assert post(body, "/v1/chat/completions").status_code == 400
    assert post(body, "/v1/load_lora_adapter").status_code == 400


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"max_tokens": "2"}, "max_tokens"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": -3}, "seed"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"prompt": ["a"] * 100, "n": 100}, "n"),
        ({"prompt": None}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [10**9]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["a"] * 99}, "stop"),
        ({"logprobs": 99}, "logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": 3}, "model"),
        ({"fields": {"source": "a"}}, "fields"),
        ({"prompt": None, "fields": {"other": 1}}, "source"),
        ({"temprature": 1}, "temprature"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_name(post: Post, change: dict[str, Any], named: str) -> None:
    response = post({**GOOD, **change})
    assert response.status_code == 400
    assert named in response.json()["error"]["message"]


@pytest.mark.parametrize("name", sorted(NEUTRAL))
def test_an_option_that_is_not_supported_is_never_ignored(post: Post, name: str) -> None:
    response = post({**GOOD, name: {"another": "value"}})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == name
    for neutral in [None, *NEUTRAL[name]]:
        assert post({**GOOD, name: neutral}).status_code == 200


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": "a"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]},
        {"role": "user", "content": None},
        {"role": "user"},
        "text",
    ],
)
def test_a_message_of_another_kind_is_refused(post: Post, message: Any) -> None:
    response = post({"model": "base", "messages": [message]}, "/v1/chat/completions")
    assert response.status_code == 400
    assert "messages.0" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "change",
    [{"messages": []}, {"top_logprobs": 2}, {"max_tokens": 1, "max_completion_tokens": 2}, {"logprobs": 2}],
)
def test_a_chat_that_contradicts_itself_is_refused(post: Post, change: dict[str, Any]) -> None:
    body = {"model": "base", "messages": [{"role": "user", "content": "a"}], **change}
    assert post(body, "/v1/chat/completions").status_code == 400


def test_an_unknown_arm_is_not_found_and_the_answer_lists_the_arms(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="base, lora") as raised:
        client.completions.create(model="gpt-4", prompt="a")
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="base, lora"):
        client.models.retrieve("gpt-4")


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_refused_with_the_counts(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError, match=r"prompt has \d+ tokens.*may have 64") as raised:
        client.completions.create(model="base", prompt="river " * 100, stream=stream)  # type: ignore[call-overload]
    assert raised.value.code == "context_length_exceeded"


def test_a_body_of_ten_megabytes_is_too_large(post: Post) -> None:
    assert post({**GOOD, "prompt": "a" * 10_000_000}).status_code == 413


def test_a_body_without_a_length_is_measured_too(post: Post) -> None:
    response = post(json.dumps(GOOD).encode(), headers={"Transfer-Encoding": "chunked"})
    assert response.status_code in {200, 400}


def test_a_body_in_chunks_is_counted_as_it_comes(shared_server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b"a" * 100_000

    with httpx.Client(base_url=shared_server.address, timeout=30) as client:
        assert client.post("/v1/completions", content=chunks()).status_code == 413


def test_an_unknown_path_and_a_wrong_method_are_errors_in_the_same_format(shared_server: Server) -> None:
    with httpx.Client(base_url=shared_server.address) as client:
        for response, status in ((client.get("/v1/nothing"), 404), (client.get("/v1/completions"), 405)):
            assert response.status_code == status
            assert response.json()["error"]["message"]


def test_what_is_not_http_hurts_nobody(shared_server: Server, post: Post) -> None:
    with socket.create_connection(("127.0.0.1", shared_server.port)) as raw:
        raw.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert b"400" in raw.recv(1000)
    assert post(GOOD).status_code == 200


def test_a_full_queue_asks_to_come_back_and_takes_none_of_several(tokenizer: Any) -> None:
    engine = ScriptedEngine(tokenizer, endless=True, most=2)
    with serve(engine) as server, make_client(server) as client:
        with pytest.raises(openai.RateLimitError) as raised:
            client.completions.create(model="base", prompt="a", n=3, max_tokens=60)
        assert raised.value.response.headers["Retry-After"] == "1"
        assert [ticket.cancelled.wait(10) for ticket in engine.tickets] == [True, True]


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_of_the_engine_is_an_error_that_does_not_show_its_inside(tokenizer: Any, stream: bool) -> None:
    with serve(ScriptedEngine(tokenizer, failing=True)) as server, make_client(server) as client:
        with pytest.raises(openai.APIError, match="The server failed") as raised:
            list(client.completions.create(model="base", prompt="The river", stream=stream))  # type: ignore[call-overload]
        assert "secret" not in str(raised.value)
