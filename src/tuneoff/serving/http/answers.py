"""Answers as OpenAI's API writes them, whole or in the chunks of a stream.

Both kinds of answer, of `/v1/completions` and of `/v1/chat/completions`, are built from the same events. `Form` is what
differs between them.
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from tuneoff.serving.requests import Alternatives, Event, Finished, Prompt, Token

Json = dict[str, Any]  # Any: the values of JSON


@dataclass(frozen=True, kw_only=True)
class ScoredToken:
    """A token with its log-probability, as answers show it."""

    text: str
    logprob: float | None
    top: tuple[tuple[str, float], ...]


@dataclass(kw_only=True)
class Part:
    """What is new in one choice of an answer: a whole answer has one part, and a stream many."""

    index: int
    text: str = ""
    tokens: list[ScoredToken] = field(default_factory=list)
    reason: str | None = None


class Form(ABC):
    """How one kind of answer is written.

    Args:
        has_logprobs: whether the request asks for them.
    """

    prefix: str  # of ids
    object: str
    chunk_object: str

    def __init__(self, *, has_logprobs: bool) -> None:
        self.has_logprobs = has_logprobs

    @abstractmethod
    def begin(self, index: int) -> Json | None:
        """Return the choice of a stream's first chunk, or None if it has none of its own."""

    @abstractmethod
    def write(self, part: Part, *, is_chunk: bool) -> Json:
        """Return a part as a choice."""


@final
class CompletionForm(Form):
    """`/v1/completions`."""

    prefix, object, chunk_object = "cmpl", "text_completion", "text_completion"

    def __init__(self, *, has_logprobs: bool) -> None:
        super().__init__(has_logprobs=has_logprobs)
        self._offsets: dict[int, int] = {}  # characters so far, by choice

    def begin(self, index: int) -> None:
        return None

    def write(self, part: Part, *, is_chunk: bool) -> Json:
        logprobs = self._write_logprobs(part) if self.has_logprobs else None
        return {"index": part.index, "text": part.text, "logprobs": logprobs, "finish_reason": part.reason}

    def _write_logprobs(self, part: Part) -> Json:
        offsets, at = [], self._offsets.get(part.index, 0)
        for token in part.tokens:
            offsets.append(at)
            at += len(token.text)
        self._offsets[part.index] = at
        return {
            "tokens": [token.text for token in part.tokens],
            "token_logprobs": [token.logprob for token in part.tokens],
            "top_logprobs": [_keep_first(token.top) or None for token in part.tokens],
            "text_offset": offsets,
        }


def _keep_first(top: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the log-probability by text: that of the most likely one, where several tokens have equal text."""
    by_text: dict[str, float] = {}
    for text, logprob in top:
        by_text.setdefault(text, logprob)
    return by_text


@final
class ChatForm(Form):
    """`/v1/chat/completions`."""

    prefix, object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def begin(self, index: int) -> Json:
        delta = {"role": "assistant", "content": "", "refusal": None}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def write(self, part: Part, *, is_chunk: bool) -> Json:
        if is_chunk:
            content: Json = {"delta": {"content": part.text} if part.text or part.tokens else {}}
        else:
            content = {"message": {"role": "assistant", "content": part.text, "refusal": None}}
        logprobs = {"content": [_write_token(token) for token in part.tokens]} if self.has_logprobs else None
        return {"index": part.index, **content, "logprobs": logprobs, "finish_reason": part.reason}


def _write_token(token: ScoredToken) -> Json:
    top = [{"token": text, "logprob": logprob, "bytes": list(text.encode())} for text, logprob in token.top]
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.text.encode()), "top_logprobs": top}


@final
class Writer:
    """Writes the answer to one request.

    Args:
        decode: the text of one token.
        echoes: of each choice, the prompt's text and tokens if they belong to the answer; otherwise empty.
        choices_per_prompt: neighboring choices of one prompt, whose tokens count once.
    """

    def __init__(
        self,
        form: Form,
        model: str,
        *,
        decode: Callable[[int], str],
        echoes: Sequence[tuple[str, Sequence[int]]],
        choices_per_prompt: int,
    ) -> None:
        self._form, self._decode = form, decode
        self._echoes, self._choices_per_prompt = echoes, choices_per_prompt
        self._head: Json = {"id": f"{form.prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self._prompt_tokens = self._completion_tokens = 0

    @property
    def usage(self) -> Json:
        """The tokens of the answers that have finished."""
        total = self._prompt_tokens + self._completion_tokens
        counts = {"prompt_tokens": self._prompt_tokens, "completion_tokens": self._completion_tokens}
        return {**counts, "total_tokens": total}

    def begin(self) -> list[Part]:
        """Return the parts of an answer before its first event: what of the prompts belongs to it."""
        return [Part(index=index, text=text) for index, (text, _) in enumerate(self._echoes) if text]

    def read(self, index: int, event: Event) -> Part:
        """Return what an event adds to a choice."""
        match event:
            case Prompt():
                tokens = zip(self._echoes[index][1], event.logprobs, event.alternatives, strict=True)
                return Part(index=index, tokens=[self._score(*token) for token in tokens])
            case Token():
                scored = [self._score(event.id, event.logprob, event.alternatives)] if self._form.has_logprobs else []
                return Part(index=index, text=event.text, tokens=scored)
            case Finished():
                self._completion_tokens += event.completion_tokens
                if index % self._choices_per_prompt == 0:
                    self._prompt_tokens += event.prompt_tokens
                return Part(index=index, text=event.text, reason=event.reason)
        raise TypeError(f"{event} adds nothing")

    def write_whole(self, parts: Sequence[Part]) -> Json:
        """Return the whole answer.

        Args:
            parts: in the order in which they came.
        """
        wholes = [Part(index=index) for index in range(len(self._echoes))]
        for part in parts:
            whole = wholes[part.index]
            whole.text += part.text
            whole.tokens += part.tokens
            whole.reason = part.reason or whole.reason
        choices = [self._form.write(whole, is_chunk=False) for whole in wholes]
        return {**self._head, "object": self._form.object, "choices": choices, "usage": self.usage}

    def open_stream(self) -> list[Json]:
        """Return the chunks of a stream that come before all parts."""
        opened = [self._form.begin(index) for index in range(len(self._echoes))]
        return [self._write_chunk([choice]) for choice in opened if choice is not None]

    def write_chunk(self, part: Part) -> Json:
        """Return the chunk of a part."""
        return self._write_chunk([self._form.write(part, is_chunk=True)])

    def write_usage(self) -> Json:
        """Return the last chunk of a stream that was asked for its usage."""
        return {**self._write_chunk([]), "usage": self.usage}

    def _write_chunk(self, choices: list[Json]) -> Json:
        return {**self._head, "object": self._form.chunk_object, "choices": choices}

    def _score(self, token: int, logprob: float | None, alternatives: Alternatives) -> ScoredToken:
        top = tuple((self._decode(other), score) for other, score in alternatives)
        return ScoredToken(text=self._decode(token), logprob=logprob, top=top)
