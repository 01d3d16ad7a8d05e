"""Files that change under a run are noticed; those that were only touched are read again."""

import os
from pathlib import Path

import pytest

from tuneoff.errors import RunError
from tuneoff.system.watch import Watch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"original")
    return file


def watch(file: Path, **options: bool) -> Watch:
    return Watch("the base model", [file], lambda: file.exists() and file.read_bytes() == b"original", **options)


def test_a_file_that_is_as_it_was_is_not_read(file: Path) -> None:
    Watch("x", [file], lambda: pytest.fail("it was read")).require_unchanged()


@pytest.mark.parametrize("content", [b"longer than before", b"Original"])
def test_a_changed_file_is_named(file: Path, content: bytes) -> None:
    watched = watch(file)
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"weights.bin changed while the run was reading the base model, so nothing is"):
        watched.require_unchanged()


def test_a_change_whose_times_were_set_back_is_noticed(file: Path) -> None:
    watched, before = watch(file), file.stat()
    file.write_bytes(b"Original")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(RunError, match="changed"):
        watched.require_unchanged()


def test_a_touched_file_and_one_that_was_replaced_by_its_copy_are_accepted_and_watched_on(file: Path) -> None:
    watched = watch(file)
    file.touch()
    watched.require_unchanged()
    file.unlink()
    file.write_bytes(b"original")
    watched.require_unchanged()
    file.write_bytes(b"Original")
    with pytest.raises(RunError, match="changed"):
        watched.require_unchanged()


def test_without_known_content_a_touched_file_is_a_changed_one(file: Path) -> None:
    watched = Watch("the base model", [file])
    file.write_bytes(b"original")
    with pytest.raises(RunError, match="changed"):
        watched.require_unchanged()


def test_a_file_that_is_mapped_may_vanish_and_another_may_not(file: Path) -> None:
    mapped, read = watch(file, may_vanish=True), watch(file)
    file.unlink()
    mapped.require_unchanged()
    with pytest.raises(RunError, match="changed"):
        read.require_unchanged()
