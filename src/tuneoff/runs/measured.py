"""The measurements of a run, in a folder of their own with a checksum."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from tuneoff.records.measured import Measured
from tuneoff.runs.writing import write_with_checksums
from tuneoff.system.checksums import find_damaged_files

FOLDER, FILE = "measured", "measured.json"

_LOG = logging.getLogger(__name__)


def write_measured(run: Path, measured: Measured) -> Path:
    """Write the measurements in the place of earlier ones, and return the file."""
    (run / FOLDER).mkdir(exist_ok=True)
    write_with_checksums(run / FOLDER, {FILE: measured.model_dump_json(indent=2) + "\n"}, {})
    return run / FOLDER / FILE


def read_measured(run: Path) -> Measured | None:
    """Return the measurements of a run; None if there are none. Damaged ones are left out with a warning."""
    file = run / FOLDER / FILE
    if not file.exists():
        return None
    try:
        if find_damaged_files(run / FOLDER, required=(FILE,)):
            raise ValueError("it does not match its checksum")
        return Measured.model_validate_json(file.read_text("utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        _LOG.warning("%s is left out (%s). `tuneoff measure` writes it again.", file, str(error).splitlines()[0])
        return None
