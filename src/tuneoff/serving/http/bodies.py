"""What a request may say, in the words of OpenAI's API.

An option that this server does not have is refused by its name, unless its value asks for nothing: an answer that
silently ignores what was asked would be taken for what it is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuneoff.serving.http.errors import ApiError

MOST_CHOICES = 128  # answers to one request: prompts times n
Tokens = list[int]
Fields = dict[str, Any]  # Any: the columns of a row

# Options with the values that change nothing. Any value of those in `REMARKS` changes nothing.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "audio": (),
    "best_of": (1,),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "min_p": (0,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "reasoning_effort": ("none",),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_k": (0, -1),
    "verbosity": ("medium",),
    "web_search_options": (),
}
REMARKS = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StreamOptions(_Body):
    """How a stream is written."""

    include_usage: bool = False
    include_obfuscation: bool = False  # OpenAI pads its events against observers of lengths; here nothing is padded


class Generation(_Body):
    """What both kinds of requests for an answer have in common. None stands for the default."""

    model: str
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = Field(None, max_length=16)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    fields: Fields | None = None  # of a row: the prompt is the one that the run makes of it

    @property
    def stops(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionBody(Generation):
    """`POST /v1/completions`."""

    prompt: str | list[str] | Tokens | list[Tokens] | None = None
    max_tokens: int | None = None
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=20)


class TextPart(_Body):
    """A part of a message. Other kinds than text are refused."""

    type: Literal["text"]
    text: str


class Message(_Body):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def to_row(self) -> dict[str, str]:
        """Return the message as chat templates take it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class ChatBody(Generation):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(default_factory=list)
    chat_template_kwargs: Fields | None = None  # further variables of the chat template, as vLLM names them
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)


class LoadBody(_Body):
    """`POST /v1/load_lora_adapter`."""

    lora_name: str = Field(min_length=1, max_length=200)
    lora_path: str = Field(min_length=1)


class UnloadBody(_Body):
    """`POST /v1/unload_lora_adapter`."""

    lora_name: str


Body = TypeVar("Body", bound=BaseModel)


def read_body(content: bytes, kind: type[Body]) -> Body:
    """Read the body of a request.

    Raises:
        ApiError: it is no JSON object, an option is unknown or not supported, or a value does not fit.
    """
    values = _parse(content)
    for name in [name for name in values if name not in kind.model_fields]:
        value = values.pop(name)
        if name in REMARKS or value is None:
            continue
        if name not in NEUTRAL:
            raise ApiError(
                400,
                f"Unknown option {name!r}. Options: {', '.join(kind.model_fields)}.",
                param=name,
                code="unknown_parameter",
            )
        if not any(type(value) is type(neutral) and value == neutral for neutral in NEUTRAL[name]):
            raise ApiError(
                400, f"This server does not support {name!r}. Leave it out.", param=name, code="unsupported_parameter"
            )
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        # of a union, the problems of every member are listed; the first path is what all have in common
        path = ".".join(str(step) for step in problems[0]["loc"])
        message = "; ".join(dict.fromkeys(problem["msg"] for problem in problems))
        raise ApiError(400, f"{path}: {message}.", param=str(problems[0]["loc"][0]), code="invalid_value") from None


def _parse(content: bytes) -> dict[str, Any]:
    try:
        values = json.loads(content, parse_constant=_refuse_constant)
        _require_text(values)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(400, f"The body is not valid JSON: {reason}.", code="invalid_json") from None
    if not isinstance(values, dict):
        raise ApiError(400, "The body must be a JSON object.", code="invalid_json")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _require_text(value: Any) -> None:
    """Refuse strings that are no text: with NUL, or with half a character of UTF-16."""
    match value:
        case str():
            if "\0" in value:
                raise ValueError("a string has the character NUL")
            value.encode()  # raises UnicodeEncodeError, a ValueError
        case dict():
            for key, part in value.items():
                _require_text(key)
                _require_text(part)
        case list():
            for part in value:
                _require_text(part)
