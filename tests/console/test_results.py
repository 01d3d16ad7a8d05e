"""Tables of results that fit a narrow terminal."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

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
from tests.report.synthetic import make_synthetic_comparison
from tests.report.synthetic_sweep import make_model_sweep, make_rank_sweep, make_size_sweep
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.analysis.sweep import Sweep
from tuneoff.console import results
from tuneoff.console.results import print_comparison, print_sweep, summarize
from tuneoff.methods import METHODS
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.sentences.names import NAME_WIDTHS


def test_a_comparison_fits_eighty_columns_and_names_every_method_and_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(results, "Console", lambda: Console(file=screen, width=80))
    comparison = make_synthetic_comparison()
    write_page(tmp_path / "report")
    print_comparison(comparison, tmp_path / "report")
    table, _, rest = screen.getvalue().partition("\n\n")
    assert all(len(line) <= 80 for line in screen.getvalue().splitlines()[:10])
    for row in comparison.rows:
        assert f" {row.label}" in screen.getvalue()
    assert "…" not in table
    assert str(tmp_path / "report" / "index.html") in rest


def test_a_run_without_a_page_says_how_to_write_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(results, "Console", lambda: Console(file=screen, width=80))
    print_comparison(make_synthetic_comparison(), tmp_path / "report")
    assert screen.getvalue().endswith(f"No page yet. To write it: tuneoff report {tmp_path}\n")
    assert "Page:" not in screen.getvalue()


def test_the_mark_of_a_tied_score_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(results, "Console", lambda: Console(file=screen, width=80))
    print_comparison(make_open(), tmp_path / "report")
    assert "≈: not shown to be worse" in screen.getvalue()


LONG = {"lora": "lora-rank-16-in-every-linear-layer", "full": "full-tuning-with-a-low-rate-and-decay"}


def make_worst() -> Comparison:
    """An open question among long labels, with lost runs and a metric that disagrees."""
    return relabel(add_loss(lose_runs(make_open(5), "lora", 2), "lora", 0.4), LONG)


def leave_unfinished(comparison: Comparison) -> Comparison:
    """Judge again as a part of a recipe with more methods and seeds."""
    methods = {**comparison.run.recipe.methods, "bitfit": METHODS["bitfit"](), "ia3": METHODS["ia3"]()}
    recipe = comparison.run.recipe.model_copy(update={"methods": methods, "seeds": tuple(range(9))})
    return judge(replace(comparison.run, recipe=recipe))


@pytest.mark.parametrize(
    "make",
    [
        make_winner,
        make_tie,
        make_open,
        make_single_runs,
        make_disagreement,
        lambda: lose_runs(make_winner(5), "lora", 2),
        lambda: relabel(make_tie(), LONG),
        lambda: relabel(make_single_runs(), LONG),
        make_worst,
        lambda: leave_unfinished(make_winner()),
        lambda: leave_unfinished(make_worst()),
    ],
    ids=[
        "winner",
        "tie",
        "open",
        "one run",
        "disagreement",
        "lost",
        "long tie",
        "long run",
        "worst",
        "part",
        "worst part",
    ],
)
def test_the_verdict_is_at_most_six_lines_of_eighty_columns(make: Callable[[], Comparison]) -> None:
    comparison = make()
    lines = summarize(comparison, 80)
    assert len(lines) <= 6
    assert all(len(line) <= 80 for line in lines)
    text = " ".join(lines)
    shortened = [describe_verdict(comparison, width) for width in NAME_WIDTHS]
    assert any(verdict.headline in text and verdict.points[2] in text for verdict in shortened)


def test_the_terminal_says_what_the_page_says() -> None:
    text, verdict = " ".join(summarize(make_open(), 80)), describe_verdict(make_open())
    assert [sentence for sentence in (verdict.headline, *verdict.points) if sentence not in text] == []


def test_the_chances_are_one_line_where_there_is_space() -> None:
    assert summarize(make_winner(), 80)[-1] == "Chance to be the best: lora > 99 %."


def test_a_long_label_does_not_hide_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(results, "Console", lambda: Console(file=screen, width=80))
    print_comparison(make_worst(), tmp_path / "report")
    table = screen.getvalue().partition("No clear winner")[0]
    assert "…" not in table
    assert all(cell in table for cell in ("All runs", "24.4", "22.2 to 26.6", "19.8", "3 min 7 s", "2.14 GB"))


def write_page(report: Path) -> None:
    report.mkdir()
    (report / "index.html").touch()


@pytest.mark.parametrize("make_sweep", [make_rank_sweep, make_model_sweep, make_size_sweep])
def test_a_sweep_fits_eighty_columns_and_names_the_parameter_every_point_and_the_page(
    make_sweep: Callable[[], Sweep], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, sweep = io.StringIO(), make_sweep()
    monkeypatch.setattr(results, "Console", lambda **_: Console(file=screen, width=80, color_system=None))
    write_page(tmp_path / "report")
    print_sweep(sweep, tmp_path)
    title, *lines = screen.getvalue().splitlines()
    assert sweep.recipe.sweep is not None
    assert title.endswith(sweep.recipe.sweep.parameter)
    assert not any("…" in line for line in lines)
    rows = [line.split() for line in lines]
    for label, points in sweep.lines.items():
        assert sum(row[:1] == [label] for row in rows) == len(points)
    for row in sweep.references:
        assert any(cells[:2] == [row.label, "–"] for cells in rows)
    assert str(tmp_path / "report" / "index.html") in screen.getvalue()


def test_the_recognized_shape_and_columns_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(results, "Console", lambda: Console(file=screen, width=200))
    run = make_synthetic_comparison().run
    shape = {"shape": "text-label: source = text, target = label", "shape_recognized": True, "task": "labels"}
    print_comparison(judge(replace(run, data=run.data.model_copy(update=shape))), tmp_path / "report")
    assert "Rows: text-label: source = text, target = label, recognized by columns" in screen.getvalue()
