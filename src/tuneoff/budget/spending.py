"""What a run was estimated to cost and what it has cost so far, in files next to its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from tuneoff.budget.probe import Part, Probe
from tuneoff.budget.shrink import Fit
from tuneoff.config.base import Options
from tuneoff.errors import RunError
from tuneoff.system.atomic_write import write_atomically

PROBE_FILE, FIT_FILE, SPENT_FILE = "probe.json", "fit.json", "spent.json"


Stored = TypeVar("Stored", bound=Options)


class Spent(Options):
    """Seconds by the clock on the wall, of interrupted and failed attempts too."""

    seconds: float = 0.0  # of all processes: from reading the text to the last line of the page, and of a probe
    trials: Mapping[str, Mapping[Part, float]] = Field(default_factory=dict)  # by trial id


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What was predicted and what was spent; without a budget nothing is cut, and perhaps nothing was probed."""

    probe: Probe | None = None
    fit: Fit | None = None
    spent: Spent = field(default_factory=Spent)


def read_spending(run: Path) -> Spending:
    """What is kept of it in a run directory.

    Raises:
        RunError: a file is there, and cannot be read.
    """
    return Spending(
        probe=_read_options(Probe, run / PROBE_FILE),
        fit=_read_options(Fit, run / FIT_FILE),
        spent=_read_options(Spent, run / SPENT_FILE) or Spent(),
    )


def save_options(value: Options, file: Path) -> None:
    """Write one of these values."""
    write_atomically(file, value.model_dump_json(indent=2) + "\n")


def _read_options(kind: type[Stored], file: Path) -> Stored | None:
    try:
        return kind.model_validate_json(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        raise RunError(f"{file} cannot be read: {error}. Remove it; what it told is then not known.") from error
