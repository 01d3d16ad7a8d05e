"""Two comparisons beside each other: what each concludes, and what differs between their recipes.

Their scores stand side by side, and are never ranked together where the settings are unequal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.records.metrics import ROUGE_L
from tuneoff.records.trial import Setting
from tuneoff.report.format import format_interval, format_rate, format_score, join_list
from tuneoff.report.hyperparameters import format_hyperparameters, format_value
from tuneoff.report.sentences import describe_verdict

NOTHING = "–"
SEARCHED = "searched"
OF_THE_RECIPE = frozenset({"model", "data", "training", "evaluation"})  # parts of a setting that a recipe writes


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One method's place in one ranking."""

    place: int
    label: str
    score: str
    interval: str
    rate: str  # its learning rate; empty for what trains nothing
    moved: int  # places up from the other ranking, among the methods that stand in both; shown on this side alone


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What one comparison concludes."""

    name: str
    headline: str
    standings: tuple[Standing, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One place in the recipe, or in what it was run with, where the two differ."""

    place: str
    there: str
    here: str


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """The other comparison and this one."""

    there: Conclusion
    here: Conclusion
    moved: str  # whose rank changed, in a sentence
    unequal: str  # what of the setting is unequal, in a sentence
    differing: tuple[Difference, ...]


def compare_runs(here: Comparison, there: Comparison) -> SideBySide:
    """This comparison's conclusions beside those of another."""
    places_here, places_there = find_common_places(here, there)
    moved = {label: places_there[label] - place for label, place in places_here.items()}
    sentences = [
        f"{label} goes from place {places_there[label]} to {places_here[label]}" for label, by in moved.items() if by
    ]
    return SideBySide(
        there=_conclusion(there, {}),
        here=_conclusion(here, moved),
        moved="; ".join(sentences) or "Every method that both rank has the same place in both",
        unequal=_unequal(here, there),
        differing=(*_differing(_written(there), _written(here)), *_circumstances(here, there)),
    )


def find_common_places(here: Comparison, there: Comparison) -> tuple[dict[str, int], dict[str, int]]:
    """The place of each method in either ranking by ROUGE-L, counted among the methods that stand in both."""
    ranked_here, ranked_there = ([row.label for row in c.rank(ROUGE_L)] for c in (here, there))
    return _places(ranked_here, ranked_there), _places(ranked_there, ranked_here)


def _places(labels: Sequence[str], others: Sequence[str]) -> dict[str, int]:
    return {label: place for place, label in enumerate((label for label in labels if label in others), start=1)}


def _conclusion(comparison: Comparison, moved: Mapping[str, int]) -> Conclusion:
    return Conclusion(
        name=comparison.run.recipe.name,
        headline=describe_verdict(comparison)[0],
        standings=tuple(
            Standing(
                place=place,
                label=row.label,
                score=format_score(ROUGE_L, row.scores[ROUGE_L.name].mean),
                interval=format_interval(ROUGE_L, row.scores[ROUGE_L.name]),
                rate=_rate(row),
                moved=moved.get(row.label, 0),
            )
            for place, row in enumerate(comparison.rank(ROUGE_L), start=1)
        ),
    )


def _rate(row: Row) -> str:
    rate = row.records[0].trial.hyperparameters.get("learning_rate")
    return f"rate {format_rate(rate)}" if rate else ""


def _unequal(here: Comparison, there: Comparison) -> str:
    parts = [name.replace("_", " ") for name in _unequal_parts(here.setting, there.setting)]
    if not parts:
        return "Both have the same setting; each ranking still rests on its own trainings."
    return (
        f"The settings are unequal ({join_list(parts)}), so the scores stand side by side here and are never "
        "ranked together."
    )


def _unequal_parts(here: Setting, there: Setting) -> list[str]:
    return [name for name in Setting.model_fields if getattr(here, name) != getattr(there, name)]


def _written(comparison: Comparison) -> dict[str, Any]:
    """The recipe as plain values; a knob that was searched has none of its own."""
    recipe = comparison.run.recipe
    whole = recipe.to_dict()
    for label in recipe.methods:
        whole["methods"][label] |= dict.fromkeys(recipe.get_space(label), SEARCHED)
    return whole


def _differing(there: Mapping[str, Any], here: Mapping[str, Any], within: str = "") -> Iterator[Difference]:
    """Where two recipes differ; Any: what YAML holds."""
    for key in dict.fromkeys([*there, *here]):
        ours, theirs = here.get(key), there.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            yield from _differing(theirs, ours, f"{within}{key}.")
        elif ours != theirs and f"{within}{key}" not in {"name", "note"}:
            yield Difference(place=f"{within}{key}", there=_said(theirs), here=_said(ours))


def _circumstances(here: Comparison, there: Comparison) -> Iterator[Difference]:
    """What no recipe says: the machine, the libraries, and the content behind a name."""
    for name in _unequal_parts(here.setting, there.setting):
        if name not in OF_THE_RECIPE:
            values = (_said(getattr(setting, name)) for setting in (there.setting, here.setting))
            yield Difference(place=name.replace("_", " "), **dict(zip(("there", "here"), values, strict=True)))


def _said(value: Any) -> str:
    match value:
        case None:
            return NOTHING
        case Mapping():
            return format_hyperparameters(
                {name: one for name, one in value.items() if one and not isinstance(one, Mapping)}
            )
        case _:
            return format_value(value)
