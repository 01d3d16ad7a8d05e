"""Leases as objects in a store.

leases/NAME.N         attempt N at NAME, created exclusively and never written again
beats/NAME.N.TOKEN    the last sign of life of its owner

An object has no descriptor, so each owner writes its signs of life into an object whose name has its own token. What a
worker writes that was asleep for long lands there too, and is no other owner's, even where the attempt was cleared away
and begun anew under the same number.
"""

from __future__ import annotations

from typing import final

from tuneoff.runs.leases import Leases, Pen, read_token
from tuneoff.runs.store import Store

BEAT_SECONDS = 5.0  # between two signs of life; a store counts requests
STALE_SECONDS = 60.0  # without one; a store may be slow
LEASES, BEATS = "leases", "beats"


@final
class LeaseObjects(Leases):
    """Leases in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def beat_seconds(self) -> float:
        return BEAT_SECONDS

    @property
    def stale_seconds(self) -> float:
        return STALE_SECONDS

    def list_names(self) -> list[str]:
        return self._store.list_names(LEASES)

    def read_claim(self, name: str) -> bytes | None:
        return self._store.read(f"{LEASES}/{name}")

    def read(self, name: str) -> bytes | None:
        claim = self.read_claim(name)
        token = read_token(claim)
        return claim if token is None else self._store.read(f"{BEATS}/{name}.{token}") or claim

    def create(self, name: str, content: bytes, token: str) -> Pen | None:
        is_created = self._store.create(f"{LEASES}/{name}", content)
        return ObjectPen(self._store, f"{BEATS}/{name}.{token}") if is_created else None

    def remove(self, name: str) -> None:
        token = read_token(self.read_claim(name))
        self._store.remove(f"{LEASES}/{name}")
        if token:
            self._store.remove(f"{BEATS}/{name}.{token}")


@final
class ObjectPen:
    """Writes an object that is one owner's alone."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def write(self, content: bytes) -> None:
        self._store.write(self._name, content)

    def close(self) -> None:
        """An object holds nothing."""
