"""What the routes need of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tuneoff.serving.prompts import Prompts
from tuneoff.serving.requests import ArmInfo, OnEvent, Request, Stats


class Ticket(Protocol):
    """A request that the engine has accepted."""

    def cancel(self) -> None:
        """Free its row. Does nothing once it has finished."""


class Engine(Protocol):
    """The engine, as `tuneoff.serving.engine` has it. All methods may be called from any thread."""

    @property
    def tokenizer(self) -> Any:  # Any: transformers' tokenizers share no type
        """The base model's tokenizer."""

    def submit(self, request: Request, on_event: OnEvent) -> Ticket:
        """Queue a request.

        Raises:
            UnknownArmError, TooLongError, QueueFullError: it cannot be answered, or not now.
        """

    def arms(self) -> Sequence[ArmInfo]:
        """What is served, the base model first."""

    def prompts_of(self, arm: str) -> Prompts | None:
        """Return how the arm's run asks it and lets it answer; None: it comes from no run."""

    def prompt_for(self, arm: str, fields: str | Mapping[str, Any]) -> Sequence[int]:
        """Return the tokens of the prompt that the arm's run makes of a source text or a row."""

    def count_room(self, arm: str, prompt_tokens: int) -> int:
        """Return the most tokens that an answer to a prompt of this length can have."""

    def add_arm(self, name: str, source: str) -> ArmInfo:
        """Load an adapter and serve it."""

    def remove_arm(self, name: str) -> None:
        """Serve an arm no longer."""

    def stats(self) -> Stats:
        """What the engine does now and has done."""

    def stop(self) -> None:
        """Cancel what is being answered, and end the thread."""
