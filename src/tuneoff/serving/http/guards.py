"""What stands before every route: the key, the place that a request comes from, and the size of its body."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneoff.serving.http.errors import ApiError

OPEN_PATHS = frozenset({"/", "/health"})  # say nothing that a key protects
BODY_SECONDS = 30.0  # to receive a whole body
DROPPED_BYTES = 100_000_000  # at most, of a body that is too large


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host: `localhost`, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Let a request through to `app`, or answer it with an error.

    Without a key, the name in the header Host must be this machine's: otherwise a page on the web could reach the
    server under a name of its own that leads here (DNS rebinding). A request that a page of another origin makes is
    refused in any case.

    Args:
        key: that requests must bring, as `Authorization: Bearer KEY`; None: none.
        max_body_bytes: of a request.
    """

    app: ASGIApp
    key: str | None
    max_body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._require_allowed(scope)
            body = await self._read_body(receive)
        except ApiError as error:
            await error.response(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, _replay(body, receive), send)

    def _require_allowed(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.key is None and not is_loopback(_find_name(host)):
            raise ApiError(403, f"The host {host[:200]!r} is not this machine. Use http://127.0.0.1 or localhost.")
        if origin is not None and origin.partition("://")[2] != host:
            raise ApiError(403, "Pages of other origins may not use this server.")
        if self.key is not None and scope["path"] not in OPEN_PATHS:
            self._require_key(headers.get("authorization", ""))

    def _require_key(self, authorization: str) -> None:
        assert self.key is not None
        kind, _, given = authorization.partition(" ")
        is_equal = hmac.compare_digest(given.strip().encode("latin-1"), self.key.encode())  # as long for any wrong key
        if kind.lower() != "bearer" or not is_equal:
            message = "The API key is missing or wrong. Send it as Authorization: Bearer KEY."
            raise ApiError(401, message, code="invalid_api_key")

    async def _read_body(self, receive: Receive) -> bytes | None:
        """Return the body; None if the client went away before its end.

        The rest of a body that is too large is read and dropped, since a client that is still sending would not see
        the answer.
        """
        body, received = bytearray(), 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while received <= DROPPED_BYTES:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part = message.get("body", b"")
                    received += len(part)
                    if received <= self.max_body_bytes:
                        body += part
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise ApiError(408, f"The body did not arrive within {BODY_SECONDS:g} seconds.") from None
        if received > self.max_body_bytes:
            reason = f"The body is larger than {self.max_body_bytes:,} bytes."
            raise ApiError(413, reason, code="body_too_large")
        return bytes(body)


def _find_name(host: str) -> str:
    """Return the name in a header Host, without its port; empty if it is not one."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if not set(host) & set("/\\@?# ") else ""
    except ValueError:
        return ""


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read, and then what comes after it."""
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
