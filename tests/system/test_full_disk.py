"""A full disk: one message with a cure, no partial file, and the same command continues once there is space."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from safetensors import SafetensorError

from tuneoff.cli import main
from tuneoff.errors import FullDiskError
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.full_disk import explain_full_disk, is_disk_full


def raise_full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, ".*MB are free .* Free some space"),
        (errno.EDQUOT, "Your disk quota is used up"),
        (errno.EFBIG, "Allow larger files"),
    ],
)
def test_a_full_disk_is_reported_with_its_cure_and_how_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, cure: str
) -> None:
    write_atomically(tmp_path / "file", "old")

    def raise_full_disk(_: int) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr("os.fsync", raise_full_disk)
    with pytest.raises(FullDiskError, match=rf"file could not be written: .*\. {cure}.* the same command again"):
        write_atomically(tmp_path / "file", "new")
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("file", "old")]


def test_a_full_disk_reported_by_safetensors_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(FullDiskError), explain_full_disk(tmp_path):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_an_error_caused_by_a_full_disk_is_reported_as_a_full_disk(tmp_path: Path) -> None:
    error = RuntimeError("cannot save")
    error.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_disk_full(error)
    with pytest.raises(FullDiskError, match=r"Disk quota exceeded\. Your disk quota"), explain_full_disk(tmp_path):
        raise error


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), ValueError("os error 28"), SafetensorError("cut off")])
def test_other_errors_pass_through(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, explain_full_disk(tmp_path):
        raise error
    assert raised.value is error


def test_a_limit_on_file_size_is_reported_as_well(tmp_path: Path) -> None:
    """The kernel enforces the limit, once for a file of ours and once for one that safetensors writes."""
    script = """
import resource, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from tuneoff.errors import FullDiskError
from tuneoff.system.atomic_write import replace_atomically, write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = Path(sys.argv[1])
try:
    write_atomically(folder / "file", "x" * 9000)
except FullDiskError as error:
    print(error)
try:
    with replace_atomically(folder / "file") as temporary:
        save_file({"x": torch.zeros(9000)}, temporary)
except FullDiskError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, timeout=60)
    assert result.stdout.count("could not be written: File too large") == 2, result.stdout + result.stderr
    assert not list(tmp_path.iterdir())


WRITERS = {
    "recipe.yaml": "tuneoff.runs.writing.write_atomically",
    "record.json": "tuneoff.runs.writing.write_atomically",
    "index.html": "tuneoff.report.page.write_atomically",
}


@pytest.fixture
def recipe_file(recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A recipe that takes seconds. Its page has no figures, because drawing takes longer than everything else."""
    monkeypatch.setattr("tuneoff.report.page.draw_figures", lambda *_: {})
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**recipe, "methods": ["base", "lora"], "training": {"epochs": 1}}))
    return str(path)


def read_scores(run: Path) -> dict[str, Any]:
    records = [json.loads(file.read_text()) for file in run.glob("trials/*/record.json")]
    return {record["trial"]["label"]: record["scores"] for record in records}


@pytest.fixture
def limit_file_size() -> Iterator[Callable[[int], None]]:
    """A function that makes the kernel refuse files above a size in bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_same_command_continues_after_a_full_disk_at_a_checkpoint(
    recipe_file: str, tmp_path: Path, limit_file_size: Callable[[int], None], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("tuneoff.training.checkpoint.MIN_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("tuneoff.training.checkpoint.MIN_INTERVAL_WRITES", 0)
    command, run = ["compare", recipe_file, "methods=[full]", "--run"], tmp_path / "run"
    assert main([*command, str(tmp_path / "undisturbed")]) == 0
    limit_file_size(150_000)  # smaller than the weights with the AdamW moments, larger than all files before
    assert main([*command, str(run)]) == 2
    err = capsys.readouterr().err
    assert "could not be written: File too large. Allow larger files" in err
    assert "Traceback" not in err
    assert not [f for f in run.rglob(".*") if f.name != ".lock"]
    limit_file_size(resource.RLIM_INFINITY)
    assert main([*command, str(run)]) == 0
    assert read_scores(run) == read_scores(tmp_path / "undisturbed")


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_stops_the_comparison_at_any_file_and_the_same_command_continues(
    name: str, recipe_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "run"

    def raise_at_name(path: Path, content: str | bytes) -> None:
        if path.name.endswith(name):
            with explain_full_disk(path):
                raise_full_disk()
        write_atomically(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(WRITERS[name], raise_at_name)
        assert main(["compare", recipe_file, "--run", str(run)]) == 2
    err = capsys.readouterr().err
    assert "could not be written: No space left on device" in err
    assert "Traceback" not in err
    assert not [f for f in run.rglob(".*") if f.name != ".lock"]
    if name == "index.html":
        assert main(["show", str(run)]) == 0
    assert main(["compare", recipe_file, "--run", str(run)]) == 0
    assert set(read_scores(run)) == {"base", "lora"}


def test_a_full_disk_within_a_trial_is_no_failed_trial(
    recipe_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("tuneoff.methods.lora.LoRA.save", raise_full_disk)
        assert main(["compare", recipe_file, "--run", str(run)]) == 2
    assert "could not be written: No space left on device" in capsys.readouterr().err
    assert set(read_scores(run)) == {"base"}
    assert main(["show", str(run)]) == 0
    assert main(["compare", recipe_file, "--run", str(run)]) == 0
    assert len(read_scores(run)) == 2


def test_a_full_disk_at_the_cache_is_reported(
    recipe_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.Dataset.map", raise_full_disk)
    assert main(["compare", recipe_file, "--run", str(tmp_path / "run")]) == 2
    assert "tokens.arrow could not be written: No space left on device" in capsys.readouterr().err


def test_inodes_that_are_used_up_are_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.statvfs(tmp_path)
    without = SimpleNamespace(f_files=max(1, status.f_files), f_favail=0)
    monkeypatch.setattr("tuneoff.system.full_disk.os.statvfs", lambda _: without)
    with (
        pytest.raises(FullDiskError, match=r"has space, but all of its inodes are used up: remove files") as raised,
        explain_full_disk(tmp_path / "file"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "MB are free" not in str(raised.value)
