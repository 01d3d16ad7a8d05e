"""Probes of a tiny model."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener
from tuneoff.budget.profiler import run_probe
from tuneoff.budget.spending import read_spending
from tuneoff.cli import main
from tuneoff.data import batches
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.listener import SilentListener
from tuneoff.runner.prepare import prepare
from tuneoff.runs import RunDirectory

pytestmark = pytest.mark.usefixtures("quick_comparisons")

METHODS = ["base", "full", "last-layer", "lora", "soft-prompt"]


class ProbeListener(SilentListener):
    """Remembers which methods were probed."""

    def __init__(self) -> None:
        self.probed: list[str] = []

    def on_probe(self, label: str) -> Any:
        self.probed.append(label)
        return super().on_probe(label)


def test_a_probe_measures_every_cost_of_every_method(recipe: dict[str, Any]) -> None:
    probe = run_probe(prepare(Recipe.read(recipe | {"methods": METHODS})), 1.0, SilentListener())
    assert list(probe.costs) == METHODS
    for label, costs in probe.costs.items():
        assert (costs.step is not None) == (label != "base")
        assert costs.evaluation.token_seconds > 0
        assert costs.load_seconds > 0
        assert (costs.adapter_bytes > 0) == (label != "base")
        assert costs.evaluation_bytes > 0
    assert probe.costs["last-layer"].trunk is not None
    assert probe.costs["lora"].trunk is None
    assert probe.inference_seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("shard", [False, True], ids=["whole", "divided"])
def test_a_probe_of_trials_on_two_devices_measures_both(recipe: dict[str, Any], shard: bool) -> None:
    one = prepare(Recipe.read(recipe | {"methods": ["full", "last-layer"]}))
    training = recipe["training"] | {"devices": 2, "shard": shard}
    two = prepare(Recipe.read(recipe | {"methods": ["base", "full", "last-layer"], "training": training}))
    probes = [run_probe(preparation, 1.0, SilentListener()) for preparation in (one, two)]
    two.followers.close()
    assert probes[1].refused == {}
    memory_bytes = [probe.costs["full"].training_bytes or 0 for probe in probes]
    assert memory_bytes[1] > memory_bytes[0] + 10**8, "the second process has torch in its memory too"
    assert (probes[1].costs["last-layer"].trunk is None) == shard


def test_the_work_of_a_probe_is_the_work_of_a_trial(recipe: dict[str, Any], tmp_path: Path) -> None:
    lora_recipe = Recipe.read(recipe | {"methods": ["lora"]})
    work, epochs = run_probe(prepare(lora_recipe), 1.0, SilentListener()).work, lora_recipe.training.epochs
    tuneoff.compare(lora_recipe, run=tmp_path / "run")
    (record,) = RunDirectory(tmp_path / "run").read_records()
    assert sum(row.steps for row in record.curve) == work.epoch.count * epochs
    assert sum(row.real_tokens for row in record.curve) <= work.epoch.tokens * epochs


def test_a_probe_reads_neither_validation_nor_test(recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    preparation = prepare(Recipe.read(recipe | {"methods": ["lora"]}))
    read_rows: set[tuple[int, ...]] = set()
    original = batches.collate

    def collate_and_record(split: Any, rows: Any, *arguments: Any, **options: Any) -> Any:
        read_rows.update(map(tuple, split[list(rows)]["tokens"]))
        return original(split, rows, *arguments, **options)

    for name in ("tuneoff.data.batches.collate", "tuneoff.training.trainer.collate", "tuneoff.evaluation.loss.collate"):
        monkeypatch.setattr(name, collate_and_record)
    run_probe(preparation, 1.0, SilentListener())
    assert read_rows
    assert read_rows <= {
        *map(tuple, preparation.text.train["tokens"]),
        *map(tuple, preparation.unrelated_text["tokens"]),
    }


def test_a_method_that_cannot_be_probed_is_listed_and_the_others_are_estimated(
    recipe_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.methods.lora.LoRA.save", lambda *_: 1 / 0)
    assert main(["plan", recipe_file, "methods=[lora, soft-prompt]", "--probe"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "lora could not be probed: ZeroDivisionError: division by zero" in out
    assert "total" in out


def test_a_plan_with_a_probe_shows_the_cost_estimate(
    recipe: dict[str, Any], tmp_path: Path, recipe_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", recipe_file, "--probe", "--price", "3600", "--run", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    for word in ("lora", "confirm", "test", "total", "money", "Disk", "fits into this machine"):
        assert word in out
    assert "lora: probing" in err
    assert read_spending(tmp_path / "run").probe is not None


def test_methods_whose_costs_are_stored_with_a_run_are_not_probed_again(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = tuneoff.plan(recipe, "methods=[base, lora]", probe=True, run=run, listener=RecordingListener())
    second = tuneoff.plan(recipe, "methods=[base, lora]", probe=True, run=run, listener=RecordingListener())
    assert first.cost_estimate == second.cost_estimate
    listener = ProbeListener()
    tuneoff.plan(recipe, "methods=[base, lora, full]", probe=True, run=run, listener=listener)
    assert listener.probed == ["full"]


def test_a_run_directory_for_a_plan_needs_a_probe(recipe_file: str, tmp_path: Path) -> None:
    assert main(["plan", recipe_file, "--run", str(tmp_path / "run")]) == 2


def test_the_seconds_for_the_first_values_are_part_of_what_comes_before_the_first_step(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those of the whole train split, which a trial reads."""
    rows = []

    def set_start(_: Any, __: Any, spec: Any, ___: Any) -> float:
        rows.append(len(spec.text.train))
        return 1e6

    monkeypatch.setattr("tuneoff.budget.profiler.set_start", set_start)
    preparation = prepare(Recipe.read(recipe | {"methods": ["lora", "eva"]}))
    costs = run_probe(preparation, 1.0, SilentListener()).costs
    assert costs["eva"].begin_seconds >= 1e6 > costs["lora"].begin_seconds
    assert rows == [len(preparation.text.train)]
