"""A search that another version of the program made, from the records of its trials. Pure.

Its rules were others, so its trials do not fit a replay. Its choice stays valid: it was made by equal rules for all
methods, and confirmed on fresh seeds. Without this, a report of the run would drop the confirmed trials, and running
the recipe again would search anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.search.sampling import Values


@dataclass(frozen=True, kw_only=True)
class RecordedSearch:
    """The trials of a finished search, and what it chose."""

    trials: tuple[tuple[Values, tuple[Trial, ...]], ...]  # by configuration, each from the shortest training on
    chosen: Values


def find_recorded_search(
    recipe: Recipe, label: str, setting: Setting, known: Mapping[str, Record]
) -> RecordedSearch | None:
    """Return the search of a method, or None if its trials are not those of a finished search by other rules.

    A search by today's rules trains its best two under a second seed before anything is confirmed. So confirmed trials
    without such a training show that the rules were others.
    """
    assert recipe.search is not None, "the recipe has a search"
    own = [r.trial for r in known.values() if r.trial.label == label and r.trial.setting == setting]
    searched = [trial for trial in own if trial.stage == "search" and trial.choose_by == recipe.search.metric]
    confirmed = [trial for trial in own if trial.stage == "confirm"]
    if not searched or not confirmed or any(trial.seed == recipe.search.second_seed for trial in searched):
        return None
    names = list(recipe.get_space(label))
    by_configuration: dict[str, list[Trial]] = {}
    for trial in searched:
        by_configuration.setdefault(_get_key(names, trial), []).append(trial)
    (chosen, _), *_ = Counter(_get_key(names, trial) for trial in confirmed).most_common(1)
    if chosen not in by_configuration:
        return None
    return RecordedSearch(
        trials=tuple(
            (_get_values(names, trials[0]), tuple(sorted(trials, key=lambda trial: trial.rungs[-1])))
            for trials in by_configuration.values()
        ),
        chosen=_get_values(names, by_configuration[chosen][0]),
    )


def _get_values(names: Sequence[str], trial: Trial) -> dict[str, Any]:  # Any: the value of a hyperparameter
    return {name: trial.hyperparameters[name] for name in names}


def _get_key(names: Sequence[str], trial: Trial) -> str:
    return repr(_get_values(names, trial))
