"""What a server asks of the engine and what it hears back: requests, events and the facts about arms.

An arm is one of the models that are served together: the base model, or a trial's trained model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tuneoff.errors import RequestError
from tuneoff.evaluation.labels import LabelSet

Alternatives = tuple[tuple[int, float], ...]  # the most likely tokens with their log-probabilities, best first


@dataclass(frozen=True, kw_only=True)
class LabelChoice:
    """An answer is one of the labels of a run.

    Args:
        by_likelihood: the answer is the most likely label. Otherwise it is generated, and no other token may follow
            than those that continue a label.
        per_token: whether likelihoods are compared per token.
    """

    labels: LabelSet
    by_likelihood: bool = False
    per_token: bool = False


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the tokens of an answer are chosen, and where it ends.

    Args:
        max_tokens: the most tokens of an answer, with its end token. 0 only scores the prompt.
        min_tokens: an end token is not allowed before this many.
        temperature: divides the logits; 0 takes the most likely token.
        top_p: sample from the fewest tokens whose probabilities sum to at least this.
        top_k: sample from this many of the most likely tokens; None: from all.
        seed: decides, with the prompt, all random numbers; None: other ones in each request.
        stop: strings that end an answer, which has the text before them.
        presence_penalty: subtracted from the logit of each token that the answer has.
        frequency_penalty: subtracted from a token's logit once for each time that the answer has it.
        logprobs: alternatives to report for each token; None: no log-probabilities at all.
        labels: that the answer is one of; None: any text.

    Raises:
        RequestError: a value is out of range.
    """

    max_tokens: int = 16
    min_tokens: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: int | None = None
    labels: LabelChoice | None = None

    def __post_init__(self) -> None:
        _require(self.max_tokens >= 0, "max_tokens", self.max_tokens, "0 or more")
        _require(_is_within(self.temperature, 0, 100), "temperature", self.temperature, "a number from 0 to 100")
        _require(_is_within(self.top_p, 0, 1) and self.top_p > 0, "top_p", self.top_p, "above 0 and at most 1")
        _require(self.seed is None or self.seed >= 0, "seed", self.seed, "0 or more")
        _require(all(self.stop), "stop", list(self.stop), "strings that are not empty")
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            _require(_is_within(value, -100, 100), name, value, "a number from -100 to 100")
        _require(self.logprobs is None or 0 <= self.logprobs <= 100, "logprobs", self.logprobs, "from 0 to 100")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A prompt for one arm.

    Args:
        arm: the name of the arm.
        prompt_ids: the prompt's tokens, at least one.
        score_prompt: whether the log-probabilities of the prompt's tokens are wanted too.

    Raises:
        RequestError: the prompt is empty.
    """

    arm: str
    prompt_ids: tuple[int, ...]
    sampling: Sampling = field(default_factory=Sampling)
    score_prompt: bool = False

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise RequestError("The prompt has no tokens. Send at least one.")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The prompt is scored; sent once, before the first token, if the request asks for it.

    Args:
        logprobs: of each token of the prompt; None for the first, which nothing predicts.
        alternatives: as many for each token as `Sampling.logprobs` says; none for the first.
    """

    logprobs: tuple[float | None, ...]
    alternatives: tuple[Alternatives, ...]


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token of the answer. The token that ends an answer is not sent.

    Args:
        text: what is complete since the last event. Text is held back, and a later event has it, while the last
            character is incomplete or a stop string may be beginning. Tokens of a stop string have no text.
        logprob: of the token as the model gives it, before temperature, top_p and penalties; 0 without
            `Sampling.logprobs`.
        alternatives: as many as `Sampling.logprobs` says.
    """

    id: int
    text: str
    logprob: float
    alternatives: Alternatives


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The answer is complete; the last event of a request, unless it is `Failed`.

    Args:
        reason: `stop` after an end token or a stop string, `length` at `max_tokens`.
        prompt_tokens: tokens of the prompt, without those of a soft prompt.
        completion_tokens: generated tokens, with the end token.
        text: what was held back and turned out to belong to the answer; add it to the text of the tokens.
    """

    reason: Literal["stop", "length", "cancelled"]
    prompt_tokens: int
    completion_tokens: int
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The request cannot be finished, through no fault of its own; its last event."""

    error: Exception


Event = Prompt | Token | Finished | Failed
OnEvent = Callable[[Event], None]  # called from the engine's thread, so it must return at once


@dataclass(frozen=True, kw_only=True)
class ArmInfo:
    """What a server says about an arm.

    Args:
        name: what requests call it.
        method: the method that trained it.
        bytes: memory that it needs besides the base model.
        mixes: whether its rows share batches with those of other arms.
        is_loaded: whether it is in memory; otherwise it is read again when it is asked.
        note: why it does not mix, or what it costs; empty if there is nothing to say.
    """

    name: str
    method: str
    bytes: int
    mixes: bool
    is_loaded: bool = True
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What the engine does now and has done since its start.

    Args:
        rows: requests that are being answered.
        waiting: requests that wait for a row.
        steps: forward passes for one new token of each row.
        prefills: forward passes that read prompts.
        tokens_out: generated tokens, with end tokens.
        requests: by arm, those that were accepted.
        tokens_by_arm: generated tokens by arm.
        widths: how many steps had this number of rows.
        mixed: how many steps had this number of different arms.
        cache_tokens: positions of the caches that are in use, with padding.
        reused_tokens: of prompts, that were not read because an earlier prompt began alike.
        arms: in memory.
        arm_bytes: that they take besides the base model.
        arm_loads: how often an arm was read into memory.
        arm_unloads: how often one left it.
    """

    rows: int
    waiting: int
    steps: int
    prefills: int
    tokens_out: int
    requests: Mapping[str, int]
    tokens_by_arm: Mapping[str, int]
    widths: Mapping[int, int]
    mixed: Mapping[int, int]
    cache_tokens: int
    reused_tokens: int
    arms: int
    arm_bytes: int
    arm_loads: int
    arm_unloads: int


def _is_within(value: float, low: float, high: float) -> bool:
    return math.isfinite(value) and low <= value <= high


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise RequestError(f"{name} is {value!r}; it must be {wanted}.")
