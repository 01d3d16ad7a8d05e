"""Checks that a folder's weights are safetensors: complete, and unable to run code when they are read."""

import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from tuneoff.errors import ModelError

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
PICKLE_STARTS = (b"\x80", b"PK\x03\x04")  # a plain pickle, and the zip file in which torch stores one


def require_safe_model(folder: Path) -> None:
    """Refuse a folder that does not hold a whole model as safetensors.

    Raises:
        ModelError: what is missing or unsafe.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} contains no model: it has no config.json.")
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} has an adapter_config.json, which would load another model than this one. Name the base model, "
            "or merge the adapter into it first."
        )
    weights = sorted(folder.glob("*.safetensors"))
    if weights:
        _require_complete(weights)
        _require_parts_inside(folder, {file.name for file in weights})
        return
    pickles = _list_pickles(folder)
    if pickles:
        raise ModelError(
            f"{folder} has its weights only as {pickles}, a pickle, which can run code when it is read. If you trust "
            "the file, convert it once: load it with transformers, and `save_pretrained` writes safetensors."
        )
    raise ModelError(f"{folder} has no weights: it has no .safetensors file.")


def require_safe_adapter(folder: Path) -> None:
    """Refuse an adapter whose weights would be read from a pickle.

    Raises:
        ModelError: the weights are not safetensors, by name or by content.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = _list_pickles(folder)
        reason = f": it has only {pickles}, a pickle, which can run code when it is read" if pickles else ""
        raise ModelError(f"{folder} has no adapter weights as safetensors{reason}. Save the adapter again.")
    _require_complete(weights)


def _list_pickles(folder: Path) -> str:
    return ", ".join(sorted(file.name for file in folder.glob("*") if file.suffix in PICKLE_SUFFIXES))


def _require_complete(weights: Iterable[Path]) -> None:
    """Open each file. Its header has the file's length, so a truncated file is found before a trial starts."""
    for file in weights:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            _require_no_pickle(file)
            raise ModelError(f"{file} is not a complete safetensors file: {error}. Download it again.") from error


def _require_no_pickle(file: Path) -> None:
    """Refuse a pickle that has the name of a safetensors file.

    Only for a file that cannot be read as safetensors: a valid one begins with a length, which may start with the same
    bytes as a pickle.
    """
    with file.open("rb") as content:
        start = content.read(4)
    if start.startswith(PICKLE_STARTS):
        raise ModelError(
            f"{file} is named {file.suffix} but contains a pickle, which can run code when it is read. "
            "Download safetensors from the model's source, or convert the file where you trust it."
        )


def _require_parts_inside(folder: Path, weights: set[str]) -> None:
    """Refuse an index that names anything but safetensors files in the same folder."""
    for index in folder.glob("*.safetensors.index.json"):
        try:
            parts = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"{index} cannot be read: {error!r}. Download it again.") from error
        for part in parts:
            if part not in weights:
                raise ModelError(
                    f"{index} names {part!r}, which is not a safetensors file in its folder. Download the model again."
                )
