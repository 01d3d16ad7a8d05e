"""What a run was estimated to cost and what it has cost so far, in files next to its records.

RUN/probe.json  what a probe measured
RUN/fit.json    how the recipe was reduced to fit its budget
RUN/spent.json  seconds spent in all processes that worked on the run, in total and by trial
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from tuneoff.budget.probe import Part, Probe
from tuneoff.budget.shrink import Fit
from tuneoff.config.base import Options
from tuneoff.errors import RunError
from tuneoff.records.trial import Setting
from tuneoff.runs.layout import SET_ASIDE, TRIALS
from tuneoff.runs.reading import read_first_setting
from tuneoff.system.atomic_write import write_atomically

CHECKSUM = "sha256"  # the key of a file's checksum
PROBE_FILE, FIT_FILE, SPENT_FILE = "probe.json", "fit.json", "spent.json"

Stored = TypeVar("Stored", bound=Options)


class Spent(Options):
    """Wall-clock seconds, including those of interrupted and failed attempts."""

    seconds: float = 0.0  # of all processes, from reading the text to writing the report, and of a probe
    trials: Mapping[str, Mapping[Part, float]] = Field(default_factory=dict)  # by trial id
    phases: Mapping[str, float] = Field(default_factory=dict)  # of `seconds`, all of them, in the order they began


@dataclass(frozen=True, kw_only=True)
class Spending:
    """The estimate and the actual cost of a run. A run without a budget has no fit, and may have no probe."""

    probe: Probe | None = None
    fit: Fit | None = None
    spent: Spent = field(default_factory=Spent)


def read_spending(run: Path, setting: Setting | None = None) -> Spending:
    """Read the files of a run directory that exist.

    Args:
        setting: of the run; None: that of its first record.

    Raises:
        RunError: a file exists but cannot be read, or is that of a run with another setting.
    """
    probe, fit = _read_json(Probe, run / PROBE_FILE), _read_json(Fit, run / FIT_FILE)
    setting = setting or read_first_setting(run)
    for stored, name in ((probe, PROBE_FILE), (fit, FIT_FILE)):
        if setting and stored and stored.setting not in {None, setting.fingerprint}:
            raise RunError(f"{run / name} is that of a run with another setting. Remove it.")
    return Spending(probe=probe, fit=fit, spent=read_spent(run))


def read_spent(run: Path) -> Spent:
    """Read the seconds spent on a run, zero if there is no file.

    Raises:
        RunError: the file exists but cannot be read.
    """
    spent = _read_json(Spent, run / SPENT_FILE) or Spent()
    known = {entry.name.partition("-")[0] for name in (TRIALS, SET_ASIDE) for entry in (run / name).glob("*")}
    if known and spent.trials and not known & spent.trials.keys():
        raise RunError(f"{run / SPENT_FILE} counts no trial of this run, so it is that of another. Remove it.")
    return spent


def save_json(value: Options, file: Path) -> None:
    """Write a probe, a fit or the seconds spent to its file, with a checksum of the values."""
    values = value.model_dump(mode="json")
    write_atomically(file, json.dumps({**values, CHECKSUM: _hash(file.name, values)}, indent=2) + "\n")


def _read_json(kind: type[Stored], file: Path) -> Stored | None:
    try:
        values = json.loads(file.read_text("utf-8"))
        checksum = values.pop(CHECKSUM, None)  # missing in a file of version 0.1
        if checksum not in {None, _hash(file.name, values)}:
            raise ValueError("it does not match its checksum")
        return kind.model_validate(values)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise RunError(f"{file} cannot be read: {reason}. Remove it to continue without what it holds.") from error
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error}. Remove it to continue without what it holds.") from error


def _hash(name: str, values: Any) -> str:  # Any: JSON values
    """Hash the values of a file and its name, so that no file takes the place of another."""
    canonical = json.dumps([name, values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
