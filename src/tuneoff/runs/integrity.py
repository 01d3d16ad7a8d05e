"""What in a run directory can't be trusted, and why."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tuneoff.errors import RunError
from tuneoff.evaluation.rouge import ROUGE_TYPES
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.runs.reading import (
    PREDICTIONS,
)


def leads_into(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links in a circle lead nowhere
        return False


def require_same_recipe(path: Path, there: Recipe, recipe: Recipe) -> None:
    """Methods and seeds may be added; note, verdict and budget may change; what the search does otherwise may not."""
    ours, theirs = recipe.to_dict(), there.to_dict()
    for whole in (ours, theirs):
        for name in ("note", "seeds", "verdict", "budget"):
            whole.pop(name)
        whole["spaces"] = (whole["search"] or {}).pop("spaces", {})
    differing = [name for name in ours if name not in {"methods", "spaces"} and ours[name] != theirs[name]]
    for part in ("methods", "spaces"):
        for label in there.methods.keys() & recipe.methods.keys():
            if ours[part].get(label) != theirs[part].get(label):
                differing.append(f"{'search.' if part == 'spaces' else ''}{part}.{label}")
    if differing:
        raise RunError(
            f"{path} was made by another recipe: {', '.join(sorted(differing))} differ. "
            "Give this comparison a directory of its own with --run, or remove that one."
        )


def _has_test_answers(record: Record) -> bool:
    return record.status == "done" and record.trial.stage == "confirm"


def find_unusable_answers(record: Record) -> str | None:
    """What a judgement takes for granted, and a record without sums may lack."""
    answers = record.predictions
    if not _has_test_answers(record):
        return None
    if not answers or len({p.row for p in answers}) < len(answers):
        return f"{PREDICTIONS} has no answers, or two to one example"
    for p in answers:
        possible = all(0 <= p.rouge.get(name, -1) <= 1 for name in ROUGE_TYPES)
        if p.target_tokens < 1 or not math.isfinite(p.loss) or not possible:
            return f"{PREDICTIONS} has a score that cannot be, in row {p.row}"
    return None


def find_unpaired(records: Mapping[str, Record]) -> list[str]:
    """The ids of records that cannot be paired with most others, answer by answer."""
    asked = {
        id: tuple(sorted((p.row, p.target_tokens) for p in record.predictions))
        for id, record in records.items()
        if _has_test_answers(record)
    }
    most = Counter(asked.values()).most_common(1)
    return [id for id, examples in asked.items() if examples != most[0][0]]
