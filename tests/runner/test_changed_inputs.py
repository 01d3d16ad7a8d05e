"""What a trial reads is what its setting says: a model or tokens that change under a run end it, unrecorded."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import tuneoff
from tests.runner.recorded_runs import read_records_by_id
from tuneoff.errors import RunError
from tuneoff.records.record import Record
from tuneoff.runner import attempt

pytestmark = pytest.mark.usefixtures("quick_comparisons")


def scale_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    save_file({name: 1.1 * tensor for name, tensor in load_file(file).items()}, file, {"format": "pt"})


def flip_a_bit_of_the_tokens(cache: Path) -> None:
    for file in cache.glob("tokens/*/tokens.arrow"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        with file.open("r+b") as stream:  # in place, so that what is mapped changes
            stream.write(content)


@pytest.mark.parametrize("what", ["model", "tokens"])
@pytest.mark.parametrize("before", [True, False], ids=["before the trial reads", "after the trial has read"])
def test_a_change_under_a_run_ends_it_and_nothing_is_recorded(
    what: str, before: bool, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    model = Path(shutil.copytree(recipe["model"]["name"], tmp_path / "model"))
    recipe = recipe | {"model": recipe["model"] | {"name": str(model)}, "methods": ["base", "lora"], "seeds": [0, 1]}
    original, started = attempt.run_trial, 0

    def change_in_second(*arguments: Any) -> Record:
        nonlocal started
        started += 1
        if started != 2:
            return original(*arguments)
        record = None if before else original(*arguments)
        scale_weights(model) if what == "model" else flip_a_bit_of_the_tokens(tmp_path / "cache")
        return record or original(*arguments)

    monkeypatch.setattr(attempt, "run_trial", change_in_second)
    with pytest.raises(RunError, match="changed while the run was reading"):
        tuneoff.compare(recipe, run=tmp_path / "run")
    assert len(read_records_by_id(tmp_path / "run")) == 1
