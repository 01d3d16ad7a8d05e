"""Comparisons that keep to a budget."""

import json
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener
from tuneoff.budget import limit
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.limit import fit_to_budget
from tuneoff.budget.spending import SPENT_FILE, read_spending
from tuneoff.cli.commands import main
from tuneoff.errors import BudgetError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.report.sentences import describe_verdict
from tuneoff.runner.listener import SilentListener
from tuneoff.runner.prepare import prepare
from tuneoff.runtime.progress import Progress

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture
def search_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"methods": ["lora"], "search": {"configurations": 6, "rungs": 1}, "seeds": [1, 2]}


def set_estimate(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Estimate this many seconds for each configuration and each seed, and none for anything else."""
    monkeypatch.setattr(limit, "load_or_run_probe", lambda *_: None)
    monkeypatch.setattr(
        limit, "estimate_run_seconds", lambda recipe, *_: seconds * (recipe.search.configurations + len(recipe.seeds))
    )


def fit_and_count(recipe: dict[str, Any], budget: str, run: Path) -> tuple[int, int]:
    """Return the numbers of configurations and seeds of the recipe reduced to fit a budget."""
    preparation = prepare(Recipe.read(recipe | {"budget": budget}))
    reduced = fit_to_budget(preparation, Ledger(run), SilentListener()).recipe
    return reduced.search.configurations if reduced.search else 0, len(reduced.seeds)


def test_the_plan_is_reduced_to_fit_the_budget_with_a_reserve(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    assert fit_and_count(search_recipe, "1h", tmp_path / "1h") == (6, 2)  # 8 × 400 s are below 9/10 of 3600 s
    assert fit_and_count(search_recipe, "50m", tmp_path / "50m") == (4, 2)
    assert fit_and_count(search_recipe, "38m", tmp_path / "38m") == (4, 1)
    assert read_spending(tmp_path / "38m").fit.cuts == (  # type: ignore[union-attr]
        "4 configurations per search instead of 6", "seed 1 instead of 1, 2",
    )  # fmt: skip


def test_a_reduction_is_kept_until_the_budget_changes(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    assert fit_and_count(search_recipe, "50m", tmp_path) == (4, 2)
    set_estimate(monkeypatch, 1)
    assert fit_and_count(search_recipe, "50m", tmp_path) == (4, 2)
    assert fit_and_count(search_recipe, "51m", tmp_path) == (6, 2)


def test_a_budget_too_small_for_any_plan_is_refused_with_one_that_is_sufficient(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 3600)
    with pytest.raises(BudgetError, match=r"Nothing was started. Write budget=5h34m"):
        fit_and_count(search_recipe, "1h", tmp_path)


def test_the_listener_gets_a_message_about_the_reduction_before_the_start(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    messages: list[str] = []
    listener = SilentListener()
    monkeypatch.setattr(listener, "on_message", messages.append)
    fit_to_budget(prepare(Recipe.read(search_recipe | {"budget": "50m"})), Ledger(tmp_path), listener)
    assert messages == [
        "Budget: 50.0 min. Used so far: 0.0 min. The plan should take 40.0 min in total. It was reduced "
        "by the same amount for every method: 4 configurations per search instead of 6."
    ]


def test_a_larger_budget_continues_with_a_larger_plan(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    listener = RecordingListener()
    first = tuneoff.compare(search_recipe, "seeds=[1]", "budget=40m", run=tmp_path / "run")
    second = tuneoff.compare(search_recipe, "seeds=[1]", "budget=3h", run=tmp_path / "run", listener=listener)
    assert (len(first.searches["lora"].tries), len(second.searches["lora"].tries)) == (4, 6)
    assert 0 < len(listener.ended) < len(second.run.records)
    assert second.partial is None


def test_a_run_stops_at_the_end_of_its_budget_with_a_partial_verdict_and_continues_with_a_larger_one(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    """The seconds of earlier processes count."""
    run, listener = tmp_path / "run", RecordingListener()
    tuneoff.compare(recipe, "methods=[base]", run=run)
    (run / SPENT_FILE).write_text(json.dumps(json.loads((run / SPENT_FILE).read_text()) | {"seconds": 3600.0}))
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", "budget=1h", run=run, listener=listener)
    assert listener.ended == []
    assert comparison.partial is not None
    assert comparison.partial.untried == ("lora",)
    assert "lora has no trial yet, so nothing can be said about it." in describe_verdict(comparison)[1]
    assert "more; run the same command with a larger budget" in describe_verdict(comparison)[2]
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", "budget=2h", run=run, listener=listener)
    assert [record.trial.label for record in listener.ended] == ["lora"]
    assert comparison.partial is None


class TrainingListener(RecordingListener):
    """Notes when a method starts to train."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label, self.is_training = label, False

    def on_trial_start(self, trial: Trial) -> Any:
        def on_progress(progress: Progress) -> None:
            self.is_training = self.is_training or (trial.label == self.label and progress.phase == "training")

        return on_progress


def test_a_trial_that_takes_longer_than_estimated_is_stopped_at_the_end_of_the_budget(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget ends when the base model has its record and lora is in its first steps."""
    run, listener = tmp_path / "run", TrainingListener("lora")
    monkeypatch.setattr(Ledger, "seconds", property(lambda _: 7200.0 if listener.is_training else 10.0))
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", "budget=1h", run=run, listener=listener)
    assert [record.trial.label for record in listener.ended] == ["base"]
    assert comparison.partial is not None
    assert comparison.partial.untried == ("lora",)


def test_the_command_exits_with_three_if_the_budget_is_used_up(
    recipe_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    main(["compare", recipe_file, "methods=[base]", "--run", str(run)])
    (run / SPENT_FILE).write_text(
        json.dumps({"seconds": 3600.0, "trials": json.loads((run / SPENT_FILE).read_text())["trials"]})
    )
    assert main(["compare", recipe_file, "methods=[base, lora]", "budget=1h", "--run", str(run)]) == 3
    out, err = capsys.readouterr()
    assert "Partial result for" in " ".join(out.split())
    assert "The budget is used up." in err
