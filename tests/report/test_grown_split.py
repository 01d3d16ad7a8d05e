"""A verdict that was read before on a part of its test split."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from tests.report.outcomes import make_winner
from tuneoff.analysis.comparison import Comparison
from tuneoff.console import results
from tuneoff.report.page import render_page
from tuneoff.report.population import describe_grown_split
from tuneoff.runs.split_use import SplitUse


def use_split(related_runs: int) -> Comparison:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    use = SplitUse(fingerprint="a" * 16, trials=4, runs=1, looks=1, since=since, related_runs=related_runs)
    return replace(make_winner(), split_use=use)


def test_the_confidence_that_would_be_valid_divides_the_error_by_the_looks() -> None:
    assert "verdict.confidence=0.9875, which divides the error by 4 looks" in describe_grown_split(use_split(3))
    assert describe_grown_split(use_split(1)).startswith("Another run on this machine")
    assert describe_grown_split(use_split(0)) == ""


def test_page_and_terminal_say_that_it_is_not_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(results, "Console", lambda: Console(file=screen, width=1000))
    comparison = use_split(1)
    results.print_comparison(comparison, tmp_path)
    sentence = "is not valid at its stated confidence"
    assert sentence in screen.getvalue()
    assert sentence in render_page(comparison, {}, {})
