"""The contract of an export format. A new one is one file in this package and one entry in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

from torch import Tensor

from tuneoff.exports.exportable import Exportable

Precision = Literal["float32", "float16", "bfloat16", "q8_0"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Reader(Protocol):
    """An export that was read back, by the tool that it is for."""

    def compute_logits(self, tokens: tuple[int, ...]) -> Tensor:
        """Return the logits, (T, V) in float32, after each of the tokens."""

    def generate(self, tokens: tuple[int, ...], count: int) -> tuple[int, ...]:
        """Return at most `count` tokens that follow, by greedy decoding, up to the first end token."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What a user may choose."""

    precision: Precision | None = None  # None: that of the base model's files
    converter: Path | None = None  # of a llama.cpp checkout; None: the one that tuneoff installs in its cache


@dataclass(frozen=True, kw_only=True)
class Format:
    """A way to hand over a trained model.

    Args:
        write: writes the files into an empty folder; raises RunError, with the alternative, if the model does not fit.
        read: reads them back with the tool they are for.
        usage: lines of Markdown that say how to use the folder, for its README.
        precisions: the ones it can store; empty if it keeps that of the trained weights.
        choose_precision: returns the one that is stored.
        base: which base model the export stands on: `own` weights that are in it, the `same` as in the run, quantised
            if it was, or the base model's `files`, which are not quantised.
    """

    name: str
    summary: str
    write: Callable[[Exportable, Path, ExportOptions], None]
    read: Callable[[Exportable, Path], Reader]
    usage: Callable[[Exportable, str], str]
    precisions: tuple[Precision, ...] = ()
    base: Literal["own", "same", "files"] = "own"
    choose_precision: Callable[[Exportable, ExportOptions], str] = lambda _, options: options.precision or "float32"
