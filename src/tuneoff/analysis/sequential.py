"""A comparison that runs until it is decided: what its looks decided so far, and which seeds it needs next.

All of it follows from the recipe and the records, so that an interrupted run goes on as if it had not been interrupted,
and a report can be written again at any time.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuneoff.analysis.error_spending import FIRST_LOOK
from tuneoff.analysis.family import PairedDifference
from tuneoff.analysis.looks import Look, Rules, compare_at_look, take_look
from tuneoff.analysis.pairs import Pair, build_pair, find_regrets
from tuneoff.analysis.partial import Partial, find_missing, list_confirmable
from tuneoff.analysis.row import Row, build_score_matrix
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.metrics import Metric
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.search.history import build_searches


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The looks of a comparison so far. One round is a further seed for every method that is still compared."""

    looks: tuple[Look, ...]
    remaining: tuple[str, ...]  # methods that are still compared, in the recipe's order
    seeds: tuple[int, ...]  # of the recipe, in the order of the rounds
    next_seeds: tuple[int, ...]  # that every remaining method needs for the next look; empty: there is none

    @property
    def is_decided(self) -> bool:
        """Whether one method is left, or all that are left are equal within the margin."""
        return bool(self.looks) and self.looks[-1].is_decided

    @property
    def dropped(self) -> Mapping[str, Look]:
        """The look at which each method was dropped, by label; the first one first."""
        return {label: look for look in self.looks for label in look.dropped}

    def list_judged_records(self, recipe: Recipe, records: Sequence[Record]) -> list[list[Record]]:
        """The confirmed trials that each look compared, whatever their outcome."""
        confirmed = [record for record in records if record.trial.stage == "confirm"]
        return [
            [
                record
                for record in confirmed
                if not recipe.methods[record.trial.label].depends_on_seed
                or record.trial.seed in self.get_judged_seeds(record.trial.label)[: look.seeds]
            ]
            for look in self.looks
        ]

    def get_judged_seeds(self, label: str) -> tuple[int, ...]:
        """The seeds of a method that count: those up to the last look that it was part of."""
        look = self.dropped.get(label, self.looks[-1] if self.looks else None)
        return self.seeds[: look.seeds] if look else ()


def replay_rounds(recipe: Recipe, records: Sequence[Record]) -> Rounds:
    """Take all looks that the records allow.

    Args:
        recipe: with `until_decided`.
    """
    by_label = {
        label: [r for r in records if r.trial.stage == "confirm" and r.trial.label == label] for label in recipe.methods
    }
    known = {label: {record.trial.seed for record in of_label} for label, of_label in by_label.items()}
    remaining = list_confirmable(recipe, records)
    rules = build_rules(recipe, records)
    matrices = {label: _build_matrix(by_label[label], rules.metric) for label in remaining}
    looks: list[Look] = []
    next_seeds: tuple[int, ...] = ()
    for count in range(FIRST_LOOK, len(recipe.seeds) + 1):
        seeds = recipe.seeds[:count]
        if any(not _list_needed(recipe, label, seeds) <= known[label] for label in remaining):
            next_seeds = seeds
            break
        looks.append(take_look({label: matrices[label].select_seeds(seeds) for label in remaining}, count, rules))
        remaining = [label for label in remaining if label not in looks[-1].dropped]
        if looks[-1].is_decided:
            break
    return Rounds(looks=tuple(looks), remaining=tuple(remaining), seeds=recipe.seeds, next_seeds=next_seeds)


def build_rules(recipe: Recipe, records: Sequence[Record]) -> Rules:
    """Return what decides at every look of a recipe with `until_decided`."""
    assert recipe.until_decided is not None, "only such a comparison has looks"
    metric = recipe.primary_metric
    return Rules(
        metric=metric,
        margin=metric.get_margin(recipe.verdict),
        confidence=recipe.verdict.confidence,
        planned=recipe.until_decided,
        methods=len(recipe.methods),
        regrets=find_regrets(recipe, build_searches(recipe, records), metric),
    )


def find_missing_rounds(recipe: Recipe, records: Sequence[Record], rounds: Rounds) -> Partial | None:
    """Return what is missing until the comparison is decided; None if nothing is or no seed is left."""
    if not rounds.looks:
        return find_missing(recipe, records)
    if not rounds.next_seeds:
        return None
    seeds_by_label = {
        label: {r.trial.seed for r in records if r.trial.stage == "confirm" and r.trial.label == label}
        for label in recipe.methods
    }
    judged = rounds.seeds[: rounds.looks[-1].seeds]
    further = {
        label: len(seeds_by_label[label] - set(judged))
        for label in rounds.remaining
        if recipe.methods[label].depends_on_seed
    }
    return Partial(
        untried=tuple(label for label in rounds.remaining if not seeds_by_label[label]),
        seeds=judged,
        planned=rounds.seeds,
        waiting={label: count for label, count in further.items() if count},
    )


def is_judged(rounds: Rounds, recipe: Recipe, record: Record) -> bool:
    """Whether a confirmed trial was part of a look."""
    label = record.trial.label
    return not recipe.methods[label].depends_on_seed or record.trial.seed in rounds.get_judged_seeds(label)


def _list_needed(recipe: Recipe, label: str, seeds: Sequence[int]) -> set[int]:
    """The seeds that a method must have been trained with before the look after `seeds`."""
    return set(seeds) if recipe.methods[label].depends_on_seed else set(recipe.get_seeds(label))


def _build_matrix(records: Sequence[Record], metric: Metric) -> ScoreMatrix:
    """The scores of the finished trials of one method; without rows if there are none."""
    finished = [record for record in records if record.status == "done"]
    return build_score_matrix(finished, metric) if finished else ScoreMatrix(np.zeros((0, 1)), np.ones(1))


def compare_over_looks(
    metric: Metric, rows: Sequence[Row], rounds: Rounds, recipe: Recipe, regrets: Mapping[str, float]
) -> tuple[Pair, ...]:
    """Compare every two of the rows at the last look that decided them, and else at the last look with both.

    A difference that one look shows stays shown, because all looks together have the stated confidence. A method that
    does not depend on the seed needs no further one, so it is part of every look.

    Args:
        rows: ranked by the metric, best first.
    """
    matrices = {row.label: row.matrices[metric.name] for row in rows}
    by_look = [_compare_at(look, matrices, rows, rounds, recipe) for look in rounds.looks]
    return tuple(
        _choose_pair([differences[key] for differences in by_look if key in differences], metric, pair, recipe, regrets)
        for pair in itertools.combinations(rows, 2)
        if (key := (pair[0].label, pair[1].label))
    )


def _compare_at(
    look: Look, matrices: Mapping[str, ScoreMatrix], rows: Sequence[Row], rounds: Rounds, recipe: Recipe
) -> dict[tuple[str, str], PairedDifference]:
    """The differences at one look, by labels."""
    seeds = rounds.seeds[: look.seeds]
    present = [
        row.label for row in rows if not row.depends_on_seed or look.seeds <= len(rounds.get_judged_seeds(row.label))
    ]
    scores = {label: matrices[label].select_seeds(seeds) for label in present}
    labels = [label for label in present if scores[label].seeds]
    differences = compare_at_look([scores[label] for label in labels], len(recipe.methods), look.confidence)
    return {(labels[i], labels[j]): difference for (i, j), difference in differences.items()}


def _choose_pair(
    differences: Sequence[PairedDifference],
    metric: Metric,
    rows: tuple[Row, Row],
    recipe: Recipe,
    regrets: Mapping[str, float],
) -> Pair:
    """Build the pair from the last look that decided it."""
    pairs = (build_pair(metric, *rows, paired, recipe.verdict, regrets) for paired in reversed(differences))
    latest = next(pairs)
    return latest if latest.decision != "open" else next((pair for pair in pairs if pair.decision != "open"), latest)
