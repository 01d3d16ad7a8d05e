"""The page of `tuneoff watch --web`, served on this machine alone."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tuneoff.errors import RunError, TuneoffError
from tuneoff.report.escape import escape_control
from tuneoff.watching.page import dump, render_page
from tuneoff.watching.reading import RunWatch

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOSTS = ("127.0.0.1", "localhost")
FIELDS = {"stop", "drop", "extend", "why", "by"}
LARGEST_BODY = 10_000  # bytes
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

Decide = Callable[[Mapping[str, str]], str]  # carries out the fields of a form, and says what was decided


def make_app(watch: RunWatch, decide: Decide, token: str | None = None) -> Starlette:
    """Return the application.

    Another page in the same browser can reach this server. It cannot read the token, so it can decide nothing; and as
    the name of the host is checked, it cannot pass for this page by a name of its own either.

    Args:
        token: that a decision needs; by default a new one.

    Raises:
        RunError: starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.responses import HTMLResponse, Response
        from starlette.routing import Route
    except ImportError as error:
        raise RunError(f"The page needs a server ({error}). Install it: pip install 'tuneoff[serve]'") from error
    key = token or secrets.token_urlsafe(24)
    page, policy = render_page(key)

    def answer(status: int, content: str) -> Response:
        return Response(content, status, HEADERS, "application/json")

    def show_page(_: Request) -> Response:
        return HTMLResponse(page, headers={**HEADERS, "Content-Security-Policy": policy})

    def show_view(_: Request) -> Response:
        try:
            return answer(200, dump(watch.look()))
        except TuneoffError as error:
            return answer(503, _say(str(error)))

    async def take_decision(request: Request) -> Response:
        origin = request.headers.get("origin", "")
        is_ours = origin == f"http://{request.headers.get('host', '')}"
        if not is_ours or not secrets.compare_digest(request.headers.get("x-token", "").encode(), key.encode()):
            return answer(403, _say("This page may not decide. Load it again."))
        try:
            return answer(200, _say(decide(await _read_form(request))))
        except TuneoffError as error:
            return answer(400, _say(str(error)))

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/view.json", show_view),
            Route("/decide", take_decision, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)],
    )


async def _read_form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise RunError("The decision is too long.")
    try:
        form: Any = json.loads(body)  # Any: whatever was sent
    except ValueError as error:
        raise RunError(f"The decision cannot be read: {error}.") from error
    if not isinstance(form, dict) or not form.keys() <= FIELDS or not all(isinstance(v, str) for v in form.values()):
        raise RunError(f"A decision is made of {', '.join(sorted(FIELDS))}.")
    return {name: value for name, value in form.items() if value}


def _say(text: str) -> str:
    return json.dumps({"says": escape_control(text)})


def serve(watch: RunWatch, decide: Decide, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the page on this machine until Ctrl-C.

    Args:
        port: 0 takes a free one.
        on_ready: called with the address of the page.

    Raises:
        RunError: the server is not installed, or the port is taken.
    """
    app = make_app(watch, decide)
    import uvicorn

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            raise RunError(f"Port {port} cannot be used: {error.strerror}. Name another with --port.") from error
        on_ready(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
