"""What a metric is: how it scores one example, and how the scores of a split become one number.

A metric of the generated text is computed from answers alone. What a record stores of each example is enough for an
answer, so such a metric also scores runs that were made before it existed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

from tuneoff.config.verdict import VerdictOptions
from tuneoff.records.record import Prediction

Needs = Literal["loss", "text", "judge"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a model wrote for one example, and what counts as right."""

    prediction: str
    references: tuple[str, ...]  # every accepted answer; the first is the one that was trained on
    source: str = ""
    row: Mapping[str, Any] = field(default_factory=dict)  # the columns of the data; empty where only a record is known


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """The scores of a split by one metric, example by example. The split's score is the sum of `values` divided by the
    sum of `weights`."""

    values: Sequence[float]
    weights: Sequence[float] | None = None  # None: every example counts as 1


@dataclass(frozen=True, kw_only=True)
class TypicalNoise:
    """How much scores varied in a comparison that was made, as standard deviations in the unit of the metric."""

    seed_sd: float  # of a method's score between runs
    example_sd: float  # over test examples, of the difference between two trained methods' scores
    base_sd: float  # over test examples, of the base model's scores


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A score on a split: the sum of the examples' values divided by the sum of their weights, times `scale`.

    A score and its interval are in `bounds` times `scale`. So is the value of an example, unless it depends on the
    other answers. Values must be finite, and weights above zero.
    """

    name: str  # as in a recipe, in `Record.scores` and in CSV
    title: str
    unit: str
    meaning: str  # one sentence, shown with the column
    higher_is_better: bool
    needs: Needs  # "loss": no text is generated for it; "judge": a judge scores the text, after all trials
    decimals: int  # when shown, in `unit`
    margin: Callable[[VerdictOptions], float]  # the smallest difference that matters, unless the recipe names another
    score: Callable[[Sequence[Answer]], Scores] | None = None  # of all examples of a split; None: not from answers
    combine: Callable[[Sequence[float]], float] = fmean  # of the values of an example's samples, if it has several
    scale: float = 1.0  # from the value in a record to `unit`
    bounds: tuple[float, float] = (-math.inf, math.inf)
    is_all_or_nothing: bool = False  # whether it counts examples that are right or wrong
    is_tried: bool = False  # whether it reads what a user names, and is tried before anything is trained
    depends_on_split: bool = False  # whether the value of an example depends on the answers to others
    reads_as: Callable[[str], Hashable] | None = None  # two references of equal value are the same to the metric
    noise: TypicalNoise | None = None  # what `tuneoff plan` assumes where nothing is measured; None: not known

    @property
    def needs_generation(self) -> bool:
        """Whether text must be generated for it."""
        return self.needs != "loss"

    def get_margin(self, options: VerdictOptions) -> float:
        """The smallest difference that matters in practice, in `unit`."""
        return options.margins.get(self.name, self.margin(options))

    def has_score(self, prediction: Prediction) -> bool:
        """Return whether an example counts: all do, unless a judge was asked about some of them alone."""
        return self.needs != "judge" or self.name in prediction.scores

    def value(self, prediction: Prediction) -> float:
        """The value of one example, as its record stores it."""
        return prediction.loss if self.needs == "loss" else prediction.scores[self.name]

    def weight(self, prediction: Prediction) -> float:
        """The weight of one example, as its record stores it."""
        return prediction.target_tokens if self.needs == "loss" else prediction.weights.get(self.name, 1.0)

    def compute_mean(self, predictions: Sequence[Prediction]) -> float:
        """The score of a split as `Record.scores` stores it, which is before `scale`."""
        return sum(map(self.value, predictions)) / sum(map(self.weight, predictions))

    def can_score(self, prediction: Prediction) -> bool:
        """Return whether the stored prediction has a possible value and a positive weight."""
        if self.needs != "loss" and self.name not in prediction.scores:
            return False
        return self.is_possible(self.value(prediction), self.weight(prediction))

    def is_possible(self, value: float, weight: float) -> bool:
        """Return whether an example can have this value and weight."""
        low, high = (-math.inf, math.inf) if self.depends_on_split else self.bounds
        return math.isfinite(value) and low <= value <= high and math.isfinite(weight) and weight > 0
