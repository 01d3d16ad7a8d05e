"""Damaged files are noticed, moved aside and written again. Files outside the run directory are never touched."""

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.metrics.rouge import TYPES
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Prediction, Record
from tuneoff.records.trial import Trial
from tuneoff.runs import RunDirectory, integrity
from tuneoff.system.checksums import format_checksums, hash_files

MakeTrial = Callable[..., Trial]


@pytest.fixture
def two_records(directory: RunDirectory, trial: MakeTrial) -> tuple[Record, Record]:
    """Two complete records in the directory."""
    records = tuple(Record(trial=trial(seed=seed), status="failed", reason="x") for seed in (0, 1))
    for record in records:
        directory.get_adapter_folder(record.trial).mkdir(parents=True)
        (directory.get_adapter_folder(record.trial) / "adapter_config.json").write_text("{}")
        directory.write_record(record)
    return records  # type: ignore[return-value]  # two of them


def flip_bit(file: Path) -> None:
    """Flip one bit in the middle of a file, or write one byte into an empty file."""
    content = bytearray(file.read_bytes() or b" ")
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] or b"{")


@pytest.mark.parametrize("name", ["record.json", "curve.jsonl", "predictions.jsonl"])
@pytest.mark.parametrize("damage", [flip_bit, truncate, Path.unlink], ids=["flipped bit", "truncated", "deleted"])
def test_a_damaged_record_is_left_out_with_a_message_and_the_rest_is_read(
    directory: RunDirectory, two_records: tuple[Record, Record], name: str, damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    damage(directory.get_trial_folder(two_records[0].trial) / name)
    run = directory.read()
    assert run.records == (two_records[1],)
    if (name, damage) != ("record.json", Path.unlink):  # a trial without a record is unfinished, not damaged
        assert set(run.left_out) == {two_records[0].trial.id}
        assert f"{two_records[0].trial.id} is left out ({name} does not match its checksum)" in caplog.text


def test_a_damaged_record_is_moved_aside_so_that_its_trial_runs_again(
    directory: RunDirectory, two_records: tuple[Record, Record], lora_recipe: Recipe, summary: DataSummary
) -> None:
    for _ in range(2):
        truncate(directory.get_trial_folder(two_records[0].trial) / "record.json")
        directory.begin(lora_recipe, {}, summary)
        assert directory.read().left_out == {}
        directory.write_record(two_records[0])
    id = two_records[0].trial.id
    assert {f.name for f in (directory.path / "set-aside").iterdir()} == {id, f"{id}-2"}


def test_sha256sum_accepts_the_checksums_and_they_cover_the_adapter(
    directory: RunDirectory, two_records: tuple[Record, Record]
) -> None:
    for folder, count in ((directory.path, 3), (directory.get_trial_folder(two_records[0].trial), 4)):
        checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
        assert (checked.returncode, checked.stdout.count(": OK")) == (0, count)


def make_old(folder: Path) -> None:
    """Make the record in a folder one that an early version wrote, without any checksum."""
    (folder / "SHA256SUMS").unlink()
    record = json.loads((folder / "record.json").read_text())
    del record["files"]
    (folder / "record.json").write_text(json.dumps(record))


def test_a_record_without_checksums_is_read(directory: RunDirectory, two_records: tuple[Record, Record]) -> None:
    (directory.path / "SHA256SUMS").unlink()
    for record in two_records:
        make_old(directory.get_trial_folder(record.trial))
    assert {r.trial.id for r in directory.read_records()} == {r.trial.id for r in two_records}


@pytest.mark.parametrize("name", ["curve.jsonl", "predictions.jsonl"])
def test_a_record_without_checksums_whose_file_is_missing_is_left_out(
    directory: RunDirectory, two_records: tuple[Record, Record], name: str
) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    make_old(folder)
    (folder / name).unlink()
    assert directory.read_records() == (two_records[1],)


@pytest.mark.parametrize("content", ["{}", "[]", "3", '{"trial": 3}'])
def test_a_file_that_is_the_record_of_no_trial_is_left_out(
    directory: RunDirectory, two_records: tuple[Record, Record], content: str
) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    make_old(folder)
    (folder / "record.json").write_text(content)
    run = directory.read()
    assert run.records == (two_records[1],)
    assert "trial" in run.left_out[folder.name]


def test_damaged_checksums_are_noticed(directory: RunDirectory, two_records: tuple[Record, Record]) -> None:
    (directory.get_trial_folder(two_records[0].trial) / "SHA256SUMS").write_text("nonsense\n")
    assert directory.read_records() == (two_records[1],)


@pytest.mark.parametrize("name", ["recipe.yaml", "environment.json", "data.json"])
def test_a_damaged_file_of_the_run_is_refused_with_a_cure_that_writes_it_again(
    directory: RunDirectory, two_records: tuple[Record, Record], name: str, lora_recipe: Recipe, summary: DataSummary
) -> None:
    before = (directory.path / name).read_text()
    truncate(directory.path / name)
    with pytest.raises(RunError, match=rf"{name} does not match its checksum.*`tuneoff compare` again"):
        directory.read()
    directory.begin(lora_recipe, {"python": "3.11"}, summary)
    assert (directory.path / name).read_text() == before
    assert len(directory.read().records) == 2


@pytest.mark.usefixtures("two_records")
def test_damaged_checksums_of_the_run_are_named_and_written_again(
    directory: RunDirectory, lora_recipe: Recipe, summary: DataSummary, caplog: pytest.LogCaptureFixture
) -> None:
    before = (directory.path / "SHA256SUMS").read_text()
    (directory.path / "SHA256SUMS").write_text("nonsense\n")
    directory.begin(lora_recipe, {"python": "3.11"}, summary)
    assert "SHA256SUMS is damaged. It is written again." in caplog.text
    assert (directory.path / "SHA256SUMS").read_text() == before


def test_a_recipe_that_cannot_be_read_belongs_to_another_program(tmp_path: Path, lora_recipe: Recipe) -> None:
    (tmp_path / "recipe.yaml").write_text("package: {name: another program's}")
    with pytest.raises(RunError, match="cannot be read"):
        RunDirectory(tmp_path).require_same_recipe(lora_recipe)


def test_a_folder_that_is_not_named_by_a_trial_id_is_ignored(
    directory: RunDirectory, two_records: tuple[Record, Record]
) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    folder.rename(folder.with_name(f"{folder.name}.copy"))
    assert directory.read().records == (two_records[1],)


@pytest.mark.parametrize("place", ["trials/0123456789ab", "report", "trials/link/checkpoint"])
def test_a_link_that_leads_out_of_the_directory_is_refused(
    directory: RunDirectory, lora_recipe: Recipe, tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = directory.path / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(RunError, match="leads out of the run directory"):
        directory.read()
    with pytest.raises(RunError, match="leads out of the run directory"):
        directory.require_same_recipe(lora_recipe)


def test_links_in_a_circle_are_refused(directory: RunDirectory) -> None:
    (directory.path / "report").symlink_to(directory.path / "report")
    with pytest.raises(RunError, match="leads out"):
        directory.read()


def test_reading_an_undamaged_run_logs_nothing(
    directory: RunDirectory, two_records: tuple[Record, Record], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    directory.read()
    assert not caplog.records


@pytest.fixture
def tested_folders(directory: RunDirectory, trial: MakeTrial) -> list[Path]:
    """The folders of three trials with three predictions each, without checksums, as early versions wrote them."""
    predictions = tuple(
        Prediction(row=row, source="a", reference="b", prediction="c", loss=0.5, target_tokens=2,
                   rouge=dict.fromkeys(TYPES, 0.5))
        for row in range(3)
    )  # fmt: skip
    for seed in range(3):
        directory.write_record(Record(trial=trial(seed=seed), status="done", predictions=predictions))
    folders = [directory.get_trial_folder(trial(seed=seed)) for seed in range(3)]
    for folder in folders:
        make_old(folder)
    return folders


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"row":2', '"row":1'),
        ('"row":2', '"row":7'),
        ('"loss":0.5', '"loss":-1e999'),
        ('"target_tokens":2', '"target_tokens":0'),
        ('"rougeL":0.5', '"rougeL":1.5'),
        ("\n", ""),
    ],
)
def test_a_record_whose_predictions_cannot_be_scored_or_paired_is_left_out(
    directory: RunDirectory, tested_folders: list[Path], before: str, after: str
) -> None:
    file = tested_folders[1] / "predictions.jsonl"
    file.write_text(file.read_text().replace(before, after))
    run = directory.read()
    assert list(run.left_out) == [tested_folders[1].name]
    assert len(run.records) == 2


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_record_without_all_predictions_is_left_out(
    directory: RunDirectory, tested_folders: list[Path], kept: int
) -> None:
    file = tested_folders[1] / "predictions.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:kept]))
    assert list(directory.read().left_out) == [tested_folders[1].name]


def test_a_copy_of_a_record_counts_only_once(directory: RunDirectory, tested_folders: list[Path]) -> None:
    shutil.copytree(tested_folders[0], tested_folders[0].with_name("0123456789ab"))
    run = directory.read()
    assert (len(run.records), list(run.left_out)) == (3, ["0123456789ab"])


def test_changed_weights_are_moved_aside_and_deleted_weights_are_no_damage(
    directory: RunDirectory, two_records: tuple[Record, Record], lora_recipe: Recipe, summary: DataSummary
) -> None:
    damaged, removed = (directory.get_adapter_folder(record.trial) for record in two_records)
    flip_bit(damaged / "adapter_config.json")
    shutil.rmtree(removed)
    directory.begin(lora_recipe, {}, summary)
    assert [record.trial.seed for record in directory.read_records()] == [1]
    assert (directory.path / "set-aside" / two_records[0].trial.id).is_dir()


def test_a_pipe_in_place_of_a_file_is_refused_without_reading_it(directory: RunDirectory) -> None:
    (directory.path / "environment.json").unlink()
    os.mkfifo(directory.path / "environment.json")
    with pytest.raises(RunError, match="neither a file nor a folder"):
        directory.read()


@pytest.mark.parametrize("content", ["", "\n", "0" * 64 + "  elsewhere\n"])
def test_empty_or_shortened_checksums_do_not_turn_checking_off(
    directory: RunDirectory, two_records: tuple[Record, Record], content: str
) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    for place in (folder, directory.path):
        whole = (place / "SHA256SUMS").read_text()
        (place / "SHA256SUMS").write_text(content)
        if place == folder:
            assert "SHA256SUMS" in directory.read().left_out[folder.name]
        else:
            with pytest.raises(RunError, match="SHA256SUMS does not match"):
                directory.read()
        (place / "SHA256SUMS").write_text(whole)


def test_each_line_of_the_checksums_is_needed(directory: RunDirectory, two_records: tuple[Record, Record]) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    for i in range(len(lines)):
        (folder / "SHA256SUMS").write_text("".join(lines[:i] + lines[i + 1 :]))
        assert folder.name in set(integrity._find_damaged_weights(directory.path)) | set(directory.read().left_out)


def test_missing_checksums_of_a_record_are_noticed(directory: RunDirectory, two_records: tuple[Record, Record]) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    (folder / "SHA256SUMS").unlink()
    assert "SHA256SUMS is missing" in directory.read().left_out[folder.name]


def test_checksums_that_are_a_folder_are_refused_and_not_a_traceback(
    directory: RunDirectory, two_records: tuple[Record, Record], lora_recipe: Recipe, summary: DataSummary
) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    (folder / "SHA256SUMS").unlink()
    (folder / "SHA256SUMS").mkdir()
    assert folder.name in directory.read().left_out
    (directory.path / "SHA256SUMS").unlink()
    (directory.path / "SHA256SUMS").mkdir()
    with pytest.raises(RunError, match="SHA256SUMS"):
        directory.read()
    with pytest.raises(RunError, match="is a folder where a file is to be written"):
        directory.begin(lora_recipe, {}, summary)


@pytest.mark.parametrize("with_checksums", [True, False])
def test_predictions_of_another_trial_are_refused(
    directory: RunDirectory, trial: MakeTrial, with_checksums: bool
) -> None:
    """Seed 1's predictions in seed 0's folder, with checksums that match them."""
    predictions = [
        tuple(
            Prediction(row=row, source="a", reference="b", prediction="c", loss=loss, target_tokens=2,
                       rouge=dict.fromkeys(TYPES, 0.5))
            for row in range(3)
        )
        for loss in (0.5, 0.7)
    ]  # fmt: skip
    folders = []
    for seed in (0, 1):
        record = Record(
            trial=trial(seed=seed), status="done", predictions=predictions[seed],
            scores={"test/loss": predictions[seed][0].loss / 2},
        )  # fmt: skip
        directory.write_record(record)
        folders.append(directory.get_trial_folder(record.trial))
    shutil.copy(folders[1] / "predictions.jsonl", folders[0])
    files = [folders[0] / name for name in ("record.json", "curve.jsonl", "predictions.jsonl")]
    (folders[0] / "SHA256SUMS").write_text(format_checksums(hash_files(files, folders[0])))
    if not with_checksums:
        make_old(folders[0])
    reason = directory.read().left_out[folders[0].name]
    assert ("belongs to another record" if with_checksums else "test/loss in record.json is not the score") in reason


def test_a_record_of_a_newer_version_is_kept_and_named_and_never_trained_again(
    directory: RunDirectory, two_records: tuple[Record, Record], lora_recipe: Recipe, summary: DataSummary
) -> None:
    folder = directory.get_trial_folder(two_records[0].trial)
    record = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps(record | {"energy_joules": 3}))
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "SHA256SUMS"]
    (folder / "SHA256SUMS").write_text(format_checksums(hash_files(files, folder)))
    reason = directory.read().left_out[folder.name]
    assert "with the field 'energy_joules' that this version does not know. Update tuneoff" in reason
    with pytest.raises(RunError, match="Update tuneoff"):
        directory.begin(lora_recipe, {}, summary)
    assert folder.is_dir()


def test_a_foreign_file_among_the_weights_is_noticed(
    directory: RunDirectory, two_records: tuple[Record, Record], lora_recipe: Recipe, summary: DataSummary
) -> None:
    (directory.get_adapter_folder(two_records[0].trial) / "more.safetensors").write_bytes(b"x")
    directory.begin(lora_recipe, {}, summary)
    assert [record.trial.seed for record in directory.read_records()] == [1]


@pytest.mark.usefixtures("two_records")
def test_a_recipe_with_a_key_of_a_newer_version_is_not_written_over(
    directory: RunDirectory, lora_recipe: Recipe
) -> None:
    file = directory.path / "recipe.yaml"
    file.write_text(file.read_text() + "fairness: 11\n")
    names = ("recipe.yaml", "environment.json", "data.json")
    (directory.path / "SHA256SUMS").write_text(
        format_checksums(hash_files([directory.path / name for name in names], directory.path))
    )
    with pytest.raises(RunError, match=r"Unknown key 'fairness'[\s\S]*update tuneoff"):
        directory.require_same_recipe(lora_recipe)
