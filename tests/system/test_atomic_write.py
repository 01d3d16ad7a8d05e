"""A disk that becomes full: one message with the cure, no half file, and the same command goes on with room."""

import errno
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import SafetensorError

from tuneoff.cli.commands import main
from tuneoff.errors import FullDiskError
from tuneoff.system.atomic_write import explain_full_disk, is_disk_full, write_atomically


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("code", "cure"),
    [(errno.ENOSPC, ".*MB are left .* Make room"), (errno.EDQUOT, ".*your share"), (errno.EFBIG, "Allow longer files")],
)
def test_a_file_without_room_is_told_with_what_gives_it_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, cure: str
) -> None:
    write_atomically(tmp_path / "file", "old")

    def no_room(_: int) -> None:
        raise OSError(code, "no room")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(FullDiskError, match=rf"file could not be written: .*\. {cure}.* the same command again"):
        write_atomically(tmp_path / "file", "new")
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("file", "old")]


def test_what_safetensors_says_of_a_full_disk_is_understood(tmp_path: Path) -> None:
    with pytest.raises(FullDiskError), explain_full_disk(tmp_path):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_an_error_that_a_full_disk_brought_about_is_told_as_one(tmp_path: Path) -> None:
    error = RuntimeError("cannot save")
    error.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_disk_full(error)
    with pytest.raises(FullDiskError, match=r"Disk quota exceeded\. Delete"), explain_full_disk(tmp_path):
        raise error


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), ValueError("os error 28"), SafetensorError("cut off")])
def test_other_errors_pass_through(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, explain_full_disk(tmp_path):
        raise error
    assert raised.value is error


def test_a_limit_on_the_length_of_files_is_told_as_well(tmp_path: Path) -> None:
    """The kernel itself refuses; safetensors and our own files say the same."""
    script = """
import resource, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from tuneoff.system.atomic_write import explain_full_disk, write_atomically
from tuneoff.errors import FullDiskError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = Path(sys.argv[1])
for write in (lambda p: write_atomically(p, "x" * 9000), lambda p: save_file({"x": torch.zeros(9000)}, p)):
    try:
        with explain_full_disk(folder / "file"):
            write(folder / "file")
    except FullDiskError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stdout.count("could not be written: File too large") == 2, done.stdout + done.stderr


PLACES = {
    "the recipe": ("tuneoff.runs.directory.write_atomically", "recipe.yaml"),
    "the record": ("tuneoff.runs.directory.write_atomically", "record.json"),
    "the page": ("tuneoff.report.page.write_atomically", "index.html"),
}


@pytest.fixture
def recipe_file(recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A comparison of seconds, whose page has no figures: drawing takes longer than all the rest."""
    monkeypatch.setattr("tuneoff.report.page.draw_figures", lambda *_: {})
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**recipe, "methods": ["base", "lora"], "training": {"epochs": 1}}))
    return str(path)


def scores(run: Path) -> dict[str, Any]:
    records = [json.loads(file.read_text()) for file in run.glob("trials/*/record.json")]
    return {record["trial"]["label"]: record["scores"] for record in records}


@pytest.fixture
def longest_file() -> Iterator[Callable[[int], None]]:
    """Let the kernel refuse files beyond a length."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda length: resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_there_is_no_room_for_a_checkpoint_the_same_command_goes_on(
    recipe_file: str, tmp_path: Path, longest_file: Callable[[int], None], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("tuneoff.training.checkpoint.EVERY_SECONDS", 0.0)
    monkeypatch.setattr("tuneoff.training.checkpoint.LEAST_SHARE", 0)
    command, run = ["compare", recipe_file, "methods=[full]", "--run"], tmp_path / "run"
    assert main([*command, str(tmp_path / "undisturbed")]) == 0
    longest_file(150_000)  # less than the weights and AdamW's moments, more than anything before
    assert main([*command, str(run)]) == 2
    err = capsys.readouterr().err
    assert "could not be written: File too large. Allow longer files" in err
    assert "Traceback" not in err
    assert not [f for f in run.rglob(".*") if f.name != ".lock"]
    longest_file(resource.RLIM_INFINITY)
    assert main([*command, str(run)]) == 0
    assert scores(run) == scores(tmp_path / "undisturbed")


@pytest.mark.parametrize("what", PLACES)
def test_a_disk_that_is_full_at_some_file_stops_the_comparison_and_the_same_command_goes_on(
    what: str, recipe_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    writer, name = PLACES[what]
    run = tmp_path / "run"

    def sometimes_full(path: Path, content: str | bytes) -> None:
        if path.name.endswith(name):
            with explain_full_disk(path):
                full()
        write_atomically(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(writer, sometimes_full)
        assert main(["compare", recipe_file, "--run", str(run)]) == 2
    err = capsys.readouterr().err
    assert "could not be written: No space left on device" in err
    assert "Traceback" not in err
    assert not [f for f in run.rglob(".*") if f.name != ".lock"]
    if name == "index.html":
        assert main(["show", str(run)]) == 0
    assert main(["compare", recipe_file, "--run", str(run)]) == 0
    assert set(scores(run)) == {"base", "lora"}


def test_a_disk_that_is_full_within_a_trial_makes_no_failed_trial(
    recipe_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("tuneoff.methods.lora.LoRA.save", full)
        assert main(["compare", recipe_file, "--run", str(run)]) == 2
    assert "could not be written: No space left on device" in capsys.readouterr().err
    assert set(scores(run)) == {"base"}
    assert main(["show", str(run)]) == 0
    assert main(["compare", recipe_file, "--run", str(run)]) == 0
    assert len(scores(run)) == 2


def test_a_cache_without_room_is_told(
    recipe_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.Dataset.map", full)
    assert main(["compare", recipe_file, "--run", str(tmp_path / "run")]) == 2
    assert "tokens.arrow could not be written: No space left on device" in capsys.readouterr().err
