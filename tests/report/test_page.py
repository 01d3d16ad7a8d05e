import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.report.outcomes import (
    add_loss,
    lose_runs,
    make_disagreement,
    make_open,
    make_single_runs,
    make_tie,
    make_winner,
    relabel,
)
from tests.report.synthetic import (
    HOSTILE,
    judge_records,
    judge_with_changes,
    make_synthetic_comparison,
)
from tests.report.synthetic_search import make_searched_comparison
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.report import renderer
from tuneoff.report.charts import draw_figures
from tuneoff.report.diagnostics import diagnose
from tuneoff.report.figures import get_vega_lite_version, make_file_specification, make_page_specification
from tuneoff.report.html import embed_json
from tuneoff.report.hyperparameters import format_hyperparameters
from tuneoff.report.page import render_page, write_report
from tuneoff.report.search_table import list_notes
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.setting import list_setting_facts
from tuneoff.runs import Run


class Elements(HTMLParser):
    """The attributes of every element, the text outside scripts, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data


@pytest.fixture(scope="module")
def folder(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(comparison, tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


def write_page(comparison: Comparison, folder: Path) -> Elements:
    return Elements(write_report(comparison, folder).read_text("utf-8"))


def test_a_report_is_a_page_tables_and_figures(folder: Path) -> None:
    names = {"index.html", "table.md", "table.tex", "results.csv", "methods.csv", "differences.csv", "figures"}
    assert {path.name for path in folder.iterdir()} == names


def test_hostile_text_is_shown_and_never_markup(page: str, elements: Elements) -> None:
    assert HOSTILE not in page
    assert '<script>alert("owned")' not in page
    assert '</script><script>alert("owned")</script><!-- ␛[31m⟨U+202E⟩gnp.exe⟨U+2028⟩' in elements.text


def test_no_character_of_the_page_controls_it_or_reverses_its_direction(page: str) -> None:
    shown = page.partition('<script type="application/json"')[0]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", shown)


def test_the_page_loads_nothing(elements: Elements) -> None:
    loaded = [
        value for _, attributes in elements.attributes for name in ("src", "href") if (value := attributes.get(name))
    ]
    assert all(value.startswith("data:image/svg+xml;base64,") for value in loaded)


def test_the_policy_forbids_all_addresses_and_all_scripts_but_the_pages_own(elements: Elements) -> None:
    (policy,) = [a["content"] for tag, a in elements.attributes if a.get("http-equiv") == "Content-Security-Policy"]
    code = [
        script
        for script, (_, attributes) in zip(
            elements.scripts, [e for e in elements.attributes if e[0] == "script"], strict=True
        )
        if attributes.get("type") != "application/json"
    ]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in code]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src " + " ".join(f"'sha256-{digest}'" for digest in digests))


def test_the_chart_library_is_inlined_once(elements: Elements) -> None:
    assert sum(len(script) > 500_000 for script in elements.scripts) == 1


def test_json_cannot_end_its_script() -> None:
    hostile = {"label": HOSTILE}
    text = embed_json(hostile)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == hostile


def test_every_chart_of_the_page_has_its_specification(elements: Elements) -> None:
    places = [a["data-chart"] for _, a in elements.attributes if "data-chart" in a]
    assert places == list(json.loads(elements.scripts[0]))


def test_the_page_shows_the_verdict_the_note_and_every_diagnosis(comparison: Comparison, elements: Elements) -> None:
    text = elements.text.replace("\u2011", "-")
    verdict = describe_verdict(comparison)
    words = [verdict.headline, *verdict.points, *verdict.details]
    sentences = [*words, comparison.run.recipe.note, *(d.text for d in diagnose(comparison))]
    assert [sentence for sentence in sentences if sentence not in text] == []


def test_the_page_says_why_a_method_has_no_score(elements: Elements) -> None:
    assert "OutOfMemoryError: wanted <2 GiB> more" in elements.text


def test_a_hostile_label_and_reason_are_escaped(run: Run, tmp_path: Path) -> None:
    trial = next(r.trial for r in run.records if r.trial.label == "lora")
    renamed = trial.model_copy(update={"label": '"><img src=x onerror=alert(1)>'})
    hostile = judge_with_changes(run, "lora", trial=renamed)
    failed = judge_with_changes(hostile.run, "full", status="failed", reason="<img src=x onerror=alert(2)>")
    images = [attributes for tag, attributes in write_page(failed, tmp_path).attributes if tag == "img"]
    assert all("onerror" not in attributes for attributes in images)


def test_a_page_can_be_written_without_a_finished_trial(run: Run, tmp_path: Path) -> None:
    broken = judge_records(run, [r for r in run.records if r.status != "done"])
    assert "No trial produced a score" in write_page(broken, tmp_path).text


def test_a_page_can_be_written_for_the_base_model_alone(run: Run, tmp_path: Path) -> None:
    alone = judge(replace(run, records=tuple(r for r in run.records if r.trial.label == "base")))
    assert "not run yet" in write_page(alone, tmp_path).text


def test_a_page_of_two_seeds_says_so(tmp_path: Path) -> None:
    text = write_page(make_synthetic_comparison(seeds=[0, 1], methods=["base", "lora"]), tmp_path).text
    assert "2 seeds per method" in text


def test_a_page_of_a_search_shows_the_choice_and_how_to_read_the_figures(tmp_path: Path) -> None:
    searched = make_searched_comparison(methods={"base": {}, "lora": {}}, configurations=6)
    elements = write_page(searched, tmp_path)
    chosen = searched.searches["lora"].chosen
    assert chosen is not None
    assert format_hyperparameters(chosen.values) in elements.text
    assert all(note in elements.text for note in list_notes(searched).values())
    assert {"search-rates", "search-budget"} <= {a["data-chart"] for _, a in elements.attributes if "data-chart" in a}


@pytest.mark.parametrize("make", [make_winner, make_tie, make_open, make_single_runs, make_disagreement])
def test_a_page_has_a_headline_three_points_and_folds_the_rest(make: Callable[[], Comparison], tmp_path: Path) -> None:
    comparison = make()
    html = write_report(comparison, tmp_path).read_text("utf-8").replace("\u2011", "-")
    header = html[html.index("<header>") : html.index("</header>")]
    verdict = describe_verdict(comparison)
    visible, _, folded = header.partition("<details")
    words = Elements(visible).text
    assert [sentence for sentence in (verdict.headline, *verdict.points) if sentence not in words] == []
    assert [a.get("class") for tag, a in Elements(visible).attributes if tag in ("ul", "li", "p")].count(None) == 3
    assert [sentence for sentence in verdict.details if sentence not in Elements(folded).text] == []
    chances = [chance.best for chance in verdict.chances]
    assert all(chance in Elements(folded).text for chance in chances)
    assert ("Chance to be the best" in folded) == bool(chances)


def test_a_headline_fits_two_lines_of_a_page_also_with_long_labels() -> None:
    labels = {"lora": "lora-rank-16-in-every-linear-layer", "full": "full-tuning-with-a-low-rate-and-decay"}
    worst = relabel(add_loss(lose_runs(make_open(5), "lora", 2), "lora", 0.4), labels)
    assert len(describe_verdict(worst).headline) <= 180


def test_a_page_without_a_search_has_no_such_section(page: str) -> None:
    assert "<h2>Search</h2>" not in page


def test_a_hostile_hyperparameter_is_escaped(tmp_path: Path) -> None:
    spaces = {"lora": {"modules": [["<img src=x onerror=alert(3)>"], ["\u202e"]]}}
    methods = {"base": {}, "lora": {"learning_rate": 5e-4, "rank": 8, "alpha": 16, "dropout": 0}}
    searched = make_searched_comparison(methods=methods, configurations=2, spaces=spaces)
    elements = write_page(searched, tmp_path)
    assert "<img src=x onerror=alert(3)>" in elements.text
    assert "\u202e" not in elements.text
    assert all("onerror" not in attributes for _, attributes in elements.attributes)


def test_the_setting_shows_the_search_the_seeds_and_what_counts_as_a_difference() -> None:
    searched = make_searched_comparison(methods={"base": {}, "lora": {}}, configurations=6)
    facts = {fact.title: f"{fact.value}; {fact.detail}" for fact in list_setting_facts(searched)}
    assert facts["Search of each method"].startswith(
        "6 configurations, quasi-random; rungs at 25.0 %, 50.0 % and 100 %"
    )
    assert facts["Seeds"].startswith("1, 2 and 3; none of them was used in the search")
    assert facts["What counts as a difference"].startswith("0.5 in ROUGE-L (F1 × 100), 0.01 nats")


def test_the_same_records_give_the_same_page(page: str, comparison: Comparison, tmp_path: Path) -> None:
    assert write_report(comparison, tmp_path).read_text("utf-8") == page


def test_a_method_whose_only_run_is_worse_than_the_base_model_is_shown(run: Run, tmp_path: Path) -> None:
    """Such as full tuning at a learning rate that is too high: its run finished, and counts as lost."""
    changed = judge_with_changes(run, "full", scores={"validation/loss": 99.0})
    assert len(changed.assess(next(row for row in changed.rows if row.label == "full")).lost) == 1
    write_report(changed, tmp_path)
    assert "1 of 1 lost" in (tmp_path / "table.md").read_text("utf-8")


def measure_widths(page: str, folder: Path, width: int) -> dict[str, list[int]]:
    """Return the width of the content and of its place in pixels, of the page and of each part that may scroll."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is on the PATH")
    script = (
        "<script>setTimeout(() => document.title = JSON.stringify(Object.fromEntries(["
        "['page', document.documentElement], ...[...document.querySelectorAll('.scroll')].map(e => [e.ariaLabel, e])]"
        ".map(([name, e]) => [name, [e.scrollWidth, e.clientWidth]]))), 2000)</script>"
    )
    (folder / "index.html").write_text(re.sub("<meta http-equiv[^>]*>", "", page) + script, "utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--no-first-run",
               f"--window-size={width},1000", "--virtual-time-budget=6000", "--dump-dom")  # fmt: skip
    done = subprocess.run(
        [browser, *options, (folder / "index.html").as_uri()], capture_output=True, text=True, timeout=60
    )
    widths: dict[str, list[int]] = json.loads(html.unescape(done.stdout.split("<title>")[1].split("</title>")[0]))
    return widths


@pytest.mark.parametrize("width", [1280, 600])
def test_a_word_of_any_length_stays_inside_the_page(run: Run, width: int, tmp_path: Path) -> None:
    word, label = "w" * 3000, "l" * 300
    methods = {"base": {}, label: {"method": "lora"}, "full": {}, "lora-r256": {"method": "lora", "rank": 256}}
    long = make_synthetic_comparison(methods=methods, note=word).run
    texts = {"source": word, "reference": word, "prediction": word}
    records = [
        record.model_copy(
            update={
                "predictions": tuple(p.model_copy(update=texts) for p in record.predictions),
                "reason": record.reason and word,
            }
        )
        for record in long.records
    ]
    comparison = judge(replace(long, records=tuple(records), misfits={word: word}))
    charts = {name: make_page_specification(chart) for name, chart in draw_figures(comparison).items()}
    page = render_page(comparison, charts, dict.fromkeys(charts, ""))
    content, place = measure_widths(page, tmp_path, width)["page"]
    assert content <= place


def test_the_leaderboard_at_first_has_no_scrollbar(page: str, tmp_path: Path) -> None:
    content, place = measure_widths(page, tmp_path, 1280)["Leaderboard"]
    assert content <= place


def test_every_column_of_the_leaderboard_is_shown_on_request(page: str, tmp_path: Path) -> None:
    assert 'class="columns"><input type="checkbox"' in page
    checked = page.replace('<input type="checkbox"', '<input type="checkbox" checked')
    content, place = measure_widths(checked, tmp_path, 1280)["Leaderboard"]
    assert content > place


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renderer that may not have the address space that it reserves."""
    monkeypatch.setattr(renderer, "has_address_limit", lambda: True)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9)); import runpy; "
    run = "runpy.run_module('tuneoff.report.renderer', run_name='__main__')"
    monkeypatch.setattr(renderer, "COMMAND", ("-c", limit + run))


def test_without_address_space_for_the_renderer_the_page_is_written_without_pictures_and_says_so(
    comparison: Comparison, limited: None, tmp_path: Path
) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "validation-loss.png").write_text("of an older report")
    elements = write_page(comparison, tmp_path)
    assert "no pictures, because they could not be drawn: its process ended with Trace/breakpoint trap" in elements.text
    assert "Leaderboard" in elements.text
    assert not [a for tag, a in elements.attributes if tag in {"script", "img"} and a.get("type") != "application/json"]
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".csv"}


def test_pictures_without_the_library_are_shown_as_they_are(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise renderer.RendererError("no memory")

    monkeypatch.setattr("tuneoff.report.html._bundle_chart_library", fail)
    elements = Elements(render_page(comparison, {"quality-time": {}}, {"quality-time": "<svg/>"}))
    assert [a["alt"] for tag, a in elements.attributes if tag == "img"] == ["ROUGE-L by training time"]
    assert not [tag for tag, _ in elements.attributes if tag == "noscript"]


def test_a_renderer_in_a_process_of_its_own_draws_the_same(comparison: Comparison) -> None:
    chart = make_file_specification("Slowest epoch", draw_figures(comparison)["slowest-epoch"])
    task = {"specifications": [chart], "version": get_vega_lite_version()}
    (apart,), (here,) = (run(task)["pictures"] for run in (renderer._run_apart, renderer._draw))
    assert apart[1] == here[1]  # the PNG; ids in the SVG are counted over all figures of a process
