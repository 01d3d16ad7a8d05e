"""Successive halving, as a pure function of the records that are there.

Every configuration of a method is trained to the first rung, the best of them go on to the next, and so on. All
methods climb the same rungs with the same number of tries, and so with the same tokens. Nothing here is remembered
between two calls: what was drawn, who goes on and what is missing follow from the recipe and the records.
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
from tuneoff.search.sampling import ADAPTIVE, Values, draw_configurations, suggest_configuration

LEARNING_RATE = "learning_rate"
DECADE = 10.0  # how far beyond its edge a range is widened
WIDENING_SHARE = 0.25  # of the configurations, drawn after the others have shown whether an edge is best


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One draw, and the trials that it went through, one for each rung."""

    values: Values
    widened: bool  # drawn beyond the declared range
    trials: tuple[Trial, ...]


@dataclass(frozen=True, kw_only=True)
class SearchState:
    """How far the search of one method has come."""

    configurations: tuple[Configuration, ...]
    configuration_count: int  # of configurations in the end
    final_space: Space  # the space with the range that was widened, or as it was
    finished: bool

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Everything to be run or run already, rung by rung."""
        every = [trial for c in self.configurations for trial in c.trials]
        return tuple(sorted(every, key=lambda trial: len(trial.rungs)))


def replay_search(recipe: Recipe, label: str, setting: Setting, known: Mapping[str, Record]) -> SearchState:
    """The search of one method as far as the known records, by trial id, determine it."""
    options = recipe.search
    assert options is not None, "a recipe without a search has nothing to climb"
    return _SearchReplay(recipe, options, label, setting, known).climb()


def get_validation_score(record: Record | None, metric: str) -> float | None:
    """A record's validation score; None where it failed or diverged, or is not there."""
    return record.scores.get(f"validation/{metric}") if record and record.status == "done" else None


def find_resumable(way: SearchState, options: SearchOptions, known: Mapping[str, Record]) -> set[str]:
    """The ids of the trials that may still go on to the next rung, and so need their checkpoints."""
    numbers = count_at_rungs(options, way.configuration_count)
    needed: set[str] = set()
    for rung in range(options.rungs - 1):
        there = [c.trials for c in way.configurations if len(c.trials) > rung and c.trials[rung].id in known]
        scored = [(s, t) for t in there if (s := get_validation_score(known[t[rung].id], options.metric)) is not None]
        scored.sort(key=lambda pair: pair[0], reverse=METRICS[options.metric].higher_is_better)
        best = [trials for _, trials in scored[: numbers[rung + 1]]]
        needed |= {t[rung].id for t in best if not (len(t) > rung + 1 and t[rung + 1].id in known)}
    return needed


def count_configurations(recipe: Recipe, label: str) -> int:
    """How many the search of a method tries: all that were asked for, unless its space holds fewer."""
    options, space = recipe.search, recipe.get_space(label)
    if options is None or not space:
        return 0
    return len(draw_configurations(space, options, options.configurations, options.seed))


def count_at_rungs(options: SearchOptions, configurations: int) -> tuple[int, ...]:
    """How many configurations reach each rung."""
    return tuple(math.ceil(configurations / options.eta**rung) for rung in range(options.rungs))


def find_edge(tried: Sequence[tuple[float, float | None]], *, lower_is_better: bool) -> str | None:
    """On which side no learning rate beyond the best one was tried: "low", "high", or None where both were.

    Args:
        tried: learning rates with their scores; a rate that diverged was tried, and bounds the best from above.
    """
    scored = [(score, rate) for rate, score in tried if score is not None]
    if len(tried) < 2 or not scored:
        return None
    _, best = min(scored) if lower_is_better else max(scored)
    rates = [rate for rate, _ in tried]
    return "low" if best == min(rates) else "high" if best == max(rates) else None


class _SearchReplay:
    """The steps of one climb, over what they all read."""

    def __init__(
        self, recipe: Recipe, options: SearchOptions, label: str, setting: Setting, known: Mapping[str, Record]
    ) -> None:
        self._recipe, self._options, self._label = recipe, options, label
        self._setting, self._known = setting, known
        self._space = recipe.get_space(label)
        self._lower = not METRICS[options.metric].higher_is_better
        self._adaptive = options.sampler in ADAPTIVE
        self._count = count_configurations(recipe, label)
        self._trials: dict[str, Trial] = {}  # hashing one is dear, and the same are asked for again and again

    def climb(self) -> SearchState:
        draws, widened = self._all_draws()
        reached = [list(range(len(draws)))]  # who is at each rung, by the order drawn
        complete = len(draws) == self._count and self._are_known(draws)
        for rung in range(1, self._options.rungs):
            if not complete:
                break
            reached.append(self._best(draws, reached[-1], rung))
            complete = all(self._is_known(draws[i].values, rung) for i in reached[-1])
        return SearchState(
            configurations=tuple(
                Configuration(
                    values=draw.values,
                    widened=draw.widened,
                    trials=tuple(self._trial(draw.values, rung) for rung, there in enumerate(reached) if i in there),
                )
                for i, draw in enumerate(draws)
            ),
            configuration_count=self._count,
            final_space=widened,
            finished=complete,
        )

    def _best(self, draws: Sequence[_Draw], there: Sequence[int], rung: int) -> list[int]:
        """Who goes on to a rung from the one below, in the order drawn; what came to no score never does."""
        scores = {i: self._score(draws[i].values, rung - 1) for i in there}
        scored = [(score, i) for i, score in scores.items() if score is not None]
        scored.sort(key=lambda pair: (pair[0] if self._lower else -pair[0], pair[1]))
        return sorted(i for _, i in scored[: count_at_rungs(self._options, self._count)[rung]])

    def _all_draws(self) -> tuple[list[_Draw], Space]:
        """What is drawn so far; and the space, with its learning-rate range widened if an edge of it was best."""
        kept = self._kept_for_widening()
        draws = self._drawn([], self._space, self._count - kept)
        if kept == 0 or len(draws) < self._count - kept or not self._are_known(draws):
            return draws, self._space
        side = find_edge(
            [(d.values[LEARNING_RATE], self._score(d.values, 0)) for d in draws], lower_is_better=self._lower
        )
        if side is None:
            return self._drawn(draws, self._space, kept), self._space
        rates = self._space[LEARNING_RATE]
        assert isinstance(rates, Range), "only a range has an edge"
        low, high = (rates.low / DECADE, rates.low) if side == "low" else (rates.high, rates.high * DECADE)
        whole = Range(low=min(rates.low, low), high=max(rates.high, high))
        beyond = {**self._space, LEARNING_RATE: Range(low=low, high=high)}
        return self._drawn(draws, beyond, kept, widened=True), {**self._space, LEARNING_RATE: whole}

    def _kept_for_widening(self) -> int:
        if not self._options.widen or not isinstance(self._space.get(LEARNING_RATE), Range) or self._count < 3:
            return 0
        return max(1, math.floor(WIDENING_SHARE * self._count))

    def _drawn(self, before: list[_Draw], space: Space, count: int, *, widened: bool = False) -> list[_Draw]:
        """`before` and up to `count` more; an adaptive sampler draws one at a time, when all others are known."""
        if not self._adaptive:
            seed, skipped = (self._options.seed + 1, 0) if widened else (self._options.seed, len(before))
            more = draw_configurations(space, self._options, skipped + count, seed)[skipped:]
            return [*before, *(_Draw(values=values, widened=widened) for values in more)]
        draws = list(before)
        spaces = [self._space] * len(before) + [space] * count
        while len(draws) < len(spaces) and self._are_known(draws):
            told = [(draw.values, self._score(draw.values, 0)) for draw in draws]
            values = suggest_configuration(spaces, self._options, told)
            if values in (seen := [draw.values for draw in draws]):  # a sampler may come back to what it knows
                fresh = draw_configurations(spaces[len(draws)], self._options, len(draws) + 1, self._options.seed)
                values = next((other for other in fresh if other not in seen), values)
            draws.append(_Draw(values=values, widened=widened))
        return draws

    def _are_known(self, draws: Sequence[_Draw]) -> bool:
        return all(self._is_known(draw.values, 0) for draw in draws)

    def _is_known(self, values: Values, rung: int) -> bool:
        return self._trial(values, rung).id in self._known

    def _score(self, values: Values, rung: int) -> float | None:
        return get_validation_score(self._known.get(self._trial(values, rung).id), self._options.metric)

    def _trial(self, values: Values, rung: int) -> Trial:
        key = f"{rung} {sorted(values.items(), key=lambda item: item[0])}"
        if key not in self._trials:
            self._trials[key] = self._made(values, rung)
        return self._trials[key]

    def _made(self, values: Values, rung: int) -> Trial:
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


@dataclass(frozen=True, kw_only=True)
class _Draw:
    values: Values
    widened: bool = False
