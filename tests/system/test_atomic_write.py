"""A file or a folder is replaced in one step: readers see the old content or the new one, never a part."""

import os
import stat
from pathlib import Path

import pytest

from tuneoff.system.atomic_write import replace_atomically, replace_folder_atomically, write_atomically


def list_content(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "file", "old")

    def fail(_: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        write_atomically(tmp_path / "file", "new")
    assert list_content(tmp_path) == {"file": "old"}


def test_the_old_file_stays_until_the_block_ends(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "old")
    with replace_atomically(tmp_path / "file") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "file").read_text() == "old"
        assert temporary.parent == tmp_path  # a rename within one disk is one step
    assert list_content(tmp_path) == {"file": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_no_temporary_file(error: type[BaseException], tmp_path: Path) -> None:
    def write_half() -> None:
        with replace_atomically(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert list_content(tmp_path) == {}


def test_the_new_file_is_flushed_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda _: flushed.append((tmp_path / "file").exists()))
    write_atomically(tmp_path / "file", "new")
    assert flushed == [False]


def test_the_umask_decides_who_may_read_a_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "file", "a page that a web server shows")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_folder_is_replaced_with_all_its_files(tmp_path: Path) -> None:
    write_atomically(tmp_path / "folder" / "old", "old")
    with replace_folder_atomically(tmp_path / "folder") as temporary:
        write_atomically(temporary / "a" / "new", "new")
        assert list_content(tmp_path / "folder") == {"old": "old"}
    assert list_content(tmp_path) == {"folder/a/new": "new"}


def test_a_folder_stays_as_it_was_if_filling_the_new_one_fails(tmp_path: Path) -> None:
    write_atomically(tmp_path / "folder" / "old", "old")

    def fill_half() -> None:
        with replace_folder_atomically(tmp_path / "folder") as temporary:
            write_atomically(temporary / "new", "new")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        fill_half()
    assert list_content(tmp_path) == {"folder/old": "old"}


def test_a_folder_that_another_process_creates_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_first(path: Path, target: Path) -> None:
        target.mkdir()
        (target / "theirs").write_text("theirs")
        os.replace(path, target)

    with replace_folder_atomically(tmp_path / "folder") as temporary:
        (temporary / "ours").write_text("ours")
        monkeypatch.setattr(Path, "replace", create_first)
    assert list_content(tmp_path) == {"folder/theirs": "theirs"}
