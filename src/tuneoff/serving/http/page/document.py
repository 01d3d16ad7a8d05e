"""The page as one document that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import string
from functools import cache
from pathlib import Path

from starlette.responses import HTMLResponse

HERE = Path(__file__).parent


@cache
def make_document() -> tuple[str, str]:
    """Return the page, and the content security policy with which its own style and script alone run."""
    css, js = ((HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    page = string.Template((HERE / "page.html").read_text("utf-8")).substitute(css=css, js=js)
    policy = (
        f"default-src 'none'; script-src '{_hash(js)}'; style-src '{_hash(css)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def answer_document() -> HTMLResponse:
    """Return the page as a response."""
    page, policy = make_document()
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return HTMLResponse(page, headers=headers)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
