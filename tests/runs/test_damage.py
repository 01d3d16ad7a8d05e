"""A file that is not what was written is noticed, set aside and made again; nothing outside is touched."""

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe import Recipe
from tuneoff.runs import RunDirectory
from tuneoff.trial import Record, Trial

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
    damage(directory.trial(two[0].trial) / name)
    run = directory.read()
    assert run.records == (two[1],)
    if (name, damage) != ("record.json", Path.unlink):  # without a record the trial is not over, and nothing is amiss
        assert set(run.left_out) == {two[0].trial.id}
        assert f"{two[0].trial.id} is left out ({name} is not what was written)" in caplog.text


def test_a_damaged_record_is_set_aside_for_its_trial_to_be_run_again(
    directory: RunDirectory, two: tuple[Record, Record], whole: Recipe, summary: DataSummary
) -> None:
    for _ in range(2):
        cut(directory.trial(two[0].trial) / "record.json")
        directory.begin(whole, {}, summary)
        assert directory.read().left_out == {}
        directory.write_record(two[0])
    id = two[0].trial.id
    assert {f.name for f in (directory.path / "set-aside").iterdir()} == {id, f"{id}-2"}


def test_the_sums_are_those_of_coreutils_and_cover_the_adapter(
    directory: RunDirectory, two: tuple[Record, Record]
) -> None:
    for folder, count in ((directory.path, 3), (directory.trial(two[0].trial), 4)):
        checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
        assert (checked.returncode, checked.stdout.count(": OK")) == (0, count)


def test_a_record_of_a_time_without_sums_is_read(directory: RunDirectory, two: tuple[Record, Record]) -> None:
    for file in directory.path.rglob("SHA256SUMS"):
        file.unlink()
    assert {r.trial.id for r in directory.records()} == {r.trial.id for r in two}


def test_sums_that_are_damaged_themselves_are_noticed(directory: RunDirectory, two: tuple[Record, Record]) -> None:
    (directory.trial(two[0].trial) / "SHA256SUMS").write_text("nonsense\n")
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
    folder = directory.trial(two[0].trial)
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
