"""Reading the rows of the splits that the data has. The missing ones are taken out of train later."""

from __future__ import annotations

import glob
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.config.data import AclsumText, DataOptions, FileText, HubText, SavedText, SplitNames
from tuneoff.data.files import iterate_json_lines, read_file_rows, require_file
from tuneoff.data.rows import Rows, convert_dataset, make_rows
from tuneoff.errors import DataError, suggest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

ACLSUM_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}


def read_rows(options: DataOptions) -> dict[str, Rows]:
    """Read the rows of "train", and of "validation" and "test" if the data has them.

    Raises:
        DataError: the data cannot be reached, found or parsed, has no rows, or a split is missing.
    """
    match options:
        case HubText():
            return _pick_splits(_read_hub(options), options.splits, options.path)
        case SavedText():
            return _read_saved(options)
        case FileText():
            paths = {split: Path(path).expanduser() for split, path in options.files if path is not None}
            return {split: _read_file(path, options.source) for split, path in paths.items()}
        case AclsumText():
            return _read_aclsum(options.aspect)


def _read_hub(options: HubText) -> DatasetDict:
    import datasets

    path = str(Path(options.path).expanduser()) if options.path.startswith("~") else options.path
    if path.startswith(("/", ".")) and not Path(path).is_dir():
        raise DataError(f"{options.path} is not a folder. Relative paths start from {Path.cwd()}.")
    with _explain_read_errors(f"The data set {options.path!r}"), hide_progress_bars():
        return datasets.load_dataset(path, options.config, revision=options.revision)


def _read_saved(options: SavedText) -> dict[str, Rows]:
    import datasets

    with _explain_read_errors(f"The saved data {options.path!r}"):
        saved = datasets.load_from_disk(str(Path(options.path).expanduser()))
    if isinstance(saved, datasets.Dataset):
        return {"train": convert_dataset(options.path, saved)}
    return _pick_splits(saved, options.splits, options.path)


def _read_file(path: Path, kind: str) -> Rows:
    if kind == "parquet":
        return convert_dataset(str(path), _read_parquet(path))
    return make_rows(str(path), read_file_rows(path, kind))


def _read_parquet(path: Path) -> Dataset:
    import datasets

    require_file(path)
    with _explain_read_errors(str(path)), hide_progress_bars():
        # `datasets` takes a path as a pattern, so brackets must be escaped
        return datasets.load_dataset("parquet", data_files=glob.escape(str(path)), split="train")


def _pick_splits(data: Mapping[str, Dataset], names: SplitNames, path: str) -> dict[str, Rows]:
    rows: dict[str, Rows] = {}
    for split, name in names:
        if name is None:
            continue
        if name not in data:
            null = "" if split == "train" else f", or take it out of train: splits: {{{split}: null}}"
            raise DataError(
                f"{path} has no split {name!r} for {split}.{suggest(name, data)} "
                f"Name the right one: splits: {{{split}: NAME}}{null}."
            )
        rows[split] = convert_dataset(f"Split {name!r} of {path}", data[name])
    return rows


def _read_aclsum(aspect: str) -> dict[str, Rows]:
    spec = importlib.util.find_spec("aclsum")  # importing it would need packages that reading does not
    if spec is None or not spec.submodule_search_locations:
        raise DataError("The data of ACLSum is not installed. Run: pip install 'tuneoff[demo]'")
    folder = Path(spec.submodule_search_locations[0]) / "dataset"
    return {split: _read_aclsum_split(folder / name, aspect) for split, name in ACLSUM_FILES.items()}


def _read_aclsum_split(path: Path, aspect: str) -> Rows:
    require_file(path)
    papers: Iterator[Any] = (paper for _, paper in iterate_json_lines(path))  # Any: a paper is plain JSON
    return make_rows(
        str(path),
        [{"source": " ".join(paper["sentences"]["abstract"]), "target": paper["summary"][aspect]} for paper in papers],
    )


@contextmanager
def hide_progress_bars() -> Iterator[None]:
    """Disable the progress bars of `datasets` and of the hub's client inside the block."""
    import datasets
    import huggingface_hub.utils as hub

    enabled = [library for library in (datasets, hub) if not library.are_progress_bars_disabled()]
    for library in enabled:
        library.disable_progress_bars()
    try:
        yield
    finally:
        for library in enabled:
            library.enable_progress_bars()


@contextmanager
def _explain_read_errors(name: str) -> Iterator[None]:
    """Turn any error of `datasets` inside the block into a DataError.

    `datasets` passes on the errors of its many readers, so no narrower class covers them.
    """
    from datasets.exceptions import DatasetNotFoundError

    try:
        yield
    except DatasetNotFoundError as error:
        raise DataError(
            f"{name} is neither on the hub nor a local folder, or it is private ({_get_first_line(error)}). "
            "Check the spelling; for a private data set run: hf auth login"
        ) from error
    except ConnectionError as error:
        raise DataError(
            f"{name} could not be reached ({_get_first_line(error)}) and is not in the cache. Connect to the network "
            "once to fill the cache; then HF_HUB_OFFLINE=1 works without a network. Or use a local file: source: jsonl"
        ) from error
    except Exception as error:
        raise DataError(
            f"{name} cannot be read: {_get_first_line(_find_origin(error))}. Check `source`, `path` and `config`."
        ) from error


def _find_origin(error: BaseException) -> BaseException:
    """Return the first cause: `datasets` wraps it in an error that says only that generating failed."""
    return _find_origin(error.__cause__) if error.__cause__ else error


def _get_first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
