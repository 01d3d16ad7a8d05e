"""What a search tried and what it chose, from a recipe and the records of the search trials. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from tuneoff.config.search_space import Space
from tuneoff.metrics import Metric
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.search.course import Outcome, make_point
from tuneoff.search.halving import FINALISTS, LEARNING_RATE, get_validation_score
from tuneoff.search.next_rate import find_edge
from tuneoff.search.regret import Noise, estimate_noise, estimate_regret
from tuneoff.search.replay import Configuration, Replayer, SearchState
from tuneoff.search.sampling import Values


@dataclass(frozen=True, kw_only=True)
class Try:
    """One configuration and the scores of the trainings that it got."""

    hyperparameters: Mapping[str, Any]  # all hyperparameters of the method
    values: Mapping[str, Any]  # of the hyperparameters that are searched
    scores: tuple[float | None, ...]  # the search's metric on validation, by length; None: diverged or failed
    records: tuple[Record, ...]  # one for each score, under the search's seed
    widened: bool  # its learning rate is outside the declared range
    is_independent: bool  # drawn from the design whatever the scores
    second: Record | None = None  # the full training under the second seed

    @property
    def shares(self) -> tuple[float, ...]:
        """How long each training was, as a share of the full training."""
        return tuple(record.trial.rungs[-1] for record in self.records)

    @property
    def is_full(self) -> bool:
        """Whether it was trained to the last rung."""
        return self.shares[-1] == 1.0

    def get_final_score(self, metric: str) -> float | None:
        """Return the score of the longest training, and the mean over both seeds where there are two."""
        if self.scores[-1] is None or self.second is None:
            return self.scores[-1]
        second = get_validation_score(self.second, metric)
        return None if second is None else fmean([self.scores[-1], second])


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search of one method."""

    label: str
    space: Space  # as declared
    final_space: Space  # with the learning-rate range widened to the rates tried
    tries: tuple[Try, ...]  # in the order drawn
    finished: bool
    chosen: Try | None  # None: the search is not finished, or no try got a score
    on_edge: str | None  # "low" or "high": no learning rate beyond the chosen one was trained as long
    tokens: int  # real tokens trained, over all tries
    train_seconds: float
    score: float | None = None  # of the chosen try on validation: the mean over both seeds where there are two
    regret: float | None = None  # at most this much is left to gain by the rate, in the metric's unit; None: not known
    is_as_recorded: bool = False  # made by another version, whose choice is kept; its rules were others


def build_searches(recipe: Recipe, records: Sequence[Record]) -> dict[str, Search]:
    """Return the search of every method that has hyperparameters to search, by label, finished or not."""
    known = {record.trial.id: record for record in records}
    setting = next((record.trial.setting for record in records), None)
    if recipe.search is None or setting is None:
        return {}
    metric = recipe.metric_table[recipe.search.metric]
    replayer = Replayer(recipe, setting)
    searches = {label: _build_search(recipe, label, replayer.replay(label, known), known) for label in replayer.spaces}
    noise = _estimate_noise(searches.values(), metric)
    return {
        label: replace(search, regret=_estimate_regret(search, metric, noise)) for label, search in searches.items()
    }


def choose_values(recipe: Recipe, state: SearchState, known: Mapping[str, Record]) -> Values | None:
    """Return the configuration that a search chose; None if it is not finished, or no try got a score."""
    assert recipe.search is not None, "the recipe has a search"
    metric = recipe.metric_table[recipe.search.metric]
    if state.recorded_choice is not None or not state.finished:
        return state.recorded_choice
    best = select_best(_list_tries(state.configurations, metric.name, known), metric)
    return best.values if best else None


def select_best(tries: Sequence[Try], metric: Metric) -> Try | None:
    """Return the best of the tries that were trained to the end; None if none of them has a score.

    If some were trained under a second seed, the choice is between those, by the mean over both. One that diverged
    under the second seed is only chosen if all of them did.
    """
    direction = -1 if metric.higher_is_better else 1
    full = [t for t in tries if t.is_full and t.scores[-1] is not None]
    finalists = [t for t in full if t.second is not None]
    confirmed = [(direction * s, t) for t in finalists if (s := t.get_final_score(metric.name)) is not None]
    first_seed = [(direction * s, t) for t in finalists or full if (s := t.scores[-1]) is not None]
    candidates = confirmed or first_seed
    return min(candidates, key=lambda pair: pair[0])[1] if candidates else None


def _build_search(recipe: Recipe, label: str, state: SearchState, known: Mapping[str, Record]) -> Search:
    assert recipe.search is not None, "the recipe has a search"
    metric = recipe.metric_table[recipe.search.metric]
    tries = _list_tries(state.configurations, metric.name, known)
    values = choose_values(recipe, state, known)
    chosen = None if values is None else next(t for t in tries if t.values == values)
    rows = [row for t in tries for record in _list_ends(t) for row in record.curve]
    return Search(
        label=label,
        space=recipe.get_space(label),
        final_space=state.final_space,
        tries=tries,
        finished=state.finished,
        chosen=chosen,
        on_edge=_find_edge_of_chosen(state, chosen),
        tokens=sum(row.real_tokens for row in rows),
        train_seconds=sum(row.train_seconds for row in rows),
        score=chosen.get_final_score(metric.name) if chosen else None,
        is_as_recorded=state.recorded_choice is not None,
    )


def _list_tries(configurations: Sequence[Configuration], metric: str, known: Mapping[str, Record]) -> tuple[Try, ...]:
    """Return a try for each configuration that has a record."""
    tries = []
    for configuration in configurations:
        records = tuple(known[trial.id] for trial in configuration.trials if trial.id in known)
        second = configuration.second_seed
        if records:
            tries.append(
                Try(
                    hyperparameters=records[0].trial.hyperparameters,
                    values=configuration.values,
                    scores=tuple(get_validation_score(record, metric) for record in records),
                    records=records,
                    widened=configuration.widened,
                    is_independent=configuration.is_independent,
                    second=known.get(second.id) if second else None,
                )
            )
    return tuple(tries)


def _list_ends(t: Try) -> list[Record]:
    """Return the records whose curves together hold each training step of the try once.

    The curve of a rung starts with those of the rungs below it. A training straight to the last rung has its own.
    """
    continued = {record.trial.rungs[:-1] for record in t.records}
    ends = [record for record in t.records if record.trial.rungs not in continued]
    return [*ends, t.second] if t.second else ends


def _find_edge_of_chosen(state: SearchState, chosen: Try | None) -> str | None:
    """Return "low" or "high" if no learning rate beyond the chosen one was trained as long; else None."""
    if chosen is None or LEARNING_RATE not in chosen.values:
        return None
    return find_edge(state.comparable, make_point(chosen.values, Outcome(loss=None)).log_rate)


def _estimate_noise(searches: Iterable[Search], metric: Metric) -> Noise | None:
    """Estimate the noise of a score from the searches whose best two were both trained under two seeds."""
    pairs = [pairs for search in searches if len(pairs := _list_score_pairs(search.tries, metric)) == FINALISTS]
    return estimate_noise([(a, b) for a, b in pairs])


def _list_score_pairs(tries: Sequence[Try], metric: Metric) -> list[tuple[float, float]]:
    """Return the scores under the first and the second seed of the tries that have both."""
    scores = [(t.scores[-1], get_validation_score(t.second, metric.name)) for t in tries if t.second]
    return [(first, second) for first, second in scores if first is not None and second is not None]


def _estimate_regret(search: Search, metric: Metric, noise: Noise | None) -> float | None:
    """Return the regret of a search in the unit of its metric; None if it is not known."""
    chosen = search.chosen
    if noise is None or chosen is None or search.is_as_recorded or LEARNING_RATE not in search.space:
        return None
    pairs = _list_score_pairs(search.tries, metric)
    shift = fmean(second - first for first, second in pairs) if pairs else 0.0
    points = {
        id(t): make_point(t.values, Outcome(loss=_compute_loss(t, shift, metric)))
        for t in search.tries
        if t.is_full or t.scores[-1] is None
    }
    regret = estimate_regret(list(points.values()), points[id(chosen)], noise)
    return None if regret is None else metric.scale * regret


def _compute_loss(t: Try, shift: float, metric: Metric) -> float | None:
    """Return the score as a loss, averaged with that under the second seed less what the second seed shifts all by."""
    score, second = t.scores[-1], get_validation_score(t.second, metric.name)
    if score is not None and second is not None:
        score = fmean([score, second - shift])
    return -score if score is not None and metric.higher_is_better else score
