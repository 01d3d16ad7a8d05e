"""Malicious text in data, labels and predictions has no effect in the page, the tables or the terminal."""

import csv
import io
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.report.synthetic import make_synthetic_comparison
from tuneoff.analysis.comparison import Comparison
from tuneoff.cli import main
from tuneoff.console.results import print_comparison
from tuneoff.report.charts import draw_figures
from tuneoff.report.escape import escape_control
from tuneoff.report.examples import CHARACTERS, choose_examples
from tuneoff.report.figures import make_page_specification
from tuneoff.report.page import render_page
from tuneoff.report.tables import format_latex_table, format_markdown_table, format_results_csv

OWNED = "document.title='owned'"
MARKUP = (
    f'</script><script>{OWNED}</script><img src=x onerror="{OWNED}"><svg onload="{OWNED}"></svg></style><style>'
    f'<a href="javascript:{OWNED}" id=link>x</a><iframe srcdoc="<script>parent.{OWNED}</script>"></iframe><!--'
    "<meta http-equiv=refresh content=0;url=https://example.org><base href=https://example.org>{{ 7 * 7 }}${7}"
)
ACTING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066\u200b\u2028\x00\r\b"
FORMULA, LATEX, MARKDOWN = (
    "=cmd()|'/C calc'!A0",
    "[2cm]\\input{/etc/passwd}%",
    "![x](https://example.org) www.example.org",
)
HOSTILE = MARKUP + ACTING
METHODS = {"base": {}, HOSTILE: {"method": "lora"}, FORMULA: {"method": "last-layer"},
           LATEX: {"method": "lora"}, MARKDOWN: {"method": "full"}}  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> Comparison:
    """Hostile labels, note, sources, references and predictions."""
    from dataclasses import replace

    from tuneoff.analysis.comparison import judge

    run = make_synthetic_comparison(note=HOSTILE, methods=METHODS).run
    bad = {"source": HOSTILE, "reference": HOSTILE, "prediction": HOSTILE + FORMULA}
    records = [
        r.model_copy(update={"predictions": tuple(p.model_copy(update=bad) for p in r.predictions)})
        for r in run.records
    ]
    return judge(replace(run, records=tuple(records)))


@pytest.fixture(scope="module")
def written(hostile: Comparison) -> str:
    charts = draw_figures(hostile)
    specifications = {name: make_page_specification(chart) for name, chart in charts.items()}
    return render_page(hostile, specifications, dict.fromkeys(charts, "<svg xmlns='http://www.w3.org/2000/svg'/>"))


def list_control_characters(text: str) -> list[str]:
    """Return the characters of a text that would control a terminal or reverse its direction."""
    return [c for c in text if c != "\n" and escape_control(c) != c]


def test_the_page_contains_no_injected_markup(written: str) -> None:
    assert "<img src=x" not in written
    assert written.count("<script") == 3
    assert "<!--<meta" not in written
    assert not set(list_control_characters(written)) - {"\u00ad"}


def test_no_injected_script_runs_in_a_browser(written: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is on the PATH")
    (tmp_path / "index.html").write_text(written, "utf-8")
    bare = "<title>safe</title>" + HOSTILE
    (tmp_path / "bare.html").write_text(bare, "utf-8")

    def shown(name: str) -> str:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                   "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
                   "--virtual-time-budget=5000", "--dump-dom")  # fmt: skip
        done = subprocess.run(
            [browser, *options, (tmp_path / name).as_uri()], capture_output=True, text=True, timeout=60
        )
        return done.stdout.split("</title>")[0].rsplit("<title>", 1)[-1]

    assert shown("bare.html") == "owned"  # where nothing is escaped the text does harm, so the test can fail
    assert shown("index.html") == "synthetic · tuneoff"


def test_no_cell_of_the_csv_is_a_formula(hostile: Comparison) -> None:
    text = format_results_csv(hostile)
    assert not list_control_characters(text)
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert f"'{FORMULA}" in cells
    assert not [c for c in cells if c.startswith(("=", "@", "+", "\t")) or (c.startswith("-") and not c[1:2].isdigit())]


def test_the_latex_contains_no_injected_command_or_option(hostile: Comparison) -> None:
    text = format_latex_table(hostile)
    assert not list_control_characters(text)
    assert r"\input" not in text
    assert r"{}[2cm]\textbackslash{}input\{/etc/passwd\}\%" in text


def test_the_markdown_contains_no_injected_link_image_or_tag(hostile: Comparison) -> None:
    text = format_markdown_table(hostile)
    assert not list_control_characters(text)
    assert r"!\[x\](https\://example.org) www\.example.org" in text
    assert not [i for i, c in enumerate(text) if c == "<" and text[i - 1] != "\\"]
    assert len({line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_no_control_character_reaches_the_terminal(
    hostile: Comparison, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(hostile, tmp_path)
    assert not list_control_characters(capsys.readouterr().out)


def test_an_error_that_quotes_data_has_no_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "\x1b[2Jmine.yaml").write_text("[")
    assert main(["plan", str(tmp_path / "\x1b[2Jmine.yaml")]) == 2
    assert not list_control_characters(capsys.readouterr().err)


def test_texts_of_ten_million_characters_make_a_page_of_normal_size_in_normal_time() -> None:
    comparison = make_synthetic_comparison(methods={"base": {}, "lora": {}})
    long = "<\x1b" * 5_000_000
    for record in comparison.run.records:
        for answer in record.predictions[:1]:
            object.__setattr__(answer, "source", long)
            object.__setattr__(answer, "prediction", long)
    start = time.perf_counter()
    (first, *_) = choose_examples(comparison)
    assert len(first.source) < CHARACTERS + 50
    assert first.predictions[0].prediction.endswith("(9,980,000 more characters)")
    assert len(render_page(comparison, {}, {})) < 2_000_000
    assert time.perf_counter() - start < 20
