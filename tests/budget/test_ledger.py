"""The seconds spent on a run, in total and by trial."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.spending import SPENT_FILE, Spent, read_spending

pytestmark = pytest.mark.usefixtures("quick_comparisons")


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_the_seconds_of_all_trials_are_less_than_those_of_the_run(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run")
    spent = read_spending(tmp_path / "run").spent
    assert {frozenset(parts) for parts in spent.trials.values()} == {frozenset({"confirm", "test"})}
    assert 0 < sum(sum(parts.values()) for parts in spent.trials.values()) < spent.seconds


def test_the_seconds_of_an_interrupted_trial_are_added_to_those_of_the_next_attempt(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tuneoff.runner.scores.generate_predictions", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    before = read_spending(tmp_path / "run").spent
    ((id, parts),) = before.trials.items()
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    after = read_spending(tmp_path / "run").spent
    assert after.seconds > before.seconds > 0
    assert after.trials[id]["confirm"] > parts["confirm"] > 0


def test_a_ledger_adds_to_the_seconds_on_disk(tmp_path: Path) -> None:
    (tmp_path / SPENT_FILE).write_text(Spent(seconds=100.0).model_dump_json())
    ledger = Ledger(tmp_path)
    assert 100 <= ledger.seconds < 101
