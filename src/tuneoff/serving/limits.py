"""How much a server takes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """How much a server takes on.

    Args:
        rows: requests that are answered at the same time.
        waiting: more requests that may wait for a row; further ones are refused.
        cache_tokens: positions of keys and values for all rows.
        arm_bytes: memory for all models besides the base model; None: half of what is free when the server starts.
        body_bytes: of a request.
        seconds: for an answer.
        chat_tokens: of an answer in a chat, unless the request says how many.
        drain_seconds: to finish what is being answered when the server is stopped.
    """

    rows: int = 32
    waiting: int = 256
    cache_tokens: int = 65_536
    arm_bytes: int | None = None
    body_bytes: int = 1_000_000
    seconds: float = 600.0
    chat_tokens: int = 256
    drain_seconds: float = 10.0
