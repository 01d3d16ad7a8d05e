"""A request on its way through the engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from tuneoff.models.prefix_attention import Layers
from tuneoff.serving.arms import Arm
from tuneoff.serving.choosing import Chooser, describe_choice
from tuneoff.serving.requests import Alternatives, Event, Failed, Finished, OnEvent, Prompt, Request, Token
from tuneoff.serving.shared_prefixes import Beginning
from tuneoff.serving.text_stream import TextStream

_LOG = logging.getLogger(__name__)


class Row:
    """The answer to one request as far as it is written.

    Args:
        request: what is answered.
        arm: the arm that the request names.
        on_event: gets the events.
        tokenizer: of the model.
        ends: ids of the tokens that end the answer.
    """

    def __init__(self, request: Request, arm: Arm, on_event: OnEvent, tokenizer: Any, ends: frozenset[int]) -> None:
        self.request = request
        self.arm = arm
        self.cancelled = False  # set from any thread
        self.finished = False
        self.tokens: list[int] = []
        self.beginning: Beginning | None = None  # of the prompt, if it need not be read
        self._on_event = on_event
        self._ends = ends
        self._chooser = Chooser(request, ends)
        self._stream = TextStream(tokenizer, request.sampling.stop)

    @property
    def length(self) -> int:
        """Positions that the prompt takes, with those before it."""
        return self.arm.prefix_tokens + len(self.request.prompt_ids)

    @property
    def known_tokens(self) -> int:
        """Positions before the part of the prompt that must be read."""
        return self.arm.prefix_tokens + (self.beginning.tokens if self.beginning else 0)

    @property
    def known_states(self) -> Layers | None:
        """Keys and values of these positions."""
        return self.beginning.states if self.beginning else self.arm.loaded.prefix

    @property
    def unread(self) -> tuple[int, ...]:
        """The part of the prompt that must be read."""
        return self.request.prompt_ids[self.beginning.tokens if self.beginning else 0 :]

    @property
    def positions(self) -> int:
        """Positions that the prompt and the longest answer take."""
        return self.length + self.request.sampling.max_tokens

    def allow_only(self, tokens: Sequence[int]) -> None:
        """Let the answer be these tokens and no others."""
        self._chooser.allow_only([tokens])

    def take_prompt(self, logprobs: tuple[float | None, ...], alternatives: tuple[Alternatives, ...]) -> None:
        """Report the scores of the prompt."""
        self._send(Prompt(logprobs=logprobs, alternatives=alternatives))

    def take(self, logits_V: Tensor) -> None:
        """Choose the next token and report it, and that the answer ends if it does.

        Raises:
            ValueError: a logit is not a number.
        """
        sampling = self.request.sampling
        if not sampling.max_tokens:
            return self._finish("length")
        if bool(logits_V.isnan().any()):
            raise ValueError(f"{self.arm.name} computes logits that are not numbers, so it cannot answer")
        token = self._chooser.choose(logits_V)
        self.tokens.append(token)
        if token in self._ends:
            return self._finish("stop", self._stream.finish())
        scores: tuple[float, Alternatives] = (0.0, ())
        if sampling.logprobs is not None:
            scores = describe_choice(logits_V, token, sampling.logprobs)
        text, stopped = self._stream.push(token)
        self._send(Token(id=token, text=text, logprob=scores[0], alternatives=scores[1]))
        if stopped:
            return self._finish("stop")
        if len(self.tokens) == sampling.max_tokens:
            return self._finish("length", self._stream.finish())
        return None

    def cancel(self) -> None:
        """End the answer where it is."""
        self._finish("cancelled", self._stream.finish())

    def fail(self, error: Exception) -> None:
        """End the answer, which cannot be finished."""
        self.finished = True
        self._send(Failed(error=error))

    def _finish(self, reason: Literal["stop", "length", "cancelled"], text: str = "") -> None:
        self.finished = True
        counts = {"prompt_tokens": len(self.request.prompt_ids), "completion_tokens": len(self.tokens)}
        self._send(Finished(reason=reason, text=text, **counts))

    def _send(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:  # whoever listens must not stop the others
            _LOG.exception("A listener of a request to %s failed; the request is cancelled.", self.arm.name)
            self.cancelled = True
