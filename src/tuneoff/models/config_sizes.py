"""The sizes in a model's config.json, checked before anything of these sizes is made.

transformers makes a module for each layer and each expert, also of a model without weights. So a damaged number would
take all memory, or hours, before any error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tuneoff.errors import ModelError

LARGEST = (  # a part of a key, and the largest number that it may have; the first part found counts
    (re.compile(r"layer"), 2_000),
    (re.compile(r"expert"), 10_000),
    (re.compile(r"head"), 100_000),
    (re.compile(r"vocab"), 100_000_000),
    (re.compile(r"hidden|intermediate|inner|embd|embed|dim|model|ffn|size"), 10_000_000),
)
MOST_MODULES = 1_000_000  # layers times experts


def require_sane_config(folder: Path, name: str) -> None:
    """Refuse a config.json whose sizes no model has. What is wrong otherwise is found where the model is built.

    Raises:
        ModelError: with the key and its number.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    numbers = list(_list_numbers(config))
    for key, number in numbers:
        limit = next((limit for part, limit in LARGEST if part.search(key)), None)
        if limit is not None and number > limit:
            raise ModelError(
                f"config.json of {name} has {key}: {number:,}, and no model has more than {limit:,}. Download it again."
            )
    layers, experts = (max((n for key, n in numbers if part in key), default=1) for part in ("layer", "expert"))
    if layers * experts > MOST_MODULES:
        raise ModelError(f"config.json of {name} has {layers:,} layers with {experts:,} experts. Download it again.")


def describe_error(error: Exception) -> str:
    """Return an error's message, with its type where the message alone says little."""
    message = " ".join(str(error).split())
    return (
        message
        if isinstance(error, OSError | ValueError | ImportError) and message
        else (f"{type(error).__name__}: {message}".rstrip(": "))
    )


def _list_numbers(value: Any, key: str = "") -> Iterator[tuple[str, int]]:  # Any: JSON
    """Yield every whole number of a config, of its parts too, with its key."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _list_numbers(part, str(name))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value
