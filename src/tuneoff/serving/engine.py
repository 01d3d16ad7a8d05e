"""The engine: which arms of a base model are served by which names, and which requests are accepted.

Whoever serves over HTTP only submits requests and passes their events on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneoff.data.example import Row as Fields
from tuneoff.errors import RequestError, RunError, TooLongError, UnknownArmError, suggest
from tuneoff.models.greedy_decoding import can_generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.rope import count_positions
from tuneoff.models.stop_strings import find_special_tokens
from tuneoff.serving.arm_memory import ArmMemory, choose_limit
from tuneoff.serving.arms import Arm, ArmSource, list_ends, load_arm
from tuneoff.serving.lanes import Lanes
from tuneoff.serving.limits import ServerLimits
from tuneoff.serving.prompts import Prompts
from tuneoff.serving.requests import ArmInfo, OnEvent, Request, Stats
from tuneoff.serving.row import Row
from tuneoff.serving.scheduler import Scheduler
from tuneoff.serving.self_test import Agreement, find_lane, require_agreement
from tuneoff.serving.sources import read_source

SHARED_SHARE = 0.125  # of the positions of the cache


@dataclass(frozen=True)
class Ticket:
    """A request that was accepted."""

    _row: Row
    _wake: Callable[[], None]

    def cancel(self) -> None:
        """End the answer soon; its last event says so. Nothing happens if it has ended already."""
        self._row.cancelled = True
        self._wake()


class Engine:
    """Answers requests to the arms of one base model.

    Args:
        base: the base model, ready for inference. The engine's arms share its weights.
        arms: where each arm comes from, by name.
        max_rows: requests that are answered at the same time.
        max_cache_tokens: positions of keys and values that they may need, with padding. Buffers may be half as large
            again.
        max_shared_tokens: positions that are kept of what prompts have in common at their beginnings, besides those.
            None: an eighth of them.
        max_waiting: requests that may wait.
        max_arm_bytes: memory for all arms besides the base model. Those that were not used for longest leave it, and
            are read again when they are asked. None: half of what is free now.
        fingerprint: of the base model's files; arms of other files are refused.

    Raises:
        RunError: the base model or an arm cannot be served.
    """

    def __init__(
        self,
        base: LanguageModel,
        arms: dict[str, ArmSource] | None = None,
        *,
        max_rows: int = ServerLimits.rows,
        max_cache_tokens: int = ServerLimits.cache_tokens,
        max_shared_tokens: int | None = None,
        max_waiting: int = ServerLimits.waiting,
        max_arm_bytes: int | None = ServerLimits.arm_bytes,
        fingerprint: str | None = None,
    ) -> None:
        if not can_generate(base.base):
            raise RunError(
                f"A {type(base.base).__name__} cannot be served: it keeps more than the keys and values of its text, "
                "or takes no positions, so rows of a batch would change each other. tuneoff.load answers with it."
            )
        self.tokenizer: Any = base.tokenizer  # transformers' tokenizers share no type
        self._base = base
        self._fingerprint = fingerprint
        self._max_cache_tokens = max_cache_tokens
        self._arms: dict[str, Arm] = {}
        self._memory = ArmMemory(choose_limit(base.base.device) if max_arm_bytes is None else max_arm_bytes)
        shared = int(SHARED_SHARE * max_cache_tokens) if max_shared_tokens is None else max_shared_tokens
        self._lanes = Lanes(base, max_rows=max_rows, max_cache_tokens=max_cache_tokens, max_shared_tokens=shared)
        self._scheduler = Scheduler(base, self._lanes, self._memory, max_waiting)
        self._changed = self._scheduler.changed  # guards the arms too
        for name, source in (arms or {}).items():
            self.add_arm(name, source)

    @property
    def context_tokens(self) -> int | None:
        """Positions of the model, or fewer if longer rows would change others in a batch; None: it does not say."""
        return count_positions(self._base.base.config)

    def start(self) -> None:
        """Begin to answer."""
        self._scheduler.start()

    def stop(self, drain_seconds: float = 0.0) -> None:
        """Take no more requests, finish what is accepted within a time, and cancel the rest."""
        self._scheduler.stop(drain_seconds)

    def submit(self, request: Request, on_event: OnEvent) -> Ticket:
        """Accept a request, whose events come from the engine's thread.

        Raises:
            UnknownArmError: no arm has this name.
            TooLongError: the prompt and the answer do not fit the model or the engine.
            QueueFullError: too many requests wait.
            RequestError: a token of the prompt is none of the model's, or the engine stops.
        """
        arm = self._get_arm(request.arm)
        self._require_fitting(request, arm)
        special_stops = find_special_tokens(self.tokenizer, request.sampling.stop)  # which the text leaves out
        ends = list_ends(self._base, arm.source).union(special_stops)
        row = Row(request, arm, on_event, self.tokenizer, ends)
        with self._changed:
            if self._arms.get(request.arm) is not arm:
                raise self._describe_unknown(request.arm)
            self._scheduler.accept(row)
        return Ticket(row, self._scheduler.wake)

    def arms(self) -> list[ArmInfo]:
        """Return what is served, in the order in which it was added."""
        with self._changed:
            arms = list(self._arms.values())
        return [
            ArmInfo(
                name=arm.name,
                method=arm.source.method.name,
                bytes=arm.bytes,
                mixes=arm.mixes,
                is_loaded=arm.weights is not None,
                note=f"{arm.source.note} {arm.note}".strip(),
            )
            for arm in arms
        ]

    def add_arm(self, name: str, source: ArmSource | str | Path) -> ArmInfo:
        """Load an arm and serve it from then on. Those that are being answered go on meanwhile.

        If the memory is not enough for all, those that were not used for longest leave it, once they have no rows.

        Args:
            source: `RUN:LABEL`, the folder of an adapter in peft's format, or what `read_source` returned.

        Raises:
            RunError: there is an arm of this name, or this one cannot be loaded, is too large or cannot be served.
        """
        self._require_free(name)
        if not isinstance(source, ArmSource):
            source = read_source(source, self._base)
        if source.fingerprint is not None and self._fingerprint not in (None, source.fingerprint):
            raise RunError(
                f"{name} was trained from another base model than the one that is served: its fingerprint is "
                f"{source.fingerprint}, and that of {self._base.known_as} is {self._fingerprint}. Serve it on its own."
            )
        arm, lane = find_lane(load_arm(name, source, self._base), self._base)
        self._memory.require_possible(arm)
        with self._changed:
            self._require_free(name)
            self._arms[name] = arm
            self._scheduler.add(arm, lane)
        return next(info for info in self.arms() if info.name == name)

    def remove_arm(self, name: str) -> None:
        """Serve an arm no longer. Requests that were accepted are still answered.

        Raises:
            UnknownArmError: no arm has this name.
        """
        arm = self._get_arm(name)
        with self._changed:
            self._arms.pop(name, None)
            self._scheduler.remove(arm)

    def prompts_of(self, arm: str) -> Prompts | None:
        """Return how an arm's run asks it and lets it answer; None: it comes from no run.

        Raises:
            UnknownArmError: no arm has this name.
        """
        return self._get_arm(arm).source.prompts

    def prompt_for(self, arm: str, fields: str | Fields | Sequence[Fields]) -> tuple[int, ...]:
        """Return the tokens of the prompt that an arm's run writes for a source text, a row of fields or a chat.

        Raises:
            UnknownArmError: no arm has this name.
            RequestError: the arm does not come from a run.
            DataError: the fields do not fit the template.
        """
        prompts = self.prompts_of(arm)
        if prompts is None:
            raise RequestError(f"{arm} comes from no run that could write its prompt. Send a whole prompt.")
        return prompts.render(fields)

    def count_room(self, arm: str, prompt_tokens: int) -> int:
        """Return the most tokens that an answer to a prompt of this length can have; below 1 if there is no room.

        Raises:
            UnknownArmError: no arm has this name.
        """
        limit = self._max_cache_tokens - 1 if self.context_tokens is None else self.context_tokens
        return min(limit, self._max_cache_tokens - 1) - self._get_arm(arm).context_tokens - prompt_tokens

    def check(self) -> dict[str, Agreement]:
        """Compare the logits of every arm in memory, in one batch with the others where it mixes, with the model alone.

        Raises:
            RunError: an arm differs by more than rounding.
        """
        with self._changed:
            arms = [arm for arm in self._arms.values() if arm.weights is not None]
        return require_agreement(arms, self._base)

    def stats(self) -> Stats:
        """Return what the engine does and has done."""
        return self._scheduler.stats()

    def _get_arm(self, name: str) -> Arm:
        with self._changed:
            if name not in self._arms:
                raise self._describe_unknown(name)
            return self._arms[name]

    def _describe_unknown(self, name: str) -> UnknownArmError:
        return UnknownArmError(f"No model {name!r} is served.{suggest(name, self._arms)}", tuple(self._arms))

    def _require_free(self, name: str) -> None:
        if name in self._arms:
            raise RunError(f"A model {name!r} is served already. Remove it first, or choose another name.")

    def _require_fitting(self, request: Request, arm: Arm) -> None:
        vocabulary = self._base.base.get_input_embeddings().num_embeddings
        if not all(0 <= token < vocabulary for token in request.prompt_ids):
            raise RequestError(f"The prompt has tokens that the model does not: its ids are 0 to {vocabulary - 1}.")
        prompt, answer = len(request.prompt_ids), request.sampling.max_tokens
        counted = f"{prompt} tokens of the prompt" + (f", {arm.context_tokens} before it" if arm.context_tokens else "")
        needed = arm.context_tokens + prompt + answer
        for limit, whose in ((self.context_tokens, "the model's context"), (self._max_cache_tokens - 1, "the server")):
            if limit is not None and needed > limit:
                raise TooLongError(
                    f"{counted} and {answer} of the answer are {needed}, and {whose} has room for {limit}. "
                    f"Shorten the prompt, or ask for at most {max(0, limit - needed + answer)} tokens."
                )
