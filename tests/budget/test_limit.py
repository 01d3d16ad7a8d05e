"""Probing on a tiny model, and comparisons that keep to a budget."""

import json
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener
from tuneoff.budget import limit
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.limit import fit_to_budget
from tuneoff.budget.profiler import run_probe
from tuneoff.budget.spending import SPENT_FILE, Spent, read_spending
from tuneoff.cli.commands import main
from tuneoff.errors import BudgetError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.report.sentences import describe_verdict
from tuneoff.runner.listener import SilentListener
from tuneoff.runner.prepare import prepare
from tuneoff.runs import RunDirectory
from tuneoff.runtime.progress import Progress

pytestmark = pytest.mark.usefixtures("quick_comparisons")

METHODS = ["base", "full", "last-layer", "lora", "soft-prompt"]


@pytest.fixture
def searching(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"methods": ["lora"], "search": {"configurations": 6, "rungs": 1}, "seeds": [1, 2]}


def test_every_method_is_probed_for_what_its_trials_will_cost(recipe: dict[str, Any]) -> None:
    found = run_probe(prepare(Recipe.read(recipe | {"methods": METHODS})), 1.0, SilentListener())
    assert list(found.costs) == METHODS
    for label, costs in found.costs.items():
        assert (costs.step is not None) == (label != "base")
        assert costs.evaluation.token_seconds > 0
        assert costs.load_seconds > 0
        assert (costs.adapter_bytes > 0) == (label != "base")
        assert costs.evaluation_bytes > 0
    assert found.costs["last-layer"].trunk is not None
    assert found.costs["lora"].trunk is None
    assert found.inference_seconds > 0


def test_the_work_is_that_of_the_trials(recipe: dict[str, Any], tmp_path: Path) -> None:
    whole = Recipe.read(recipe | {"methods": ["lora"]})
    found = run_probe(prepare(whole), 1.0, SilentListener())
    tuneoff.compare(whole, run=tmp_path / "run")
    (record,) = RunDirectory(tmp_path / "run").read_records()
    assert sum(row.steps for row in record.curve) == found.work.epoch.count * whole.training.epochs
    assert sum(row.real_tokens for row in record.curve) <= found.work.epoch.tokens * whole.training.epochs


def test_a_probe_opens_neither_validation_nor_test(recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepare(Recipe.read(recipe | {"methods": ["lora"]}))
    seen: set[str] = set()
    collate = "tuneoff.data.batches.collate"
    original = __import__("tuneoff.data.batches", fromlist=["collate"]).collate

    def watched(split: Any, rows: Any, *more: Any, **named: Any) -> Any:
        seen.update(map(tuple, split[list(rows)]["tokens"]))
        return original(split, rows, *more, **named)

    for place in (collate, "tuneoff.training.trainer.collate", "tuneoff.evaluation.loss.collate"):
        monkeypatch.setattr(place, watched)
    run_probe(whole, 1.0, SilentListener())
    assert seen
    assert seen <= {*map(tuple, whole.text.train["tokens"]), *map(tuple, whole.unrelated["tokens"])}


def test_a_method_that_cannot_be_probed_is_named_and_the_others_are_priced(
    recipe_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.methods.lora.LoRA.save", lambda *_: 1 / 0)
    assert main(["plan", recipe_file, "methods=[lora, soft-prompt]", "--probe"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "lora could not be probed: ZeroDivisionError: division by zero" in out
    assert "total" in out


def test_a_plan_with_a_probe_says_what_all_will_cost(
    recipe: dict[str, Any], tmp_path: Path, recipe_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", recipe_file, "--probe", "--price", "3600", "--run", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    for word in ("lora", "confirm", "test", "total", "money", "Disk", "fits into this machine"):
        assert word in out
    assert "lora: probing" in err
    assert read_spending(tmp_path / "run").probe is not None


def test_what_is_kept_in_a_run_is_not_measured_again(recipe: dict[str, Any], tmp_path: Path) -> None:
    one = tuneoff.plan(recipe, "methods=[base, lora]", probe=True, run=tmp_path / "run", listener=RecordingListener())
    other = tuneoff.plan(recipe, "methods=[base, lora]", probe=True, run=tmp_path / "run", listener=RecordingListener())
    assert one.cost_estimate == other.cost_estimate
    more = Probing()
    tuneoff.plan(recipe, "methods=[base, lora, full]", probe=True, run=tmp_path / "run", listener=more)
    assert more.probed == ["full"]


class Probing(SilentListener):
    """Remembers what was probed."""

    def __init__(self) -> None:
        self.probed: list[str] = []

    def on_probe(self, label: str) -> Any:
        self.probed.append(label)
        return super().on_probe(label)


def test_keeping_what_a_probe_found_needs_a_probe(recipe_file: str, tmp_path: Path) -> None:
    assert main(["plan", recipe_file, "--run", str(tmp_path / "run")]) == 2


def test_seconds_of_trials_add_up_to_no_more_than_those_of_the_run(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run")
    spent = read_spending(tmp_path / "run").spent
    assert {frozenset(parts) for parts in spent.trials.values()} == {frozenset({"confirm", "test"})}
    assert 0 < sum(sum(parts.values()) for parts in spent.trials.values()) < spent.seconds


def test_seconds_of_an_interrupted_trial_are_counted_with_those_after(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tuneoff.runner.scores.generate_predictions", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    before = read_spending(tmp_path / "run").spent
    ((id, parts),) = before.trials.items()
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    after = read_spending(tmp_path / "run").spent
    assert after.seconds > before.seconds > 0
    assert after.trials[id]["confirm"] > parts["confirm"] > 0


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def priced(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """As if the whole cost nothing but so many seconds for each configuration and each seed."""
    monkeypatch.setattr(limit, "load_or_run_probe", lambda *_: None)
    monkeypatch.setattr(
        limit, "estimate_run_seconds", lambda recipe, *_: seconds * (recipe.search.configurations + len(recipe.seeds))
    )


def afforded(recipe: dict[str, Any], budget: str, run: Path) -> Recipe:
    whole = Recipe.read(recipe | {"budget": budget})
    return fit_to_budget(prepare(whole), Ledger(run), SilentListener()).recipe


def size(recipe: Recipe) -> tuple[int, int]:
    return recipe.search.configurations if recipe.search else 0, len(recipe.seeds)


def test_the_plan_is_cut_to_the_budget_with_something_kept_in_reserve(
    searching: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, 400)
    assert size(afforded(searching, "1h", tmp_path / "hour")) == (6, 2)  # 8 × 400 s, of the nine tenths of 3600 s
    assert size(afforded(searching, "50m", tmp_path / "less")) == (4, 2)
    assert size(afforded(searching, "38m", tmp_path / "least")) == (4, 1)
    assert read_spending(tmp_path / "least").fit.cuts == (  # type: ignore[union-attr]
        "4 configurations per search instead of 6", "seed 1 instead of 1, 2",
    )  # fmt: skip


def test_what_it_was_cut_to_stays_until_the_budget_changes(
    searching: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, 400)
    assert size(afforded(searching, "50m", tmp_path)) == (4, 2)
    priced(monkeypatch, 1)
    assert size(afforded(searching, "50m", tmp_path)) == (4, 2)
    assert size(afforded(searching, "51m", tmp_path)) == (6, 2)


def test_a_budget_too_small_for_anything_is_refused_with_what_would_do(
    searching: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, 3600)
    with pytest.raises(BudgetError, match=r"Nothing was started. Write budget=5h34m"):
        afforded(searching, "1h", tmp_path)


def test_whoever_follows_is_told_what_was_cut_before_the_start(
    searching: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, 400)
    told: list[str] = []
    follower = SilentListener()
    monkeypatch.setattr(follower, "on_message", told.append)
    fit_to_budget(prepare(Recipe.read(searching | {"budget": "50m"})), Ledger(tmp_path), follower)
    assert told == [
        "Budget: 50.0 min, of which 0.0 min are spent. The plan should take 40.0 min in total. It was reduced "
        "by the same amount for every method: 4 configurations per search instead of 6."
    ]


def test_a_larger_budget_goes_on_with_a_larger_plan(
    searching: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, 400)
    diary = RecordingListener()
    first = tuneoff.compare(searching, "seeds=[1]", "budget=40m", run=tmp_path / "run")
    second = tuneoff.compare(searching, "seeds=[1]", "budget=3h", run=tmp_path / "run", listener=diary)
    assert (len(first.searches["lora"].tries), len(second.searches["lora"].tries)) == (4, 6)
    assert 0 < len(diary.ended) < len(second.run.records)
    assert second.partial is None


def test_at_the_end_of_its_budget_a_run_stops_with_a_partial_verdict_and_goes_on_later(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    """Seconds of processes before count."""
    run = tmp_path / "run"
    tuneoff.compare(recipe, "methods=[base]", run=run)
    (run / SPENT_FILE).write_text(json.dumps(json.loads((run / SPENT_FILE).read_text()) | {"seconds": 3600.0}))
    diary = RecordingListener()
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", "budget=1h", run=run, listener=diary)
    assert diary.ended == []
    assert comparison.partial is not None
    assert comparison.partial.untried == ("lora",)
    assert "lora has no trial yet, so nothing can be said about it." in describe_verdict(comparison)[1]
    assert "more; run the same command with a larger budget" in describe_verdict(comparison)[2]
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", "budget=2h", run=run, listener=diary)
    assert [record.trial.label for record in diary.ended] == ["lora"]
    assert comparison.partial is None


def test_a_trial_that_takes_longer_than_predicted_is_stopped_at_the_budgets_end(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then the untouched model has its record, and lora is in its first steps."""
    run, slow = tmp_path / "run", Slow("lora")
    monkeypatch.setattr(Ledger, "seconds", property(lambda _: 7200.0 if slow.late else 10.0))
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", "budget=1h", run=run, listener=slow)
    assert [record.trial.label for record in slow.ended] == ["base"]
    assert comparison.partial is not None
    assert comparison.partial.untried == ("lora",)


class Slow(RecordingListener):
    """It is late as soon as that method trains."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label, self.late = label, False

    def on_trial_start(self, trial: Trial) -> Any:
        def on_progress(progress: Progress) -> None:
            self.late = self.late or (trial.label == self.label and progress.phase == "training")

        return on_progress


def test_a_budget_that_is_over_ends_the_command_with_three(
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


def test_a_ledger_goes_on_from_what_is_written(tmp_path: Path) -> None:
    (tmp_path / SPENT_FILE).write_text(Spent(seconds=100.0).model_dump_json())
    ledger = Ledger(tmp_path)
    assert 100 <= ledger.seconds < 101
