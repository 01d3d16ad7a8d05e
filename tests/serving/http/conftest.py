from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.serving.http.scripted_engine import ScriptedEngine
from tests.serving.http.serving import serve
from tuneoff.serving.http.server import Server

CHAT_TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[a]{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> Any:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(tokenizer_folder)
    loaded.chat_template = CHAT_TEMPLATE
    return loaded


@pytest.fixture
def engine(tokenizer: Any) -> ScriptedEngine:
    return ScriptedEngine(tokenizer)


@pytest.fixture
def server(engine: ScriptedEngine) -> Iterator[Server]:
    with serve(engine) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with make_client(server) as made:
        yield made


def make_client(server: Server, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key=key, max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def shared_server(tokenizer: Any) -> Iterator[Server]:
    """For tests that look only at what they are answered."""
    with serve(ScriptedEngine(tokenizer)) as running:
        yield running
