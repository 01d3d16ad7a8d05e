"""Shares with their Monte-Carlo error, and Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np


def format_share(share: float, of: float) -> str:
    """A share in percent with its standard error; that of zero is as if one more case had been seen."""
    assumed = (share * of + 1) / (of + 2)
    return f"{100 * share:.1f} ± {100 * math.sqrt(assumed * (1 - assumed) / of):.1f} %"


def format_mean(values: Sequence[float], decimals: int = 2) -> str:
    """Return a mean with its standard error."""
    error = float(np.std(values, ddof=1) / math.sqrt(len(values)))
    return f"{np.mean(values):.{decimals}f} ± {error:.{decimals}f}"


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> None:
    """Print a Markdown table, each row as soon as it is known."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("| " + " | ".join(["---"] * text_columns + ["---:"] * (len(header) - text_columns)) + " |", flush=True)
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
