from collections.abc import Callable
from typing import Any

import pytest

from tests.data.prompt.tokenizers_of_kinds import get_tokenizer
from tuneoff.config.data import TextOptions
from tuneoff.data.prompt import Encoder


@pytest.fixture
def encode() -> Callable[..., Any]:
    """A function that makes an encoder for a kind of tokenizer, with limits that cut nothing."""

    def make(kind: str, max_tokens: int = 400, max_target_tokens: int = 100, **options: Any) -> Encoder:
        limits = {"max_tokens": max_tokens, "max_target_tokens": max_target_tokens}
        return Encoder(TextOptions(**limits, **options), get_tokenizer(kind))

    return make
