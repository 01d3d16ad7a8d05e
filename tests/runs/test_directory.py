"""The run directory: records are read as written, by one process at a time, and never mixed with those of others."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Epoch, Prediction, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runs import RunDirectory

MakeTrial = Callable[..., Trial]


def test_records_of_another_setting_are_refused(directory: RunDirectory, setting: Setting, trial: MakeTrial) -> None:
    directory.write_record(Record(trial=trial(), status="failed", reason="x"))
    newer = setting.model_copy(update={"versions": {"torch": "9"}, "data_fingerprint": "c"})
    with pytest.raises(RunError, match=r"another setting, which differs in data_fingerprint, versions"):
        directory.require_same_setting(newer)


def test_the_id_of_a_trial_is_the_same_in_every_process(trial: MakeTrial) -> None:
    assert trial().id == Trial.model_validate_json(trial().model_dump_json()).id


@pytest.mark.parametrize("change", [{"seed": 1}, {"hyperparameters": {"rank": 4}}, {"label": "other"}])
def test_another_trial_has_another_id(change: dict[str, Any], trial: MakeTrial) -> None:
    assert trial().id != trial(**change).id


def test_another_setting_makes_another_trial(setting: Setting, trial: MakeTrial) -> None:
    assert trial().id != trial(setting=setting.model_copy(update={"device": "another"})).id


def test_a_record_is_read_as_it_was_written(directory: RunDirectory, trial: MakeTrial) -> None:
    record = Record(
        trial=trial(),
        status="done",
        scores={"test/loss": 1.25},
        curve=(
            Epoch(
                epoch=1, steps=2, train_loss=0.1, validation_loss=None, learning_rate=1e-3, train_seconds=1.5,
                evaluation_seconds=0.5, real_tokens=7, target_tokens=3,
            ),
        ),
        predictions=(
            Prediction(
                row=0, source="a\u2028b\nc\x00", reference="\ud7ff é", prediction="<b>", loss=0.1, target_tokens=2,
                rouge={"rouge1": 1 / 3},
            ),
        ),
    )  # fmt: skip
    directory.write_record(record)
    assert directory.read_records() == (record,)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not a run directory: it has no recipe\.yaml"):
        RunDirectory(tmp_path).read()


def test_a_folder_with_other_files_does_not_become_a_run_directory(tmp_path: Path, lora_recipe: Recipe) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match="contains other files"):
        RunDirectory(tmp_path).require_same_recipe(lora_recipe)


def test_one_process_holds_the_lock_until_it_dies(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tuneoff.runs import RunDirectory\n"
        "with RunDirectory(Path(sys.argv[1])).lock(): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "run"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with (
            pytest.raises(RunError, match=rf"in use by process {other.pid} on .+ since \d{{4}}-"),
            RunDirectory(tmp_path / "run").lock(),
        ):
            pass
        other.kill()
    with RunDirectory(tmp_path / "run").lock():
        pass


def test_no_secret_of_the_environment_is_in_the_environments_record(monkeypatch: pytest.MonkeyPatch) -> None:
    from tuneoff.system.environment import describe_environment

    monkeypatch.setenv("HF_TOKEN", "hf_secret_secret")
    assert "hf_secret_secret" not in json.dumps(describe_environment())


def test_a_system_without_file_locks_is_refused_with_a_message() -> None:
    """Windows has no `fcntl`."""
    script = (
        "import sys; sys.modules['fcntl'] = None; from tuneoff.cli import main\n"
        "sys.exit(main(['compare', 'demo', '--run', sys.argv[1]]))"
    )
    result = subprocess.run([sys.executable, "-c", script, "run"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("tuneoff: tuneoff runs on Linux and macOS")
    assert "Traceback" not in result.stderr
