"""The judgements of a run: a line of `judgements.jsonl` for each question that was answered.

A line is written as soon as its reply comes, so that an interrupted run does not ask again. A line that a crash left
half written is skipped, and its question is asked again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from tuneoff.records.judgement import Judgement
from tuneoff.system.full_disk import explain_full_disk

FILE = "judgements.jsonl"


def read_judgements(run: Path) -> dict[str, Judgement]:
    """Return the judgements of a run by the key of the question."""
    try:
        lines = (run / FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    return {judgement.key: judgement for judgement in _parse(lines)}


def count_readable(lines: Sequence[bytes]) -> int:
    """Return how many lines are judgements."""
    return len(_parse(lines))


def _parse(lines: Iterable[bytes]) -> list[Judgement]:
    judgements = []
    for line in lines:
        with contextlib.suppress(ValidationError):
            judgements.append(Judgement.model_validate_json(line))
    return judgements


def append_judgements(run: Path, judgements: Iterable[Judgement]) -> int:
    """Write each judgement as it comes, and return how many there were. Call this with the run's lock held."""
    file, count = run / FILE, 0
    with explain_full_disk(file), file.open("a+", encoding="utf-8") as lines:
        if lines.tell() and not _ends_in_newline(file):
            lines.write("\n")
        for judgement in judgements:
            lines.write(judgement.model_dump_json() + "\n")
            lines.flush()
            count += 1
    return count


def _ends_in_newline(file: Path) -> bool:
    with file.open("rb") as content:
        content.seek(-1, 2)
        return content.read() == b"\n"
