"""CONTRIBUTING's figure of coverage, from what `make coverage` measured: `python -m scripts.coverage coverage.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scripts.readme import ROOT, replace_block
from tuneoff.system.environment import describe_environment

CONTRIBUTING = ROOT / "CONTRIBUTING.md"


def write_coverage(measured: Path) -> str:
    """The share of statements that the tests run, with the command, version and machine."""
    totals = json.loads(measured.read_text("utf-8"))["totals"]
    environment = describe_environment()
    machine = ", ".join([environment["processor"], *(environment["accelerators"] or ["no GPU"])])
    return (
        f"The tests run {totals['percent_covered']:.1f} % of the {totals['num_statements']:,} statements of "
        f"`src/tuneoff` (`make coverage`, tuneoff {environment['versions']['tuneoff']}, "
        f"Python {environment['python']}, {machine}; worker processes are not traced).\n"
    )


if __name__ == "__main__":
    text = CONTRIBUTING.read_text("utf-8")
    CONTRIBUTING.write_text(replace_block(text, "coverage", write_coverage(Path(sys.argv[1]))), "utf-8")
