"""The page: what it shows, who may decide, and what other pages cannot do."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.watching.conftest import Write
from tests.watching.test_look import STEP
from tuneoff.errors import RunError
from tuneoff.records.trial import Trial
from tuneoff.watching.page import dump, render_page
from tuneoff.watching.reading import RunWatch
from tuneoff.watching.server import make_app

pytest.importorskip("starlette", reason="starlette is not installed")
TOKEN = "0123456789"
OURS = {"origin": "http://127.0.0.1", "x-token": TOKEN}


class Decided:
    """Remembers what it was asked to decide."""

    def __init__(self) -> None:
        self.forms: list[Mapping[str, str]] = []

    def __call__(self, form: Mapping[str, str]) -> str:
        if form.get("drop") == "unknown":
            raise RunError("There is no method 'unknown'.")
        self.forms.append(form)
        return "It is decided."


def ask(
    app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """Send one request to an application, as a server does, and return its status, headers and body."""
    import asyncio

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    sent_headers = {"host": "127.0.0.1", **headers}
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "scheme": "http", "http_version": "1.1", "root_path": "", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1), "headers": [(n.encode(), v.encode()) for n, v in sent_headers.items()],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def decided() -> Decided:
    return Decided()


@pytest.fixture
def app(finished: Path, decided: Decided) -> Any:
    return make_app(RunWatch(finished), decided, TOKEN)


def test_the_page_loads_nothing_from_outside_and_runs_only_its_own_script(app: Any) -> None:
    status, headers, body = ask(app, "GET", "/", {})
    assert status == 200
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.findall(rb"(?:src|href|url\()\s*=?\s*[\"']?https?:", body)
    assert TOKEN.encode() in body


def test_the_view_is_read_as_json(app: Any) -> None:
    status, _, body = ask(app, "GET", "/view.json", {})
    view = json.loads(body)
    assert status == 200
    assert view["state"] == "finished"
    assert {trial["state"] for trial in view["trials"]} == {"done"}


def test_a_host_with_another_name_is_refused(app: Any) -> None:
    assert ask(app, "GET", "/view.json", {"host": "evil.example"})[0] == 400


def test_a_decision_is_passed_on_with_name_and_reason(app: Any, decided: Decided) -> None:
    form = {"drop": "lora", "by": "ada", "why": "too slow"}
    status, _, body = ask(app, "POST", "/decide", OURS, json.dumps(form).encode())
    assert (status, json.loads(body)["says"]) == (200, "It is decided.")
    assert decided.forms == [form]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-token": TOKEN},
        {"origin": OURS["origin"], "x-token": "wrong"},
        {"origin": "http://evil.example", "x-token": TOKEN},
    ],
    ids=["nothing", "no origin", "another token", "another origin"],
)
def test_another_page_cannot_decide(app: Any, decided: Decided, headers: dict[str, str]) -> None:
    assert ask(app, "POST", "/decide", headers, b'{"drop": "lora"}')[0] == 403
    assert decided.forms == []


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"rm": "x"}', b'{"drop": 1}', b'{"drop": "unknown"}', b'"' + b"a" * 20_000]
)
def test_what_is_no_decision_is_refused_with_a_reason(app: Any, decided: Decided, body: bytes) -> None:
    status, _, answer = ask(app, "POST", "/decide", OURS, body)
    assert status == 400
    assert json.loads(answer)["says"]
    assert decided.forms == []


def test_hostile_texts_are_no_html(unfinished: Path, trials: dict[str, Trial], write_events: Write) -> None:
    write_events("far-7", "trial", trial=trials["lora 1"], label="<img src=x onerror=alert(1)>\x1b")
    watch = RunWatch(unfinished)
    assert "<img" not in tuneoff.watch(unfinished)._repr_html_()
    assert "\\u001b" not in dump(watch.look())
    script = (Path(tuneoff.__file__).parent / "watching" / "watch.js").read_text()
    assert "innerHTML" not in script


def test_the_script_shows_a_run_in_a_browser(
    unfinished: Path, trials: dict[str, Trial], write_events: Write, tmp_path: Path
) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium")
    write_events("far-7", "trial", ago=60, trial=trials["lora 1"])
    write_events("far-7", "step", ago=1, trial=trials["lora 1"], epoch=2, done=5, loss=2.5, **STEP)
    page, _ = render_page(TOKEN)
    view = dump(RunWatch(unfinished).look())
    reply = f"window.fetch = async () => ({{ok: true, json: async () => ({view})}});"
    file = tmp_path / "page.html"
    file.write_text(page.replace("<script>", f"<script>{reply}", 1))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run(
        [*command, "--virtual-time-budget=1000", "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    assert "lora, seed 1" in shown
    assert "Stop this trial" in shown
    assert "812 tokens/s" in shown
    assert "Not decided yet." in shown


def test_a_notebook_shows_the_run_and_follows_it_to_its_end(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    handle = type("Handle", (), {"update": lambda _, html: shown.append(html.data)})()
    monkeypatch.setattr("IPython.display.display", lambda html, **_: (shown.append(html.data), handle)[1])
    view = tuneoff.watch(finished)
    view.follow(0.0)
    assert "<svg" in view._repr_html_()
    assert "finished" in repr(view)
    assert len(shown) == 1
