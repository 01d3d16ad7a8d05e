"""`tuneoff verify` names what is missing, foreign, damaged or newer, and changes nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.stored_runs import write_run
from tuneoff.api import verify
from tuneoff.budget.spending import SPENT_FILE, Spent, save_json
from tuneoff.cli import main
from tuneoff.errors import RunError
from tuneoff.system.checksums import CHECKSUMS, format_checksums, hash_files


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_run(tmp_path_factory.mktemp("stored") / "run", methods={"base": {}, "lora": {}}, seeds=[0, 1])
    spent = {folder.name: {"confirm": 1.0} for folder in (run / "trials").iterdir()}
    save_json(Spent(seconds=3.5, trials=spent), run / SPENT_FILE)
    return run


@pytest.fixture
def run(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "run"))


def get_trial(run: Path) -> Path:
    return sorted((run / "trials").iterdir())[0]


def swap_predictions(run: Path) -> None:
    first, second = sorted((run / "trials").iterdir())[:2]
    shutil.copy(second / "predictions.jsonl", first)
    write_checksums(first)


def write_checksums(folder: Path) -> None:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != CHECKSUMS]
    (folder / CHECKSUMS).write_text(format_checksums(hash_files(files, folder)))


def add_field(run: Path) -> None:
    file = get_trial(run) / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"joules": 3}))
    write_checksums(get_trial(run))


PROBLEMS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a trial's file": (lambda run: (get_trial(run) / "curve.jsonl").unlink(), "missing", "curve.jsonl"),
    "a whole trial": (lambda run: shutil.rmtree(get_trial(run)), "missing", ""),
    "a file of the run": (lambda run: (run / "data.json").unlink(), "missing", "data.json"),
    "checksums": (lambda run: (run / CHECKSUMS).unlink(), "missing", CHECKSUMS),
    "a note": (lambda run: (run / "note.txt").write_text("x"), "foreign", "note.txt"),
    "a folder": (lambda run: (run / "trials" / "copy").mkdir(), "foreign", "copy"),
    "a file beside a record": (lambda run: (get_trial(run) / "x.bin").write_bytes(b"x"), "foreign", "x.bin"),
    "a link": (lambda run: (run / "report").symlink_to("/"), "foreign", "run"),
    "other predictions": (swap_predictions, "damaged", "record.json"),
    "shortened checksums": (lambda run: (get_trial(run) / CHECKSUMS).write_text(""), "damaged", CHECKSUMS),
    "what was spent": (lambda run: (run / SPENT_FILE).write_text('{"seconds": 1, "sha256": "0"}'), "damaged", "run"),
    "the ledger": (lambda run: (run / "test-use.jsonl").write_text("half a li"), "damaged", "test-use.jsonl"),
    "decisions": (lambda run: (run / "decisions.jsonl").write_text('{"kind": "dr\n'), "damaged", "decisions.jsonl"),
    "a field of what was spent": (lambda run: (run / SPENT_FILE).write_text('{"joules": 1}'), "damaged", "run"),
    "a checkpoint": (
        lambda run: (get_trial(run) / "checkpoint.safetensors").write_bytes(b"x" * 40),
        "damaged",
        "checkpoint.safetensors",
    ),
    "a field of a newer version": (add_field, "newer", "record.json"),
}


def test_an_undamaged_run_has_no_problem(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((file, file.stat().st_mtime_ns) for file in run.rglob("*"))
    assert main(["verify", str(run)]) == 0
    assert "and 3 finished trials. Nothing is missing, foreign, damaged or newer." in capsys.readouterr().out
    assert sorted((file, file.stat().st_mtime_ns) for file in run.rglob("*")) == before


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_is_one_line_with_its_kind_and_file(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, kind, file = PROBLEMS[name]
    spoil(run)
    assert main(["verify", str(run)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(kind)
    assert line.partition(": ")[0].endswith(file)


def test_a_trial_that_is_unfinished_at_the_url_of_a_run_is_not_missing(run: Path) -> None:
    shutil.rmtree(get_trial(run))
    (run / "share.json").write_text("{}")
    assert verify(run).problems == ()


def test_a_flipped_bit_in_any_file_is_found(run: Path) -> None:
    files = [file for file in sorted(run.rglob("*")) if file.is_file() and file.name != ".lock"]
    for file in files:
        content = file.read_bytes()
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        file.write_bytes(damaged)
        assert verify(run).problems, file
        file.write_bytes(content)
    assert not verify(run).problems


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        verify(tmp_path)
