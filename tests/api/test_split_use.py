"""Looking at a run is noted as a use of its test split."""

from pathlib import Path

import pytest

import tuneoff
from tests.api.stored_runs import write_run
from tuneoff.api import report_run
from tuneoff.cli import main

RECIPE = {"methods": ["base", "lora"], "seeds": [0, 1]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def count_uses(run: Path) -> tuple[int, int, int]:
    use = tuneoff.load_comparison(run).split_use
    assert use is not None
    return use.trials, use.runs, use.looks


def test_runs_on_the_same_examples_are_counted_together(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", **RECIPE)
    second = write_run(tmp_path / "second", **RECIPE, training={"epochs": 7})
    assert main(["show", str(first)]) == 0
    assert count_uses(first) == (3, 1, 1)
    assert count_uses(second) == (6, 2, 2)
    assert count_uses(first) == (6, 2, 2)


def test_the_page_says_how_often_the_test_split_was_used(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(i), **RECIPE, training={"epochs": 5 + i}) for i in range(4)]
    for run in runs:
        tuneoff.load_comparison(run)
    report_run(runs[0], to=tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert "scored by 12 trials in 4 runs" in page
    assert "test split used often" in page


def test_a_cache_that_cannot_be_written_is_said_on_the_page(tmp_path: Path, cache: Path) -> None:
    run = write_run(tmp_path / "run", **RECIPE)
    cache.write_text("not a folder")
    report_run(run, to=tmp_path / "report")
    assert "The count may be too low" in (tmp_path / "report" / "index.html").read_text()
