"""A file that is not what was written is noticed, set aside and made again; nothing outside is touched."""

import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.evaluation.rouge import ROUGE_TYPES
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Prediction, Record
from tuneoff.records.trial import Trial
from tuneoff.runs import RunDirectory

MakeTrial = Callable[..., Trial]


@pytest.fixture
def two(directory: RunDirectory, trial: MakeTrial) -> tuple[Record, Record]:
    """Two whole records in the directory."""
    records = tuple(Record(trial=trial(seed=seed), status="failed", reason="x") for seed in (0, 1))
    for record in records:
        directory.adapter(record.trial).mkdir(parents=True)
        (directory.adapter(record.trial) / "adapter_config.json").write_text("{}")
        directory.write_record(record)
    return records  # type: ignore[return-value]  # two of them


def flip(file: Path) -> None:
    """Turn over one bit in the middle, or add a byte where there is none."""
    content = bytearray(file.read_bytes() or b" ")
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] or b"{")


@pytest.mark.parametrize("name", ["record.json", "curve.jsonl", "predictions.jsonl"])
@pytest.mark.parametrize("damage", [flip, cut, Path.unlink], ids=["a bit", "the end", "all"])
def test_a_damaged_record_is_left_out_with_a_message_and_the_rest_is_read(
    directory: RunDirectory, two: tuple[Record, Record], name: str, damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    damage(directory.trial_folder(two[0].trial) / name)
    run = directory.read()
    assert run.records == (two[1],)
    if (name, damage) != ("record.json", Path.unlink):  # without a record the trial is not over, and nothing is amiss
        assert set(run.left_out) == {two[0].trial.id}
        assert f"{two[0].trial.id} is left out ({name} is not what was written)" in caplog.text


def test_a_damaged_record_is_set_aside_for_its_trial_to_be_run_again(
    directory: RunDirectory, two: tuple[Record, Record], whole: Recipe, summary: DataSummary
) -> None:
    for _ in range(2):
        cut(directory.trial_folder(two[0].trial) / "record.json")
        directory.begin(whole, {}, summary)
        assert directory.read().left_out == {}
        directory.write_record(two[0])
    id = two[0].trial.id
    assert {f.name for f in (directory.path / "set-aside").iterdir()} == {id, f"{id}-2"}


def test_the_sums_are_those_of_coreutils_and_cover_the_adapter(
    directory: RunDirectory, two: tuple[Record, Record]
) -> None:
    for folder, count in ((directory.path, 3), (directory.trial_folder(two[0].trial), 4)):
        checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
        assert (checked.returncode, checked.stdout.count(": OK")) == (0, count)


def test_a_record_of_a_time_without_sums_is_read(directory: RunDirectory, two: tuple[Record, Record]) -> None:
    for file in directory.path.rglob("SHA256SUMS"):
        file.unlink()
    assert {r.trial.id for r in directory.records()} == {r.trial.id for r in two}


def test_sums_that_are_damaged_themselves_are_noticed(directory: RunDirectory, two: tuple[Record, Record]) -> None:
    (directory.trial_folder(two[0].trial) / "SHA256SUMS").write_text("nonsense\n")
    assert directory.records() == (two[1],)


@pytest.mark.parametrize("name", ["recipe.yaml", "environment.json", "data.json"])
def test_a_damaged_file_of_the_run_is_refused_with_the_cure_and_written_anew_by_it(
    directory: RunDirectory, two: tuple[Record, Record], name: str, whole: Recipe, summary: DataSummary
) -> None:
    before = (directory.path / name).read_text()
    cut(directory.path / name)
    with pytest.raises(RunError, match=rf"{name} is not what was written.*`tuneoff compare` again"):
        directory.read()
    directory.begin(whole, {"python": "3.11"}, summary)
    assert (directory.path / name).read_text() == before
    assert len(directory.read().records) == 2


def test_a_recipe_that_cannot_be_read_is_not_taken_for_ours(tmp_path: Path, whole: Recipe) -> None:
    (tmp_path / "recipe.yaml").write_text("package: {name: another program's}")
    with pytest.raises(RunError, match="cannot be read"):
        RunDirectory(tmp_path).require_fits(whole)


def test_a_folder_that_is_not_named_as_a_trial_is_no_record(
    directory: RunDirectory, two: tuple[Record, Record]
) -> None:
    folder = directory.trial_folder(two[0].trial)
    folder.rename(folder.with_name(f"{folder.name}.copy"))
    assert directory.read().records == (two[1],)


@pytest.mark.parametrize("place", ["trials/0123456789ab", "report", "trials/link/checkpoint"])
def test_a_link_that_leads_out_of_the_directory_is_refused(
    directory: RunDirectory, whole: Recipe, tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = directory.path / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(RunError, match="leads out of the run directory"):
        directory.read()
    with pytest.raises(RunError, match="leads out of the run directory"):
        directory.require_fits(whole)


def test_links_in_a_circle_are_refused(directory: RunDirectory) -> None:
    (directory.path / "report").symlink_to(directory.path / "report")
    with pytest.raises(RunError, match="leads out"):
        directory.read()


def test_a_whole_run_says_nothing(
    directory: RunDirectory, two: tuple[Record, Record], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    directory.read()
    assert not caplog.records


@pytest.fixture
def answered(directory: RunDirectory, trial: MakeTrial) -> list[Path]:
    """The folders of three trials with three answers each, without sums, as of a time before there were any."""
    answers = tuple(
        Prediction(row=row, source="a", reference="b", prediction="c", loss=0.5, target_tokens=2,
                   rouge=dict.fromkeys(ROUGE_TYPES, 0.5))
        for row in range(3)
    )  # fmt: skip
    for seed in range(3):
        directory.write_record(Record(trial=trial(seed=seed), status="done", predictions=answers))
    folders = [directory.trial_folder(trial(seed=seed)) for seed in range(3)]
    for folder in folders:
        (folder / "SHA256SUMS").unlink()
    return folders


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"row":2', '"row":1'),
        ('"row":2', '"row":7'),
        ('"loss":0.5', '"loss":-1e999'),
        ('"target_tokens":2', '"target_tokens":0'),
        ('"rougeL":0.5', '"rougeL":1.5'),
        ('"rougeL":0.5,', ""),
        ("\n", ""),
    ],
)
def test_answers_that_cannot_be_scored_or_paired_are_left_out(
    directory: RunDirectory, answered: list[Path], before: str, after: str
) -> None:
    file = answered[1] / "predictions.jsonl"
    file.write_text(file.read_text().replace(before, after))
    run = directory.read()
    assert list(run.left_out) == [answered[1].name]
    assert len(run.records) == 2


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_record_that_lacks_answers_is_left_out(directory: RunDirectory, answered: list[Path], kept: int) -> None:
    file = answered[1] / "predictions.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:kept]))
    assert list(directory.read().left_out) == [answered[1].name]


def test_a_copy_of_a_record_counts_only_once(directory: RunDirectory, answered: list[Path]) -> None:
    shutil.copytree(answered[0], answered[0].with_name("0123456789ab"))
    run = directory.read()
    assert (len(run.records), list(run.left_out)) == (3, ["0123456789ab"])


def test_weights_that_a_disk_has_changed_are_set_aside_and_removed_ones_are_no_damage(
    directory: RunDirectory, two: tuple[Record, Record], whole: Recipe, summary: DataSummary
) -> None:
    damaged, removed = (directory.adapter(record.trial) for record in two)
    flip(damaged / "adapter_config.json")
    shutil.rmtree(removed)
    directory.begin(whole, {}, summary)
    assert [record.trial.seed for record in directory.records()] == [1]
    assert (directory.path / "set-aside" / two[0].trial.id).is_dir()


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(directory: RunDirectory) -> None:
    (directory.path / "environment.json").unlink()
    os.mkfifo(directory.path / "environment.json")
    with pytest.raises(RunError, match="neither a file nor a folder"):
        directory.read()
