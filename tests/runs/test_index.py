"""The index of a run gives the records that its files hold, and notices every file that changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tuneoff.records.record import BenchmarkScore, Epoch, Prediction, Record, TrainingPart
from tuneoff.records.trial import Trial
from tuneoff.runs import RunDirectory, index, reading
from tuneoff.runs.layout import INDEX
from tuneoff.runs.reading import read_records
from tuneoff.runs.verify import find_problems

MakeTrial = Callable[..., Trial]


@pytest.fixture(autouse=True)
def small_runs_have_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MIN_NEW", 1)
    monkeypatch.setattr(index, "SETTLED_SECONDS", 0.0)


@pytest.fixture
def records(directory: RunDirectory, trial: MakeTrial) -> dict[str, Record]:
    """Three records of two settings with everything that a record can have, in the directory and in its index."""
    curve = (
        Epoch(epoch=0, steps=0, train_loss=None, validation_loss=2.5, learning_rate=0.0, train_seconds=0.0,
              evaluation_seconds=0.1, real_tokens=0, target_tokens=0),
        Epoch(epoch=0.5, steps=2, train_loss=1 / 3, validation_loss=None, learning_rate=1e-4, train_seconds=0.2,
              evaluation_seconds=0.0, real_tokens=9, target_tokens=4,
              parts=(TrainingPart(steps=2, train_loss=1 / 3),)),
    )  # fmt: skip
    prediction = Prediction(row=0, source="Größe", reference="大きさ", references=("大きさ", "寸法"), prediction="大",
                            loss=1.25, target_tokens=2, scores={"rougeL": 0.1}, weights={"rougeL": 2.0})  # fmt: skip
    benchmark = BenchmarkScore(task="a", row=1, scores={"acc": 1.0})
    other = trial(seed=2).setting.model_copy(update={"device": "another"})
    trials = [trial(seed=0), trial(seed=1), trial(seed=2).model_copy(update={"setting": other})]
    for made in trials:
        record = Record(trial=made, status="failed", reason="x", scores={"validation/loss": 1.5}, facts={"tied": True},
                        curve=curve, predictions=(prediction,), benchmarks=(benchmark,))  # fmt: skip
        directory.write_record(record)
    read, unreadable = read_records(directory.path)
    assert not unreadable
    assert (directory.path / INDEX).is_file()
    return read


@pytest.fixture
def no_file_is_read(records: dict[str, Record], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> Record:
        raise AssertionError(f"{folder} was read")

    monkeypatch.setattr(reading, "read_record", refuse)


def overwrite(file: Path) -> None:
    """Change the first byte in place; the size stays."""
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


@pytest.mark.usefixtures("no_file_is_read")
def test_records_of_the_index_are_those_of_the_files(directory: RunDirectory, records: dict[str, Record]) -> None:
    again, unreadable = read_records(directory.path)
    assert again == records
    assert not unreadable
    assert [record.trial.id for record in again.values()] == list(again)


def test_records_of_a_setting_share_it(directory: RunDirectory, records: dict[str, Record]) -> None:
    again = read_records(directory.path)[0].values()
    assert len(records) == 3
    assert len({id(record.trial.setting) for record in again}) == 2


@pytest.mark.parametrize("name", ["record.json", "curve.jsonl", "predictions.jsonl", "benchmarks.jsonl", "SHA256SUMS"])
@pytest.mark.parametrize("damage", [overwrite, Path.unlink], ids=["changed in place", "removed"])
def test_a_record_whose_files_changed_is_read_and_checked_again(
    directory: RunDirectory, records: dict[str, Record], name: str, damage: Callable[[Path], None]
) -> None:
    id = next(iter(records))
    damage(directory.path / "trials" / id / name)
    again, unreadable = read_records(directory.path)
    assert id not in again
    assert (id in unreadable) == ((name, damage) != ("record.json", Path.unlink))
    assert {**again, id: records[id]} == records


def test_a_record_that_was_written_anew_counts(directory: RunDirectory, records: dict[str, Record]) -> None:
    changed = next(iter(records.values())).model_copy(update={"reason": "y"})
    directory.write_record(changed)
    assert read_records(directory.path)[0][changed.trial.id] == changed
    assert read_records(directory.path)[0][changed.trial.id] == changed  # from the index now


def test_a_trial_that_was_removed_does_not_come_back(directory: RunDirectory, records: dict[str, Record]) -> None:
    first, *others = records
    (directory.path / "trials" / first).rename(directory.path / "elsewhere")
    assert [*read_records(directory.path)[0]] == others


def test_no_changed_byte_of_the_index_changes_a_record(directory: RunDirectory, records: dict[str, Record]) -> None:
    file = directory.path / INDEX
    content = file.read_bytes()
    for place in range(0, len(content), 97):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert read_records(directory.path)[0] == records
    file.write_bytes(content[: len(content) // 2])
    assert read_records(directory.path)[0] == records


def test_an_index_of_another_version_is_not_read(
    directory: RunDirectory, records: dict[str, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert index.RecordIndex.load(directory.path).entries.keys() == records.keys()
    monkeypatch.setattr(index, "compute_format", lambda: "another")
    assert not index.RecordIndex.load(directory.path).entries


def test_whoever_checks_everything_reads_every_file(
    directory: RunDirectory, records: dict[str, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that rots on the disk keeps its times: the record counts as it was, and a check of everything notices."""
    states = {folder.name: index.read_state(folder) for folder in (directory.path / "trials").iterdir()}
    overwrite(directory.path / "trials" / next(iter(records)) / "predictions.jsonl")
    monkeypatch.setattr(reading, "read_state", lambda folder: states[folder.name])
    assert read_records(directory.path)[0] == records
    assert [*read_records(directory.path, check_all=True)[1]] == [next(iter(records))]


@pytest.mark.usefixtures("no_file_is_read")
def test_a_file_that_changed_a_moment_ago_is_not_trusted(
    directory: RunDirectory, records: dict[str, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes within the resolution of a file system's clock leave the same time."""
    monkeypatch.setattr(index, "SETTLED_SECONDS", 60.0)
    fresh = index.RecordIndex()
    for id, record in records.items():
        fresh.add(record, index.read_state(directory.path / "trials" / id))
    assert not fresh.entries


def test_small_runs_have_no_index(directory: RunDirectory, trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MIN_NEW", 200)
    directory.write_record(Record(trial=trial(seed=0), status="failed", reason="x"))
    read_records(directory.path)
    assert not (directory.path / INDEX).exists()


def test_verify_knows_the_index_reads_past_it_and_says_if_it_is_damaged(
    directory: RunDirectory, records: dict[str, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(find_problems(directory.path))
    file = directory.path / INDEX
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert [(problem.kind, problem.file) for problem in find_problems(directory.path)] == [("damaged", file)]
    file.unlink()
    read_records(directory.path)
    states = {folder.name: index.read_state(folder) for folder in (directory.path / "trials").iterdir()}
    rotten = directory.path / "trials" / next(iter(records)) / "predictions.jsonl"
    overwrite(rotten)
    monkeypatch.setattr(reading, "read_state", lambda folder: states[folder.name])
    assert [(problem.kind, problem.file) for problem in find_problems(directory.path)] == [("damaged", rotten)]
