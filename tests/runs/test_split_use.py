"""The ledger of how often a test split was used."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.conftest import LORA
from tuneoff.records.record import Prediction, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runs.split_use import SplitUse, compute_split_fingerprint, note_use

SECRET = "a very private sentence"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "test-use"


def make_predictions(*sources: str) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(row=i, source=source, reference="r", prediction="p", loss=1.0, target_tokens=1, rouge={})
        for i, source in enumerate(sources)
    )


def make_record(trial: Trial, *sources: str, **changes: object) -> Record:
    return Record(trial=trial, status="done", predictions=make_predictions(*(sources or (SECRET, "b"))), **changes)


def note(run: Path, *records: Record) -> SplitUse:
    use = note_use(run, records)
    assert use is not None
    return use


def count(use: SplitUse) -> tuple[int, int, int]:
    return use.trials, use.runs, use.looks


def test_trials_runs_and_comparisons_are_counted(trial: Callable[..., Trial], tmp_path: Path) -> None:
    first, second, third = (make_record(trial(seed=seed)) for seed in (0, 1, 2))
    assert count(note(tmp_path / "a", first)) == (1, 1, 1)
    assert count(note(tmp_path / "a", first, second)) == (2, 1, 2)
    assert count(note(tmp_path / "b", third)) == (3, 2, 3)


def test_the_same_trials_again_do_not_count_again(trial: Callable[..., Trial], tmp_path: Path) -> None:
    records = [make_record(trial(seed=seed)) for seed in (0, 1)]
    before = note(tmp_path / "a", *records)
    assert note(tmp_path / "a", *reversed(records)) == before


def test_a_run_that_was_moved_is_the_same_run(trial: Callable[..., Trial], tmp_path: Path) -> None:
    record = make_record(trial())
    note(tmp_path / "a", record)
    (tmp_path / "a").rename(tmp_path / "moved")
    assert count(note(tmp_path / "moved", record)) == (1, 1, 1)


def test_trials_that_read_no_test_split_are_not_counted(trial: Callable[..., Trial], tmp_path: Path) -> None:
    search = make_record(trial(stage="search"))
    failed = Record(trial=trial(), status="failed", reason="x")
    assert note_use(tmp_path / "a", [search, failed]) is None
    assert count(note(tmp_path / "a", search, failed, make_record(trial(seed=1)))) == (1, 1, 1)


def test_another_test_split_has_a_ledger_of_its_own(trial: Callable[..., Trial], tmp_path: Path) -> None:
    note(tmp_path / "a", make_record(trial(), "x", "y"))
    assert count(note(tmp_path / "b", make_record(trial(), "x", "z"))) == (1, 1, 1)


def test_a_split_is_recognized_in_another_order_and_cleaning() -> None:
    plain = compute_split_fingerprint(make_predictions("One cat, two  dogs.", "b"))
    assert compute_split_fingerprint(make_predictions("b", "one cat two dogs")) == plain
    assert compute_split_fingerprint(make_predictions("b", "one cat three dogs")) != plain
    assert compute_split_fingerprint(make_predictions("b")) != plain


def test_the_words_of_two_examples_are_not_mixed_up() -> None:
    assert compute_split_fingerprint(make_predictions("a b", "c")) != compute_split_fingerprint(
        make_predictions("a", "b c")
    )


def test_the_ledger_has_no_text_and_no_path(trial: Callable[..., Trial], tmp_path: Path, cache: Path) -> None:
    note(tmp_path / "secret place", make_record(trial()))
    (ledger,) = cache.glob("*.jsonl")
    for line in ledger.read_text().splitlines():
        assert json.loads(line).keys() == {"kind", "id", "run", "at"}
    assert "private" not in ledger.read_text()
    assert "secret" not in ledger.read_text()


def test_a_deleted_cache_forgets_only_what_no_run_remembers(
    trial: Callable[..., Trial], tmp_path: Path, cache: Path
) -> None:
    first, second = (make_record(trial(seed=seed)) for seed in (0, 1))
    note(tmp_path / "a", first)
    since = note(tmp_path / "a", first, second).since
    for ledger in cache.iterdir():
        ledger.unlink()
    use = note(tmp_path / "a", first, second)
    assert (count(use), use.since) == ((2, 1, 2), since)


@pytest.mark.parametrize("damage", [b'{"kind": "tri', b"\x00\xff\n", b"[]\n"])
def test_damaged_lines_are_skipped_and_said(
    trial: Callable[..., Trial], tmp_path: Path, cache: Path, damage: bytes
) -> None:
    note(tmp_path / "a", make_record(trial()))
    (ledger,) = cache.glob("*.jsonl")
    with ledger.open("ab") as file:
        file.write(damage)
    use = note(tmp_path / "b", make_record(trial(seed=1)))
    assert count(use) == (2, 2, 2)
    assert "1 line of" in use.problem
    assert count(note(tmp_path / "c", make_record(trial(seed=2)))) == (3, 3, 3)


def test_a_ledger_that_cannot_be_written_is_said_and_breaks_nothing(
    trial: Callable[..., Trial], tmp_path: Path, cache: Path
) -> None:
    cache.parent.mkdir()
    cache.write_text("not a folder")
    use = note(tmp_path / "a", make_record(trial()))
    assert count(use) == (1, 1, 1)
    assert "so other runs are unknown" in use.problem


def test_a_run_directory_that_cannot_be_written_is_counted_once(trial: Callable[..., Trial], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("not a folder")
    for _ in range(2):
        assert count(note(tmp_path / "a", make_record(trial()))) == (1, 1, 1)


PROCESS = """
import sys
from pathlib import Path
from tuneoff.records.record import Record
from tuneoff.runs.split_use import note_use

record = Record.model_validate_json(Path(sys.argv[2]).read_text())
record = record.model_copy(update={"predictions": PREDICTIONS})
for seed in range(30):
    trial = record.trial.model_copy(update={"seed": 100 * int(sys.argv[3]) + seed})
    note_use(Path(sys.argv[1]), [record.model_copy(update={"trial": trial})])
"""


def test_processes_that_write_at_the_same_time_lose_nothing(setting: Setting, tmp_path: Path) -> None:
    """Two of them share a run directory."""
    trial = Trial(label="lora", method="lora", hyperparameters=LORA, setting=setting, seed=0)
    stored = tmp_path / "record.json"
    stored.write_text(make_record(trial).model_dump_json())
    predictions = "__import__('tests.runs.test_split_use', fromlist=['x']).make_predictions('x', 'y')"
    script = PROCESS.replace("PREDICTIONS", predictions)
    commands = [
        [sys.executable, "-c", script, str(tmp_path / name), str(stored), str(i)]
        for i, name in enumerate(("shared", "shared", "other"))
    ]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    assert [process.wait() for process in processes] == [0, 0, 0]
    use = note(tmp_path / "last", make_record(trial.model_copy(update={"seed": 999}), "x", "y"))
    assert count(use) == (91, 3, 91)
    assert use.problem == ""


def test_each_look_of_a_comparison_that_runs_until_it_is_decided_is_counted(
    trial: Callable[..., Trial], tmp_path: Path
) -> None:
    records = [make_record(trial(seed=seed)) for seed in range(4)]
    use = note_use(tmp_path / "a", records, [records[:2], records[:3], records])
    assert use is not None
    assert count(use) == (4, 1, 3)
    assert note_use(tmp_path / "a", records, [records[:2], records[:3], records]) == use


def note_size(run: Path, trial: Trial, size: int, start: int = 0) -> SplitUse:
    return note(run, make_record(trial, *(f"text {i}" for i in range(start, start + size))))


def test_a_split_that_grew_knows_the_runs_on_its_part(trial: Callable[..., Trial], tmp_path: Path) -> None:
    assert note_size(tmp_path / "a", trial(), 10).related_runs == 0
    assert note_size(tmp_path / "b", trial(), 20).related_runs == 1
    assert note_size(tmp_path / "c", trial(), 40).related_runs == 2
    assert note_size(tmp_path / "a", trial(), 10).related_runs == 2, "it is seen from the smaller one too"


def test_a_split_of_other_examples_is_not_related(trial: Callable[..., Trial], tmp_path: Path) -> None:
    note_size(tmp_path / "a", trial(), 10)
    assert note_size(tmp_path / "b", trial(), 10, start=5).related_runs == 0, "half of the examples are others"
    assert note_size(tmp_path / "c", trial(), 10, start=4).related_runs == 2


def test_no_text_is_kept_to_know_related_splits(trial: Callable[..., Trial], tmp_path: Path, cache: Path) -> None:
    note(tmp_path / "a", make_record(trial()))
    (file,) = cache.glob("*.examples")
    assert SECRET not in file.read_text()
    assert all(len(line) == 64 for line in file.read_text().split())
