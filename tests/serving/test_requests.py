"""A request that cannot be answered is refused where it is made, with what would do."""

import math
from typing import Any

import pytest

from tuneoff.errors import RequestError
from tuneoff.serving.requests import Request, Sampling


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_tokens": -1}, "max_tokens is -1"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"stop": ("a", "")}, "stop"),
        ({"presence_penalty": math.inf}, "presence_penalty"),
        ({"logprobs": -1}, "logprobs"),
    ],
)
def test_a_value_out_of_range_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Sampling(**values)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(RequestError, match="no tokens"):
        Request(arm="base", prompt_ids=())
