"""An engine without a model: it answers with the prompt's own tokens backwards, at a pace that a test decides."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tuneoff.errors import DataError, QueueFullError, RunError, TooLongError, UnknownArmError
from tuneoff.serving.requests import ArmInfo, Failed, Finished, OnEvent, Prompt, Request, Stats, Token

CONTEXT = 64


class ScriptedTicket:
    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()


class ScriptedEngine:
    """Each request has a thread of its own.

    Args:
        endless: answers have no end before they are cancelled.
        failing: raise within the engine after the first token.
        most: requests at once.
    """

    def __init__(
        self, tokenizer: Any, *, endless: bool = False, failing: bool = False, most: int = 100, pause: float = 0.0
    ) -> None:
        self.tokenizer = tokenizer
        self.endless, self.failing, self.most, self.pause = endless, failing, most, pause
        self.names = ["base", "lora"]
        self.requests: list[Request] = []
        self.tickets: list[ScriptedTicket] = []
        self.running = 0
        self.is_stopped = False
        self._lock = threading.Lock()

    def submit(self, request: Request, on_event: OnEvent) -> ScriptedTicket:
        if request.arm not in self.names:
            raise UnknownArmError(f"No arm {request.arm!r}. Arms: {', '.join(self.names)}.", tuple(self.names))
        needed = len(request.prompt_ids) + request.sampling.max_tokens
        if needed > CONTEXT:
            raise TooLongError(
                f"The prompt has {len(request.prompt_ids)} tokens and the answer {request.sampling.max_tokens}; "
                f"together they may have {CONTEXT}."
            )
        with self._lock:
            if self.running >= self.most:
                raise QueueFullError("The queue is full.")
            self.running += 1
        ticket = ScriptedTicket()
        self.requests.append(request)
        self.tickets.append(ticket)
        threading.Thread(target=self._answer, args=(request, on_event, ticket), daemon=True).start()
        return ticket

    def _answer(self, request: Request, on_event: OnEvent, ticket: ScriptedTicket) -> None:
        ids, sampling = request.prompt_ids, request.sampling
        top = tuple((token, -float(k + 1)) for k, token in enumerate(ids[: sampling.logprobs or 0]))
        if request.score_prompt:
            on_event(Prompt(logprobs=(None, *([-1.0] * (len(ids) - 1))), alternatives=((), *([top] * (len(ids) - 1)))))
        answer = list(reversed(ids)) * (1000 if self.endless else 1)
        count = 0
        for token in answer[: None if self.endless else sampling.max_tokens]:
            if ticket.cancelled.wait(0.01 if self.endless else self.pause):
                break
            on_event(Token(id=token, text=self.tokenizer.decode([token]), logprob=-0.5, alternatives=top))
            count += 1
            if self.failing:
                self._end(on_event, Failed(error=ZeroDivisionError("secret of the engine")))
                return
        reason = "length" if count == sampling.max_tokens else "stop"
        if ticket.cancelled.is_set():
            reason = "cancelled"
        self._end(on_event, Finished(reason=reason, prompt_tokens=len(ids), completion_tokens=count))  # type: ignore[arg-type]

    def _end(self, on_event: OnEvent, event: Finished | Failed) -> None:
        with self._lock:
            self.running -= 1
        on_event(event)

    def arms(self) -> Sequence[ArmInfo]:
        return [ArmInfo(name=name, method=name, bytes=0, mixes=True) for name in self.names]

    def prompts_of(self, arm: str) -> None:
        if arm not in self.names:
            raise UnknownArmError(f"No arm {arm!r}. Arms: {', '.join(self.names)}.", tuple(self.names))

    def prompt_for(self, arm: str, fields: str | Mapping[str, Any]) -> Sequence[int]:
        fields = {"source": fields} if isinstance(fields, str) else fields
        if "source" not in fields:
            raise DataError("The row lacks the column source.")
        ids: list[int] = self.tokenizer(f"{arm}: {fields['source']}")["input_ids"]
        return ids

    def count_room(self, arm: str, prompt_tokens: int) -> int:
        return CONTEXT - prompt_tokens

    def add_arm(self, name: str, source: str) -> ArmInfo:
        if not source.startswith("/"):
            raise RunError(f"{source} is no adapter.")
        self.names.append(name)
        return ArmInfo(name=name, method="lora", bytes=1, mixes=True)

    def remove_arm(self, name: str) -> None:
        if name not in self.names:
            raise UnknownArmError(f"No arm {name!r}. Arms: {', '.join(self.names)}.", tuple(self.names))
        self.names.remove(name)

    def stats(self) -> Stats:
        accepted = [request.arm for request in self.requests]
        by_arm = {name: accepted.count(name) for name in self.names}
        return Stats(
            rows=self.running, waiting=0, steps=3, prefills=2, tokens_out=5, requests=by_arm, tokens_by_arm=by_arm,
            widths={}, mixed={}, cache_tokens=7, reused_tokens=0, arms=2, arm_bytes=1, arm_loads=2, arm_unloads=0,
        )  # fmt: skip

    def stop(self) -> None:
        self.is_stopped = True
        for ticket in self.tickets:
            ticket.cancel()
