"""What a search tried and what it chose, from a recipe and the records of the search trials. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.config.search_space import Space
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.metrics import METRICS
from tuneoff.records.record import Record
from tuneoff.search.halving import LEARNING_RATE, find_edge, get_validation_score
from tuneoff.search.replay import SearchState, replay_search


@dataclass(frozen=True, kw_only=True)
class Try:
    """One configuration and the scores of the rungs that it reached."""

    hyperparameters: Mapping[str, Any]  # all hyperparameters of the method
    values: Mapping[str, Any]  # of the hyperparameters that are searched
    scores: tuple[float | None, ...]  # the search's metric on validation at each rung; None: diverged or failed
    records: tuple[Record, ...]  # one for each rung
    widened: bool  # drawn beyond the declared range, after the learning-rate range was widened


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search of one method."""

    label: str
    space: Space  # as declared
    final_space: Space  # with the widened learning-rate range; equal to `space` unless the best was at an edge
    tries: tuple[Try, ...]  # in the order drawn
    chosen: Try | None  # None: the search is not finished, or no try got a score
    on_edge: str | None  # "low" or "high": no learning rate beyond the chosen one was tried
    tokens: int  # real tokens trained, over all tries
    train_seconds: float
    regret: float | None = None  # how much a better learning rate might still gain, by the metric; None: unknown


def build_searches(recipe: Recipe, records: Sequence[Record]) -> dict[str, Search]:
    """Return the search of every method that has hyperparameters to search, by label, finished or not."""
    known = {record.trial.id: record for record in records}
    setting = next((record.trial.setting for record in records), None)
    if recipe.search is None or setting is None:
        return {}
    labels = [label for label in recipe.methods if recipe.get_space(label)]
    return {
        label: _build_search(recipe, label, replay_search(recipe, label, setting, known), known) for label in labels
    }


def select_best(tries: Sequence[Try], rungs: int, *, lower_is_better: bool) -> Try | None:
    """Return the try with the best validation score among those that reached the last rung; None if none has one."""
    candidates = [(score, t) for t in tries if len(t.scores) == rungs and (score := t.scores[-1]) is not None]
    choose = min if lower_is_better else max
    return choose(candidates, key=lambda pair: pair[0])[1] if candidates else None


def _build_search(recipe: Recipe, label: str, state: SearchState, known: Mapping[str, Record]) -> Search:
    assert recipe.search is not None, "the recipe has a search"
    metric = recipe.search.metric
    tries = tuple(_list_tries(state, metric, known))
    rows = [row for t in tries for row in t.records[-1].curve]  # the curve of a rung starts with those below it
    lower_is_better = not METRICS[metric].higher_is_better
    chosen = select_best(tries, recipe.search.rungs, lower_is_better=lower_is_better) if state.finished else None
    return Search(
        label=label,
        space=recipe.get_space(label),
        final_space=state.final_space,
        tries=tries,
        chosen=chosen,
        on_edge=_find_edge_of_chosen(tries, chosen),
        tokens=sum(row.real_tokens for row in rows),
        train_seconds=sum(row.train_seconds for row in rows),
    )


def _list_tries(state: SearchState, metric: str, known: Mapping[str, Record]) -> list[Try]:
    """Return a try for each configuration that has a record."""
    tries = []
    for configuration in state.configurations:
        records = tuple(known[trial.id] for trial in configuration.trials if trial.id in known)
        if records:
            tries.append(
                Try(
                    hyperparameters=records[0].trial.hyperparameters,
                    values=configuration.values,
                    scores=tuple(get_validation_score(record, metric) for record in records),
                    records=records,
                    widened=configuration.widened,
                )
            )
    return tries


def _find_edge_of_chosen(tries: Sequence[Try], chosen: Try | None) -> str | None:
    """Return "low" or "high" if the chosen learning rate is the lowest or highest one tried; else None."""
    if chosen is None or LEARNING_RATE not in chosen.values:
        return None
    tried = [(t.values[LEARNING_RATE], 0.0 if t is chosen else 1.0) for t in tries]  # the chosen one counts as best
    return find_edge(tried, lower_is_better=True)
