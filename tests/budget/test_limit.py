"""Comparisons that keep to a budget."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import tuneoff
from tests.runner.recorded_runs import RecordingListener
from tuneoff.budget import floor, limit
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.limit import fit_to_budget
from tuneoff.budget.spending import SPENT_FILE, Spent, read_spending, read_spent, save_json
from tuneoff.cli import main
from tuneoff.errors import BudgetError, RecipeError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.report.sentences import describe_verdict
from tuneoff.runner.listener import SilentListener
from tuneoff.runner.prepare import prepare
from tuneoff.runtime.progress import Progress

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture
def search_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"methods": ["lora"], "search": {"configurations": 6, "rungs": 1}, "seeds": [1, 2, 3]}


def set_estimate(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Estimate this many seconds for each configuration and each seed of a method, and none for anything else."""

    def estimate(recipe: Recipe, *_: object) -> float:
        trained = sum(method.trains for method in recipe.methods.values())
        return trained * seconds * ((recipe.search.configurations if recipe.search else 0) + len(recipe.seeds))

    monkeypatch.setattr(limit, "load_or_run_probe", lambda *_: None)
    monkeypatch.setattr(limit, "estimate_run_seconds", estimate)


def fit_and_count(recipe: dict[str, Any], budget: str, run: Path) -> tuple[int, int]:
    """Return the numbers of configurations and seeds of the recipe reduced to fit a budget."""
    preparation = prepare(Recipe.read(recipe | {"budget": budget}))
    reduced = fit_to_budget(preparation, Ledger(run), SilentListener()).recipe
    return reduced.search.configurations if reduced.search else 0, len(reduced.seeds)


def test_the_plan_is_reduced_to_fit_the_budget_with_a_reserve(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    assert fit_and_count(search_recipe, "67m", tmp_path / "67m") == (6, 3)  # 9 × 400 s are below 9/10 of 4020 s
    assert fit_and_count(search_recipe, "53m", tmp_path / "53m") == (4, 3)
    assert fit_and_count(search_recipe, "45m", tmp_path / "45m") == (4, 2)
    assert read_spending(tmp_path / "45m").fit.cuts == (  # type: ignore[union-attr]
        "4 configurations per search instead of 6", "seeds 1, 2 instead of 1, 2, 3",
    )  # fmt: skip


def test_a_reduction_is_kept_until_the_budget_changes(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    assert fit_and_count(search_recipe, "45m", tmp_path) == (4, 2)
    set_estimate(monkeypatch, 1)
    assert fit_and_count(search_recipe, "45m", tmp_path) == (4, 2)
    assert fit_and_count(search_recipe, "46m", tmp_path) == (6, 3)


def test_a_budget_too_small_for_any_plan_is_refused_with_one_that_is_sufficient(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 3600)
    with pytest.raises(BudgetError, match=r"Nothing was started.* write budget=6h40m"):
        fit_and_count(search_recipe, "1h", tmp_path)


def test_the_listener_gets_a_message_about_the_reduction_before_the_start(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    messages: list[str] = []
    listener = SilentListener()
    monkeypatch.setattr(listener, "on_message", messages.append)
    fit_to_budget(prepare(Recipe.read(search_recipe | {"budget": "53m"})), Ledger(tmp_path), listener)
    (message,) = messages
    assert re.fullmatch(
        r"Budget: 53\.0 min\. Used so far: \d+ s\. The plan should take 46\.7 min in total\. It was reduced "
        r"by the same amount for every method: 4 configurations per search instead of 6\.",
        message,
    )


def test_a_budget_too_small_for_two_seeds_proposes_which_method_to_leave_out(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 600)
    asked = recipe | {"methods": {"base": None, "lora": None, "my lora": {"method": "lora"}}, "seeds": [1, 2, 3]}
    with pytest.raises(BudgetError, match=r"even the smallest plan .3 methods, 2 seeds. should take 40.0 min") as error:
        fit_and_count(asked, "30m", tmp_path)
    assert error.value.proposed_drops == ("my lora",)
    assert "lora 20.0 min, my lora 20.0 min. Leave out my lora: add --drop 'my lora'. Or write" in str(error.value)


def test_methods_are_left_out_only_if_the_budget_is_too_small_and_stay_out_when_a_run_resumes(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 600)
    asked = Recipe.read(recipe | {"seeds": [1, 2, 3], "budget": "45m"})
    large = fit_to_budget(prepare(asked), Ledger(tmp_path / "large"), SilentListener(), ["lora"])
    assert list(large.recipe.methods) == ["base", "lora", "soft-prompt"]
    asked = Recipe.read(asked.to_dict() | {"budget": "35m"})
    small = fit_to_budget(prepare(asked), Ledger(tmp_path / "small"), SilentListener(), ["lora"])
    assert (list(small.recipe.methods), small.recipe.seeds) == (["base", "soft-prompt"], (1, 2, 3))
    resumed = fit_to_budget(prepare(asked), Ledger(tmp_path / "small"), SilentListener())
    assert resumed.recipe == small.recipe


def test_a_run_without_a_method_says_so_and_is_complete(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 600)
    comparison = tuneoff.compare(recipe, "seeds=[1, 2]", "budget=30m", run=tmp_path / "run", drop=["lora"])
    assert {row.label for row in comparison.rows} == {"base", "soft-prompt"}
    assert comparison.partial is None
    sentence = "A budget of 30 min 0 s is too small for two seeds of every method, so lora was left out."
    assert sentence in describe_verdict(comparison).extras


def test_a_method_to_leave_out_that_the_recipe_lacks_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no method 'lorra' to leave out. Did you mean 'lora'"):
        tuneoff.compare(recipe, run=tmp_path / "run", drop=["lorra"])


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 2)])
def test_the_command_asks_on_a_terminal_which_method_to_leave_out(
    recipe_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool, code: int
) -> None:
    set_estimate(monkeypatch, 600)
    questions: list[str] = []

    def ask(question: str) -> bool:
        questions.append(question)
        return answer

    monkeypatch.setattr("tuneoff.console.asking.ask_on_terminal", ask)
    run = tmp_path / "run"
    assert main(["compare", recipe_file, "seeds=[1, 2]", "budget=30m", "--run", str(run)]) == code
    assert len(questions) == 1
    assert questions[0].endswith("Leave out soft-prompt? [y/N] ")
    assert len(list(run.glob("trials/*/record.json"))) == (3 if answer else 0)


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
    save_json(read_spent(run).model_copy(update={"seconds": 3600.0}), run / SPENT_FILE)
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", "budget=1h", run=run, listener=listener)
    assert listener.ended == []
    assert comparison.partial is not None
    assert comparison.partial.untried == ("lora",)
    assert "lora has no test score yet, so nothing can be said about it." in describe_verdict(comparison).details[0]
    assert "more; run the same command with a larger budget" in describe_verdict(comparison).details[1]
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
    save_json(read_spent(run).model_copy(update={"seconds": 3600.0}), run / SPENT_FILE)
    assert main(["compare", recipe_file, "methods=[base, lora]", "budget=1h", "--run", str(run)]) == 3
    out, err = capsys.readouterr()
    assert "Partial result for" in " ".join(out.split())
    assert "The budget is used up." in err


def test_a_run_until_decided_needs_time_for_two_seeds_and_keeps_all_of_them(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    until_decided = search_recipe | {"seeds": list(range(1, 9)), "until_decided": True}
    assert fit_and_count(until_decided, "60m", tmp_path / "60m") == (6, 8)
    assert fit_and_count(until_decided, "45m", tmp_path / "45m") == (4, 8)
    with pytest.raises(BudgetError, match="2 seeds"):
        fit_and_count(until_decided, "30m", tmp_path / "30m")


def test_a_run_until_decided_keeps_its_search_under_a_larger_budget_and_without_one(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_estimate(monkeypatch, 400)
    until_decided = search_recipe | {"seeds": [1, 2, 3], "until_decided": True}
    assert fit_and_count(until_decided, "45m", tmp_path) == (4, 3)
    save_json(Spent(seconds=9.0, trials={"t": {"confirm": 9.0}}), tmp_path / SPENT_FILE)
    assert fit_and_count(until_decided, "9h", tmp_path) == (4, 3)
    more = Recipe.read(until_decided | {"seeds": [1, 2, 3, 4, 5], "until_decided": 3})
    preparation = prepare(more)
    reduced = fit_to_budget(preparation, Ledger(tmp_path), SilentListener()).recipe
    assert (reduced.search.configurations, len(reduced.seeds)) == (4, 5)  # type: ignore[union-attr]
    stored = read_spending(tmp_path).fit
    assert stored is not None
    assert stored.shrink(preparation.recipe) == reduced


def test_a_budget_below_what_starting_and_reporting_take_is_refused_before_anything_is_read(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    missing = recipe | {"data": recipe["data"] | {"files": "missing.jsonl"}, "budget": "1s"}
    with pytest.raises(BudgetError, match=r"allows 1 s, but starting and writing the report takes \d+ s at least"):
        tuneoff.compare(missing, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_budget_below_what_the_probe_takes_is_refused_before_a_method_is_measured(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor, "measure_speed", lambda *_: 1.0)  # operation per second
    monkeypatch.setattr(limit, "load_or_run_probe", lambda *_: pytest.fail("the probe ran"))
    with pytest.raises(BudgetError, match=r"measuring the 3 methods .* at least.* Write budget=\d+h"):
        fit_and_count(recipe, "1h", tmp_path)


def test_the_count_of_a_probe_is_below_what_it_takes(recipe: dict[str, Any], tmp_path: Path) -> None:
    preparation = prepare(Recipe.read(recipe))
    operations = floor.count_probe_operations(preparation)
    speed = floor.measure_speed(preparation.device, torch.float32)
    probe = limit.load_or_run_probe(preparation, tmp_path, 0.0, SilentListener())
    assert 0 < operations / speed < probe.probe_seconds
