"""Who may ask: whoever has the key, or without one this machine alone, and no page of another origin."""

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.serving.http.conftest import make_client
from tests.serving.http.scripted_engine import ScriptedEngine
from tests.serving.http.serving import serve
from tuneoff.serving.http.guards import is_loopback
from tuneoff.serving.http.server import Server

KEY = "a key of Ω"
PATHS = ["/v1/models", "/metrics"]


@pytest.fixture(scope="module")
def keyed(tokenizer: Any) -> Iterator[Server]:
    with serve(ScriptedEngine(tokenizer), key="key") as running:
        yield running


def get(server: Server, path: str, **headers: str) -> httpx.Response:
    return httpx.get(server.address + path, headers=headers)


def test_with_a_key_nothing_is_answered_without_it(keyed: Server) -> None:
    with make_client(keyed, "wrong") as client, pytest.raises(openai.AuthenticationError, match="API key"):
        client.models.list()
    with make_client(keyed, "key") as client:
        assert client.models.list().data


@pytest.mark.parametrize("given", ["", "key", "Bearer", "Bearer key2", "Basic key", "Bearer \xff"])
def test_a_wrong_key_is_refused_on_every_path(keyed: Server, given: str) -> None:
    for path in PATHS:
        response = httpx.get(keyed.address + path, headers={"Authorization": given.encode("latin-1")})
        assert response.status_code == 401
    assert get(keyed, "/health").status_code == 200


def test_a_key_may_have_any_characters(tokenizer: Any) -> None:
    with serve(ScriptedEngine(tokenizer), key=KEY) as server:
        headers = {"Authorization": f"Bearer {KEY}".encode()}
        assert httpx.get(f"{server.address}/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "localhost@evil.example", "0.0.0.0"],
)
def test_a_name_that_is_not_this_machine_is_refused_against_dns_rebinding(shared_server: Server, host: str) -> None:
    assert get(shared_server, "/v1/models", Host=host).status_code in {400, 403}


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:80", "[::1]:8000", "LOCALHOST"])
def test_every_name_of_this_machine_is_allowed(shared_server: Server, host: str) -> None:
    assert get(shared_server, "/v1/models", Host=host).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "http://localhost:1"])
def test_a_page_of_another_origin_may_not_ask(shared_server: Server, keyed: Server, origin: str) -> None:
    assert get(shared_server, "/v1/models", Origin=origin).status_code == 403
    assert get(keyed, "/v1/models", Origin=origin, Authorization="Bearer key").status_code == 403


def test_its_own_page_may_ask(shared_server: Server) -> None:
    assert get(shared_server, "/v1/models", Origin=shared_server.address).status_code == 200


def test_hosts_that_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.8.8", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.2", "example.com", "", "localhost.evil"]))
