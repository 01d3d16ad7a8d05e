"""Replay a search from its records: which configurations were drawn, which continue, and which trials are missing.

Nothing is remembered between two calls. The state follows from the recipe and the records alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range, Space
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.metrics import METRICS
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.search.halving import (
    LEARNING_RATE,
    count_at_rungs,
    count_configurations,
    find_edge,
    get_validation_score,
)
from tuneoff.search.sampling import ADAPTIVE, Values, draw_configurations, suggest_configuration

WIDENING_FACTOR = 10.0  # how far a range is extended beyond its edge
WIDENING_SHARE = 0.25  # of the configurations, held back until the others show whether the best is at an edge


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A configuration that was drawn, and its trials, one for each rung it reached."""

    values: Values
    widened: bool  # drawn beyond the declared range
    trials: tuple[Trial, ...]


@dataclass(frozen=True, kw_only=True)
class SearchState:
    """The state of the search of one method."""

    configurations: tuple[Configuration, ...]  # drawn so far
    configuration_count: int  # when the search is finished
    final_space: Space  # with the widened learning-rate range, if it was widened
    finished: bool

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, with or without a record, rung by rung."""
        trials = [trial for configuration in self.configurations for trial in configuration.trials]
        return tuple(sorted(trials, key=lambda trial: len(trial.rungs)))


def replay_search(recipe: Recipe, label: str, setting: Setting, known: Mapping[str, Record]) -> SearchState:
    """Return the state of one method's search.

    Args:
        known: the records that exist, by trial id.
    """
    options = recipe.search
    assert options is not None, "the recipe has a search"
    return _SearchReplay(recipe, options, label, setting, known).replay()


def find_resumable(search: SearchState, options: SearchOptions, known: Mapping[str, Record]) -> set[str]:
    """Return the ids of the trials that may still continue to the next rung, and so need their checkpoints."""
    counts = count_at_rungs(options, search.configuration_count)
    resumable: set[str] = set()
    for rung in range(options.rungs - 1):
        trained = [c.trials for c in search.configurations if len(c.trials) > rung and c.trials[rung].id in known]
        scored = [
            (score, trials)
            for trials in trained
            if (score := get_validation_score(known[trials[rung].id], options.metric)) is not None
        ]
        scored.sort(key=lambda pair: pair[0], reverse=METRICS[options.metric].higher_is_better)
        for _, trials in scored[: counts[rung + 1]]:
            has_continued = len(trials) > rung + 1 and trials[rung + 1].id in known
            if not has_continued:
                resumable.add(trials[rung].id)
    return resumable


@dataclass(frozen=True, kw_only=True)
class _Draw:
    values: Values
    widened: bool = False


class _SearchReplay:
    """Computes the state of one search; an object for what every step of it reads."""

    def __init__(
        self, recipe: Recipe, options: SearchOptions, label: str, setting: Setting, known: Mapping[str, Record]
    ) -> None:
        self._recipe, self._options, self._label = recipe, options, label
        self._setting, self._known = setting, known
        self._space = recipe.get_space(label)
        self._lower_is_better = not METRICS[options.metric].higher_is_better
        self._is_adaptive = options.sampler in ADAPTIVE
        self._count = count_configurations(recipe, label)
        self._trials: dict[str, Trial] = {}  # a trial's id is slow to compute, and each trial is looked up many times

    def replay(self) -> SearchState:
        draws, final_space = self._draw_all()
        members = [list(range(len(draws)))]  # for each rung, the indices of the draws that are trained to it
        is_complete = len(draws) == self._count and self._are_known(draws)
        for rung in range(1, self._options.rungs):
            if not is_complete:
                break
            members.append(self._select_best(draws, members[-1], rung))
            is_complete = all(self._is_known(draws[i].values, rung) for i in members[-1])
        return SearchState(
            configurations=tuple(
                Configuration(
                    values=draw.values,
                    widened=draw.widened,
                    trials=tuple(
                        self._get_trial(draw.values, rung) for rung, indices in enumerate(members) if i in indices
                    ),
                )
                for i, draw in enumerate(draws)
            ),
            configuration_count=self._count,
            final_space=final_space,
            finished=is_complete,
        )

    def _select_best(self, draws: Sequence[_Draw], members: Sequence[int], rung: int) -> list[int]:
        """Return the members of the rung below that continue to this one, in the order drawn. All have a score."""
        scores = {i: self._get_score(draws[i].values, rung - 1) for i in members}
        scored = [(score, i) for i, score in scores.items() if score is not None]
        scored.sort(key=lambda pair: (pair[0] if self._lower_is_better else -pair[0], pair[1]))
        return sorted(i for _, i in scored[: count_at_rungs(self._options, self._count)[rung]])

    def _draw_all(self) -> tuple[list[_Draw], Space]:
        """Return the draws so far, and the space, whose learning-rate range is widened if the best is at its edge."""
        held_back = self._count_held_back()
        draws = self._extend([], self._space, self._count - held_back)
        if held_back == 0 or len(draws) < self._count - held_back or not self._are_known(draws):
            return draws, self._space
        tried = [(draw.values[LEARNING_RATE], self._get_score(draw.values, 0)) for draw in draws]
        edge = find_edge(tried, lower_is_better=self._lower_is_better)
        if edge is None:
            return self._extend(draws, self._space, held_back), self._space
        rates = self._space[LEARNING_RATE]
        assert isinstance(rates, Range), "a search only holds back configurations for a range"
        beyond = (
            Range(low=rates.low / WIDENING_FACTOR, high=rates.low)
            if edge == "low"
            else Range(low=rates.high, high=rates.high * WIDENING_FACTOR)
        )
        widened = Range(low=min(rates.low, beyond.low), high=max(rates.high, beyond.high))
        draws = self._extend(draws, {**self._space, LEARNING_RATE: beyond}, held_back, widened=True)
        return draws, {**self._space, LEARNING_RATE: widened}

    def _count_held_back(self) -> int:
        """Return how many configurations are drawn after the others, in case the range is widened."""
        if not self._options.widen or not isinstance(self._space.get(LEARNING_RATE), Range) or self._count < 3:
            return 0
        return max(1, math.floor(WIDENING_SHARE * self._count))

    def _extend(self, draws: list[_Draw], space: Space, count: int, *, widened: bool = False) -> list[_Draw]:
        """Return the draws and up to `count` more. An adaptive sampler draws one when all others have records."""
        if not self._is_adaptive:
            seed, skipped = (self._options.seed + 1, 0) if widened else (self._options.seed, len(draws))
            more = draw_configurations(space, self._options, skipped + count, seed)[skipped:]
            return [*draws, *(_Draw(values=values, widened=widened) for values in more)]
        extended = list(draws)
        spaces = [self._space] * len(draws) + [space] * count
        while len(extended) < len(spaces) and self._are_known(extended):
            extended.append(_Draw(values=self._suggest(extended, spaces), widened=widened))
        return extended

    def _suggest(self, draws: Sequence[_Draw], spaces: Sequence[Space]) -> Values:
        """Return the next configuration of an adaptive sampler; a random one if it suggests one that was drawn."""
        history = [(draw.values, self._get_score(draw.values, 0)) for draw in draws]
        suggestion = suggest_configuration(spaces, self._options, history)
        drawn = [draw.values for draw in draws]
        if suggestion not in drawn:
            return suggestion
        others = draw_configurations(spaces[len(draws)], self._options, len(draws) + 1, self._options.seed)
        return next((values for values in others if values not in drawn), suggestion)

    def _are_known(self, draws: Sequence[_Draw]) -> bool:
        return all(self._is_known(draw.values, 0) for draw in draws)

    def _is_known(self, values: Values, rung: int) -> bool:
        return self._get_trial(values, rung).id in self._known

    def _get_score(self, values: Values, rung: int) -> float | None:
        return get_validation_score(self._known.get(self._get_trial(values, rung).id), self._options.metric)

    def _get_trial(self, values: Values, rung: int) -> Trial:
        key = f"{rung} {sorted(values.items(), key=lambda item: item[0])}"
        if key not in self._trials:
            self._trials[key] = self._make_trial(values, rung)
        return self._trials[key]

    def _make_trial(self, values: Values, rung: int) -> Trial:
        method = self._recipe.configure(self._label, values)
        return Trial(
            label=self._label,
            method=method.name,
            hyperparameters=method.model_dump(mode="json"),
            setting=self._setting,
            seed=self._options.seed,
            stage="search",
            rungs=self._options.shares[: rung + 1],
            choose_by=self._options.metric,
        )
