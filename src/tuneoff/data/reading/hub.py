"""Data sets of the Hugging Face hub, and folders that `save_to_disk` wrote. `datasets` runs no code that they bring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.config.data import HubText, SplitNames
from tuneoff.data.reading.library import explain_read_errors, hide_progress_bars
from tuneoff.data.reading.split_names import find_split
from tuneoff.data.rows import Rows, convert_dataset
from tuneoff.errors import DataError, suggest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

CURE = "Check `source`, `path` and `config`."


def read_hub(options: HubText) -> dict[str, Rows]:
    """Read a data set of the hub, or a local folder with the same layout.

    Raises:
        DataError: it cannot be reached or read, or a split is missing.
    """
    import datasets

    path = str(Path(options.path).expanduser()) if options.path.startswith("~") else options.path
    if path.startswith(("/", ".")) and not Path(path).is_dir():
        raise DataError(f"{options.path} is not a folder. Relative paths start from {Path.cwd()}.")
    with explain_read_errors(f"The data set {options.path!r}", CURE), hide_progress_bars():
        data: DatasetDict = datasets.load_dataset(path, options.config, revision=options.revision)
    return _pick_splits(data, options.splits, options.path)


def read_saved(folder: Path, splits: SplitNames) -> dict[str, Rows]:
    """Read a folder that `save_to_disk` wrote. A single Dataset is the train split.

    Raises:
        DataError: the folder cannot be read, or a split is missing.
    """
    import datasets

    with explain_read_errors(f"The saved data {str(folder)!r}", CURE):
        saved = datasets.load_from_disk(str(folder))
    if isinstance(saved, datasets.Dataset):
        return {"train": convert_dataset(str(folder), saved)}
    return _pick_splits(saved, splits, str(folder))


def is_saved(folder: Path) -> bool:
    """Return whether `save_to_disk` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def _pick_splits(data: Mapping[str, Dataset], names: SplitNames, path: str) -> dict[str, Rows]:
    """Pick the split of each purpose: the one that the recipe names, or else one whose name is usual for it."""
    rows: dict[str, Rows] = {}
    for split, name in names:
        if name is None:
            continue
        found = name if name in data or split in names.model_fields_set else find_split(split, data)
        if found is None or found not in data:
            null = "" if split == "train" else f", or take it out of train: splits: {{{split}: null}}"
            raise DataError(
                f"{path} has no split {name!r} for {split}.{suggest(name, data)} "
                f"Name the right one: splits: {{{split}: NAME}}{null}."
            )
        converted = convert_dataset(f"Split {found!r} of {path}", data[found])
        rows[split] = converted if found == name else converted.add_notes(f"Split {found!r} of {path} is {split}.")
    return rows
