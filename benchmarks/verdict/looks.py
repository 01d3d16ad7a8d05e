"""All looks at simulated scores, as a comparison takes them that runs until it is decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuneoff.analysis.error_spending import FIRST_LOOK
from tuneoff.analysis.looks import Look, Rules, take_look
from tuneoff.analysis.statistics import ScoreMatrix


def take_looks(matrices: Mapping[str, ScoreMatrix], seed_ids: Sequence[int], rules: Rules) -> tuple[Look, ...]:
    """Look after every seed from the second one on, until the comparison is decided or the seeds end.

    Args:
        matrices: the scores of each method that has any, by label.
        seed_ids: in the order in which the methods are trained with them.
    """
    looks: list[Look] = []
    remaining = list(matrices)
    for count in range(FIRST_LOOK, len(seed_ids) + 1):
        scores = {label: matrices[label].select_seeds(seed_ids[:count]) for label in remaining}
        looks.append(take_look(scores, count, rules))
        if looks[-1].is_decided:
            break
        remaining = [label for label in remaining if label not in looks[-1].dropped]
    return tuple(looks)
