"""In a notebook, a comparison is shown as its leaderboard."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import tuneoff
from tests.api.stored_runs import write_run
from tuneoff.analysis.comparison import Comparison
from tuneoff.runner.listener import SilentListener

Formatter = Callable[[Any], str]


class FakeFormatter:
    """The part of IPython's formatters that is used."""

    def __init__(self) -> None:
        self.by_type: dict[type, Formatter] = {}

    def for_type(self, kind: type, formatter: Formatter) -> None:
        self.by_type[kind] = formatter


def run_ipython(shell: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it look as if IPython was imported, with `shell` as its running shell."""
    ipython = ModuleType("IPython")
    vars(ipython)["get_ipython"] = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)


@pytest.fixture
def markdown(monkeypatch: pytest.MonkeyPatch) -> FakeFormatter:
    """The Markdown formatter of a running notebook."""
    formatter = FakeFormatter()
    display = SimpleNamespace(formatters={"text/markdown": formatter})
    run_ipython(SimpleNamespace(display_formatter=display), monkeypatch)
    return formatter


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", methods=["base", "lora"], seeds=[0])


def test_a_loaded_comparison_is_shown_as_its_leaderboard(run: Path, markdown: FakeFormatter) -> None:
    comparison = tuneoff.load_comparison(run)
    assert markdown.by_type[Comparison](comparison) == tuneoff.format_markdown_table(comparison)


@pytest.mark.usefixtures("quick_comparisons")
def test_the_result_of_compare_is_shown_as_its_leaderboard(
    recipe: dict[str, Any], tmp_path: Path, markdown: FakeFormatter
) -> None:
    comparison = tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "new", listener=SilentListener())
    assert markdown.by_type[Comparison](comparison).startswith("| Method |")


def test_without_a_running_shell_a_comparison_is_loaded_as_usual(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_ipython(None, monkeypatch)
    assert tuneoff.load_comparison(run).rows


def test_ipython_is_not_imported_where_it_is_not_running(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    tuneoff.load_comparison(run)
    assert "IPython" not in sys.modules
