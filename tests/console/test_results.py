"""Tables of results that fit a narrow terminal."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from tests.report.synthetic import make_synthetic_comparison
from tests.report.synthetic_sweep import make_model_sweep, make_rank_sweep, make_size_sweep
from tuneoff.analysis.sweep import Sweep
from tuneoff.console import results
from tuneoff.console.results import print_comparison, print_sweep


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
    print_comparison(make_synthetic_comparison(), tmp_path / "report")
    assert "≈: not clearly worse than the best" in screen.getvalue()


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
