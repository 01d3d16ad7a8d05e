"""Collects what the engine reports about requests."""

import threading
from dataclasses import dataclass, field

from tuneoff.serving.engine import Engine, Ticket
from tuneoff.serving.requests import Event, Failed, Finished, Prompt, Request, Token


@dataclass
class Answer:
    """The events of one request; callable, as the engine's listener."""

    request: Request
    events: list[Event] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    ticket: Ticket | None = None

    def __call__(self, event: Event) -> None:
        assert not self.ended.is_set(), "nothing follows the last event"
        self.events.append(event)
        if isinstance(event, Finished | Failed):
            self.ended.set()

    def wait(self) -> "Answer":
        assert self.ended.wait(60), "no last event came"
        return self

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(event.id for event in self.events if isinstance(event, Token))

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Token | Finished))

    @property
    def end(self) -> Finished:
        (end,) = (event for event in self.events if isinstance(event, Finished))
        return end

    @property
    def prompt(self) -> Prompt:
        (prompt,) = (event for event in self.events if isinstance(event, Prompt))
        return prompt

    @property
    def error(self) -> Exception:
        (failed,) = (event for event in self.events if isinstance(event, Failed))
        return failed.error


def ask(engine: Engine, request: Request) -> Answer:
    """Submit a request and return its answer, which may still be growing."""
    answer = Answer(request)
    answer.ticket = engine.submit(request, answer)
    return answer
