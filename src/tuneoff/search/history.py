"""What a search tried and what it chose: pure, from a recipe and the records of its search trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.config.search_space import Space
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.metrics import METRICS
from tuneoff.records.record import Record
from tuneoff.search.halving import LEARNING_RATE, SearchState, find_edge, get_validation_score, replay_search


@dataclass(frozen=True, kw_only=True)
class Try:
    """One configuration, as far as it was trained."""

    hyperparameters: Mapping[str, Any]  # all of the method's
    values: Mapping[str, Any]  # of the knobs that are searched
    scores: tuple[float | None, ...]  # of the search's metric on validation, at each rung it reached; None: diverged
    records: tuple[Record, ...]  # one for each rung it reached
    widened: bool  # drawn after the learning-rate range was widened, and not from the declared space


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search of one method."""

    label: str
    space: Space  # as declared
    final_space: Space  # as it was in the end; equal to `space` unless an edge was best
    tries: tuple[Try, ...]  # in the order drawn
    chosen: Try | None  # None: not finished, or nothing came to a score
    on_edge: str | None  # "low" or "high": no learning rate beyond the chosen one was tried
    tokens: int  # real tokens trained, over all tries
    train_seconds: float


def build_searches(recipe: Recipe, records: Sequence[Record]) -> dict[str, Search]:
    """The search of every method that has something to vary, as far as it came; none without a search."""
    known = {record.trial.id: record for record in records}
    setting = next((record.trial.setting for record in records), None)
    if recipe.search is None or setting is None:
        return {}
    labels = [label for label in recipe.methods if recipe.get_space(label)]
    return {
        label: _build_search(recipe, label, replay_search(recipe, label, setting, known), known) for label in labels
    }


def _build_search(recipe: Recipe, label: str, way: SearchState, known: Mapping[str, Record]) -> Search:
    assert recipe.search is not None, "asked only where there is a search"
    metric = recipe.search.metric
    tries = []
    for configuration in way.configurations:
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
    rows = [row for t in tries for row in t.records[-1].curve]  # a later rung's curve begins with the earlier ones'
    lower_is_better = not METRICS[metric].higher_is_better
    chosen = select_best(tries, recipe.search.rungs, lower_is_better=lower_is_better) if way.finished else None
    return Search(
        label=label,
        space=recipe.get_space(label),
        final_space=way.final_space,
        tries=tuple(tries),
        chosen=chosen,
        on_edge=_find_edge(tries, chosen),
        tokens=sum(row.real_tokens for row in rows),
        train_seconds=sum(row.train_seconds for row in rows),
    )


def select_best(tries: Sequence[Try], rungs: int, *, lower_is_better: bool) -> Try | None:
    """The try with the best validation score of those that reached the last rung."""
    there = [(score, t) for t in tries if len(t.scores) == rungs and (score := t.scores[-1]) is not None]
    choose = min if lower_is_better else max
    return choose(there, key=lambda pair: pair[0])[1] if there else None


def _find_edge(tries: Sequence[Try], chosen: Try | None) -> str | None:
    """Whether no rate beyond the chosen one was tried."""
    if chosen is None or LEARNING_RATE not in chosen.values:
        return None
    return find_edge([(t.values[LEARNING_RATE], 0.0 if t is chosen else 1.0) for t in tries], lower_is_better=True)
