"""The seconds spent on a run, in total and by trial."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.spending import SPENT_FILE, Spent, read_spending, read_spent, save_json
from tuneoff.errors import RunError
from tuneoff.evaluation import generation
from tuneoff.system.process_start import STARTED_VARIABLE, take_command_start

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


def test_every_second_of_a_run_belongs_to_a_phase(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run")
    spent = read_spent(tmp_path / "run")
    assert sum(spent.phases.values()) == pytest.approx(spent.seconds, abs=0.01)
    assert {*spent.phases} >= {"preparing", "loading", "validation", "training", "saving", "evaluation", "report"}


def test_importing_and_preparing_are_two_phases(tmp_path: Path) -> None:
    now = time.monotonic()
    Ledger(tmp_path, now - 30, now - 20).write()
    spent = read_spent(tmp_path)
    assert spent.phases == pytest.approx({"starting": 10, "preparing": 20}, abs=1)
    assert spent.seconds == pytest.approx(30, abs=1)


def test_the_seconds_of_a_step_belong_to_its_own_phase(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            time.sleep(1)
            return function(*args, **kwargs)

        return run

    monkeypatch.setattr("tuneoff.evaluation.generation.generate_batch", slow(generation.generate_batch))
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    phases = read_spent(tmp_path / "run").phases
    assert phases["predictions"] >= 1


def test_a_ledger_adds_to_the_seconds_on_disk(tmp_path: Path) -> None:
    (tmp_path / SPENT_FILE).write_text(Spent(seconds=100.0).model_dump_json())
    ledger = Ledger(tmp_path)
    assert 100 <= ledger.seconds < 101


def test_a_command_is_counted_from_the_start_of_its_first_process_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STARTED_VARIABLE, str(time.monotonic() - 50))
    assert 50 <= Ledger(tmp_path, take_command_start()).seconds < 51
    assert Ledger(tmp_path, take_command_start()).seconds < 1


def test_the_start_of_a_process_is_before_its_imports() -> None:
    code = "import time; time.sleep(0.2); from tuneoff.system.process_start import compute_process_start as start; "
    code += "print(time.monotonic() - start())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.2 <= float(done.stdout) < 30


def test_no_bit_of_a_stored_file_flips_silently(tmp_path: Path) -> None:
    file = tmp_path / SPENT_FILE
    save_json(Spent(seconds=12.5, trials={"a1": {"search": 3.25, "test": 4.0}}), file)
    content, spent = file.read_bytes(), read_spent(tmp_path)
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        try:
            assert read_spent(tmp_path) == spent  # such as a blank that became a tab
        except RunError:
            continue


def test_a_file_of_another_kind_is_refused_and_one_of_an_early_version_is_read(tmp_path: Path) -> None:
    save_json(Spent(seconds=1.0), tmp_path / "fit.json")
    (tmp_path / "fit.json").rename(tmp_path / SPENT_FILE)
    with pytest.raises(RunError, match="does not match its checksum"):
        read_spent(tmp_path)
    (tmp_path / SPENT_FILE).write_text('{"seconds": 2.0}')
    assert read_spent(tmp_path).seconds == 2.0


@pytest.mark.parametrize("folder", ["trials/a1", "set-aside/a1", "set-aside/a1-2"])
def test_the_seconds_of_another_run_are_refused(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    for id in ("a1", "b2"):
        save_json(Spent(seconds=1.0, trials={id: {"test": 1.0}}), tmp_path / SPENT_FILE)
        if id == "a1":
            assert read_spent(tmp_path).seconds == 1.0
        else:
            with pytest.raises(RunError, match="counts no trial of this run"):
                read_spent(tmp_path)


def test_a_probe_or_a_fit_of_another_run_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe | {"budget": "2h"}, "methods=[base]", run=tmp_path / "run")
    spending = read_spending(tmp_path / "run")
    for stored, name in ((spending.probe, "probe.json"), (spending.fit, "fit.json")):
        assert stored is not None
        own = (tmp_path / "run" / name).read_bytes()
        save_json(stored.model_copy(update={"setting": 12 * "0"}), tmp_path / "run" / name)
        with pytest.raises(RunError, match=rf"{name} is that of a run with another setting"):
            tuneoff.load_comparison(tmp_path / "run")
        assert tuneoff.verify(tmp_path / "run").problems
        (tmp_path / "run" / name).write_bytes(own)
    assert not tuneoff.verify(tmp_path / "run").problems
