"""The page in a real browser, and what it would take for it to do harm."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.serving.http.scripted_engine import ScriptedEngine
from tests.serving.http.serving import serve
from tuneoff.runs.votes import read_votes
from tuneoff.serving.http.page.content import PageContent, TestExample
from tuneoff.serving.http.page.document import HERE, make_document
from tuneoff.serving.http.server import Server

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")


@pytest.fixture
def content(tmp_path: Path) -> PageContent:
    example = TestExample(row=4, source=f"storm {HOSTILE}", reference=f"ships {HOSTILE}", asked="storm")
    return PageContent(title=HOSTILE, verdict="A tie.", examples=[example], votes_file=tmp_path / "votes.sqlite")


@pytest.fixture
def page_server(engine: ScriptedEngine, content: PageContent) -> Iterator[Server]:
    with serve(engine, content=content) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, page_server: Server) -> Iterator[Any]:
    """The page, on which nothing may go wrong silently."""
    problems: list[str] = []
    opened = browser.new_page()
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on(
        "request", lambda request: problems.append(request.url) if page_server.address not in request.url else None
    )
    opened.goto(page_server.address)
    opened.wait_for_selector(".chip")
    yield opened
    opened.close()
    assert not problems


def read_answers(page: Any) -> list[str]:
    page.wait_for_selector(".pane")
    while page.locator(".pane.open").count():
        page.wait_for_timeout(20)
    return [text.strip() for text in page.locator(".pane .text").all_inner_texts()]


def test_the_page_loads_nothing_and_runs_only_its_own_script(page_server: Server) -> None:
    response = httpx.get(page_server.address)
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["'(]?(?:https?:)?//""", response.text)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert make_document()[0] == response.text


def test_the_script_makes_no_markup_of_text() -> None:
    script = (HERE / "page.js").read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", script)


@needs_browser
def test_all_models_answer_a_prompt_side_by_side_with_their_speed(page: Any) -> None:
    page.fill("#prompt", "storm")
    page.keyboard.press("Control+Enter")
    answers = read_answers(page)
    assert [name.strip() for name in page.locator(".pane h2").all_inner_texts()] == ["base", "lora"]
    assert len(set(answers)) == 2
    assert all("tokens/s" in text for text in page.locator(".pane .meter").all_inner_texts())


@needs_browser
def test_a_blind_round_by_keyboard_hides_names_until_the_vote_is_stored(page: Any, content: PageContent) -> None:
    page.locator("h1").click()
    page.keyboard.press("b")
    page.keyboard.press("e")
    page.wait_for_selector("#vote:not([hidden])")
    answers = read_answers(page)
    hidden = page.locator("#answers").inner_text() + page.locator("#vote").inner_text()
    assert "Answer A" in hidden
    assert "lora" not in hidden.replace(answers[0], "").replace(answers[1], "")
    assert "tokens/s" not in hidden
    page.keyboard.press("2")
    page.wait_for_selector("#standings:not([hidden])")
    (vote,) = read_votes(content.votes_file)
    assert (vote.row, vote.chosen) == (4, list(vote.answers)[1])
    assert [text.strip() for text in vote.answers.values()] == answers
    assert f"B: {vote.chosen}" in page.locator(".pane.chosen").inner_text()
    assert "100 %" in page.locator("#standings").inner_text()


@needs_browser
def test_hostile_text_is_shown_as_text(page: Any) -> None:
    page.click("#example")
    read_answers(page)
    assert HOSTILE in page.locator("#reference").inner_text()
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.title() == "tuneoff: compare answers"
    assert page.locator("main img, main script").count() == 0


@needs_browser
def test_an_error_is_shown_and_the_next_question_works(page: Any, engine: ScriptedEngine) -> None:
    page.click("#send")
    assert "Write a prompt" in page.locator("#status").inner_text()
    page.locator(".chip").nth(1).click()
    page.locator(".switch").click()
    page.fill("#prompt", "storm")
    page.click("#send")
    assert "two models" in page.locator("#status").inner_text()
    page.locator(".switch").click()
    page.click("#send")
    assert len(read_answers(page)) == 1


@needs_browser
def test_stopping_frees_the_rows(browser: Any, tokenizer: Any, content: PageContent) -> None:
    engine = ScriptedEngine(tokenizer, endless=True)
    with serve(engine, content=content) as server:
        page = browser.new_page()
        page.goto(server.address)
        page.fill("#prompt", "storm river")
        page.click("#send")
        page.wait_for_selector(".pane.open")
        page.keyboard.press("Escape")
        assert all(ticket.cancelled.wait(10) for ticket in engine.tickets)
        page.close()


@needs_browser
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(browser: Any, page_server: Server, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(page_server.address)
    page.wait_for_selector(".chip")
    page.click("#example")
    read_answers(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back))) < 200) == (scheme == "dark")
    page.close()


@needs_browser
def test_the_page_asks_for_the_key_of_its_server(browser: Any, engine: ScriptedEngine, content: PageContent) -> None:
    with serve(engine, content=content, key="secret key") as server:
        page = browser.new_page()
        page.goto(server.address)
        page.fill("#key", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("#login label:has-text('wrong')")
        assert page.locator("#ask").is_hidden()
        page.fill("#key", "secret key")
        page.keyboard.press("Enter")
        page.wait_for_selector(".chip")
        page.close()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"arms": ["base", "nobody"]}, 404),
        ({"arms": ["base"]}, 400),
        ({"arms": ["base", "base"]}, 400),
        ({"kind": "other"}, 400),
        ({"text": ""}, 400),
        ({"max_tokens": 0}, 400),
        ({"text": "river " * 99}, 400),
    ],
)
def test_a_bad_round_is_refused(page_server: Server, change: dict[str, Any], status: int) -> None:
    body = {"kind": "text", "text": "a", "arms": ["base", "lora"], "blind": True, "max_tokens": 5, "temperature": 0.0}
    assert httpx.post(f"{page_server.address}/page/rounds", json={**body, **change}).status_code == status


def test_only_complete_blind_rounds_can_be_voted_on(page_server: Server, content: PageContent) -> None:
    body = {"kind": "text", "text": "a", "arms": ["base", "lora"], "blind": False, "max_tokens": 5, "temperature": 0.0}
    with httpx.Client(base_url=page_server.address) as client:
        text = client.post("/page/rounds", json=body).text
        named = re.search(r'"round":"([\w-]+)"', text)
        assert named
        assert client.post("/page/votes", json={"round": named[1], "choice": 0}).status_code == 409
        assert client.post("/page/votes", json={"round": "unknown", "choice": 0}).status_code == 409
    assert not read_votes(content.votes_file)
