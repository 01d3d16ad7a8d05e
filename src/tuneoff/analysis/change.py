"""The change of each method against the base model, by one score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tuneoff.analysis.family import compare_all
from tuneoff.analysis.statistics import Estimate, ScoreMatrix


@dataclass(frozen=True, kw_only=True)
class Change:
    """The score of a method minus the base model's."""

    difference: Estimate  # in the unit of the metric; simultaneous for all methods
    p: float  # of no difference, adjusted for all methods
    knows_seed_variance: bool  # False: the method was trained once, so how far another run would move is not known
    improves: bool  # whether the mean is better than the base model's

    @property
    def is_beyond_noise(self) -> bool:
        """Whether a change is shown."""
        return self.knows_seed_variance and not self.difference.low <= 0 <= self.difference.high


def compare_to_base(
    matrices: Mapping[str, ScoreMatrix], base: str | None, confidence: float, *, higher_is_better: bool = True
) -> dict[str, Change]:
    """Compare each method with the base model, paired over examples and, for methods, over seeds.

    Args:
        matrices: the scores by label, the base model's among them.
        base: the base model's label; None: there is none, and so no change.
    """
    labels, changes = list(matrices), {}
    for (i, j), paired in compare_all(list(matrices.values())).items() if base is not None else ():
        if base not in (labels[i], labels[j]):
            continue
        difference = paired.estimate(confidence)  # the first minus the second
        if labels[i] == base:
            difference = replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)
        changes[labels[j] if labels[i] == base else labels[i]] = Change(
            difference=difference,
            p=paired.compute_p(confidence),
            knows_seed_variance=paired.knows_seed_variance,
            improves=(difference.mean > 0) == higher_is_better,
        )
    return changes
