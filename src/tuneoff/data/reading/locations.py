"""Which files belong to which split: a path, a glob, a folder or a list of these, for each split or for all of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tuneoff.config.data import SplitFiles
from tuneoff.data.reading.split_names import name_splits
from tuneoff.data.reading.unpack import Item, list_members
from tuneoff.errors import DataError

MAX_FILES = 10_000
# of files in a folder that are data; a file that is named by itself may be called anything
DATA_SUFFIXES = (
    ".csv", ".tsv", ".tab", ".psv", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather", ".xlsx", ".xls",
    ".xlsm", ".xlsb", ".ods", ".txt", ".text",
)  # fmt: skip
NO_DATA = ("readme", "license", "licence", "notice", "changelog", "citation", "requirements", "dataset_info",
           "dataset_infos", "state", "package", "tokenizer", "config")  # fmt: skip


@dataclass(frozen=True)
class Located:
    """The files of each split, and sentences that say what was assumed."""

    splits: Mapping[str, Sequence[Item]]
    notes: tuple[str, ...] = ()


def locate(files: SplitFiles) -> Located:
    """Find the files. If only train is given and names of several files say their splits, they are divided by them.

    Raises:
        DataError: nothing is found, a file is named for two splits, or names leave open which split a file belongs to.
    """
    given = {split: list(_expand_all(patterns)) for split, patterns in files if patterns is not None}
    _require_no_overlap(given)
    if set(given) == {"train"} and len(given["train"]) > 1:
        return _divide_by_name(given["train"])
    return Located(given)


def _divide_by_name(items: Sequence[Item]) -> Located:
    folder = os.path.commonpath([item.path.absolute().parent for item in items])
    names = {
        item: PurePath(os.path.relpath(item.path.absolute(), folder), item.member or "").as_posix() for item in items
    }
    by_name = name_splits(names.values())
    unnamed = [item for item in items if names[item] not in by_name]
    if not by_name or (not unnamed and len(set(by_name.values())) == 1):
        return Located({"train": items})
    if unnamed and "train" in by_name.values():
        raise DataError(
            f"The names of some files in {folder} say which split they are, but that of {names[unnamed[0]]} does not. "
            "Name the files of each split: files: {train: ..., validation: ..., test: ...}."
        )
    splits: dict[str, list[Item]] = {}
    for item in items:
        splits.setdefault(by_name.get(names[item], "train"), []).append(item)
    if "train" not in splits:
        raise DataError(
            f"{folder} has files for {' and '.join(splits)} and none for train. Name one: files: {{train: ...}}."
        )
    listed = "; ".join(f"{split} is {_list_names([names[item] for item in some])}" for split, some in splits.items())
    return Located(splits, (f"The splits of {folder} follow the names of the files: {listed}.",))


def _list_names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _expand_all(patterns: str | Sequence[str]) -> Iterator[Item]:
    seen: set[Item] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        for path in _expand(pattern):
            for item in _choose_members(list_members(path)):
                if len(seen) >= MAX_FILES:
                    raise DataError(f"{pattern} has more than {MAX_FILES:,} files. Put the rows into fewer files.")
                if item not in seen:
                    seen.add(item)
                    yield item


def _choose_members(members: list[Item]) -> list[Item]:
    """Leave out of an archive what is left out of a folder, such as its readme, unless there is nothing else."""
    return [item for item in members if _is_data_name(item.name)] or members if len(members) > 1 else members


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_dir():
        return _list_folder(path)
    if os.path.lexists(path) or not glob.has_magic(pattern):
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if not Path(name).is_dir())
    if not found:
        raise DataError(f"{pattern} matches no file. Relative paths start from {Path.cwd()}.")
    return found


def _list_folder(folder: Path) -> list[Path]:
    files = sorted(_walk(folder))
    data = [path for path in files if _is_data(path)]
    if not data:
        names = ", ".join(path.name for path in files[:5])
        raise DataError(
            f"{folder} is a folder without data: {f'it has {names}' if files else 'it has no files'}. Give a folder "
            "with CSV, TSV, JSON, JSON lines, Parquet, Arrow, Excel or text files, or the path of a file."
        )
    return data


def _walk(folder: Path) -> Iterator[Path]:
    for count, (where, folders, files) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        if count > MAX_FILES:
            raise DataError(f"{folder} has more than {MAX_FILES:,} folders. Name the files.")
        yield from (Path(where, name) for name in files if not name.startswith("."))


def _is_data(path: Path) -> bool:
    name = Item(path).name
    is_archive = path.suffix.lower() == ".zip"
    return _is_data_name(name) or (is_archive and not _names_no_data(name))


def _is_data_name(name: str) -> bool:
    return name.endswith(DATA_SUFFIXES) and not _names_no_data(name)


def _names_no_data(name: str) -> bool:
    return name.split(".")[0].lower() in NO_DATA


def _require_no_overlap(given: Mapping[str, Iterable[Item]]) -> None:
    splits: dict[Item, str] = {}
    for split, items in given.items():
        for item in items:
            if item in splits:
                raise DataError(
                    f"{item.place} is named for {splits[item]} and for {split}. Give each split its own files."
                )
            splits[item] = split
