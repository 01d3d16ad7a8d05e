"""Two comparisons side by side: what each concludes, and where their recipes differ.

With unequal settings their scores are shown next to each other but never ranked together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.metrics import Metric
from tuneoff.records.trial import Setting
from tuneoff.report.escape import escape_control
from tuneoff.report.format import NOTHING, format_interval, format_rate, format_score, join_list
from tuneoff.report.hyperparameters import format_hyperparameters, format_value
from tuneoff.report.sentences import describe_verdict

SEARCHED = "searched"
OF_RECIPE = frozenset({"model", "data", "training", "evaluation"})  # parts of a setting that the recipe contains


@dataclass(frozen=True, kw_only=True)
class RankedMethod:
    """One method's rank in one comparison."""

    rank: int
    label: str
    score: str
    interval: str
    rate: str  # its learning rate; empty for a method without training
    change: int  # ranks gained relative to the other comparison, among the methods in both; zero in the other one


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What one comparison concludes."""

    name: str
    headline: str
    ranking: tuple[RankedMethod, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A recipe key, or a property of the run, in which the two differ."""

    key: str
    other: str
    this: str


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """The other comparison and this one."""

    other: Conclusion
    this: Conclusion
    changes: str  # whose rank changed, as a sentence
    settings: str  # which parts of the setting are unequal, as a sentence
    differences: tuple[Difference, ...]


def compare_runs(this: Comparison, other: Comparison) -> SideBySide:
    """Build this comparison's conclusions and those of another."""
    ranks, other_ranks = find_common_ranks(this, other)
    changes = {label: other_ranks[label] - rank for label, rank in ranks.items()}
    sentences = [
        f"{label} moves from rank {other_ranks[label]} to {ranks[label]}" for label, gain in changes.items() if gain
    ]
    return SideBySide(
        other=_build_conclusion(other, this.metric, {}),
        this=_build_conclusion(this, this.metric, changes),
        changes=f"{'; '.join(sentences) or 'Every method in both comparisons has the same rank in both'}."
        f"{_describe_single_runs(this, other)}",
        settings=_describe_settings(this, other),
        differences=(
            *_list_recipe_differences(_make_recipe_dict(other), _make_recipe_dict(this)),
            *_list_run_differences(this, other),
        ),
    )


def find_common_ranks(this: Comparison, other: Comparison) -> tuple[dict[str, int], dict[str, int]]:
    """Return the rank of each method by this comparison's primary metric in each, counted among the methods in both."""
    labels, other_labels = ([row.label for row in c.rank(this.metric)] for c in (this, other))
    return _rank_common(labels, other_labels), _rank_common(other_labels, labels)


def _rank_common(labels: Sequence[str], other_labels: Sequence[str]) -> dict[str, int]:
    common = (label for label in labels if label in other_labels)
    return {label: rank for rank, label in enumerate(common, start=1)}


def _build_conclusion(comparison: Comparison, metric: Metric, changes: Mapping[str, int]) -> Conclusion:
    return Conclusion(
        name=comparison.run.recipe.name,
        headline=describe_verdict(comparison).headline,
        ranking=tuple(
            RankedMethod(
                rank=rank,
                label=row.label,
                score=format_score(metric, row.scores[metric.name].mean),
                interval=format_interval(metric, row.scores[metric.name]),
                rate=_format_rate(row),
                change=changes.get(row.label, 0),
            )
            for rank, row in enumerate(comparison.rank(metric), start=1)
        ),
    )


def _describe_single_runs(*comparisons: Comparison) -> str:
    """Return a warning that ranks of single runs may change by chance; empty if every method has more runs."""
    single = [escape_control(c.run.recipe.name) for c in comparisons if any(row.has_one_finished_run for row in c.rows)]
    if not single:
        return ""
    return (
        f" In {join_list(list(dict.fromkeys(single)))} methods have one finished run, and how far another run would "
        "move is not known, so a rank may change by chance."
    )


def _format_rate(row: Row) -> str:
    rate = row.records[0].trial.hyperparameters.get("learning_rate")
    return f"rate {format_rate(rate)}" if rate else ""


def _describe_settings(this: Comparison, other: Comparison) -> str:
    unequal = [name.replace("_", " ") for name in _list_unequal_fields(this.setting, other.setting)]
    if not unequal:
        return "The settings are equal, but each ranking is based on its own runs."
    return (
        f"The settings differ ({join_list(unequal)}), so the scores are shown side by side and never ranked together."
    )


def _list_unequal_fields(this: Setting, other: Setting) -> list[str]:
    return [name for name in Setting.model_fields if getattr(this, name) != getattr(other, name)]


def _make_recipe_dict(comparison: Comparison) -> dict[str, Any]:
    """Return the recipe as plain values, with `searched` in place of the value of a searched hyperparameter."""
    recipe = comparison.run.recipe
    values = recipe.to_dict()
    for label in recipe.methods:
        values["methods"][label] |= dict.fromkeys(recipe.get_space(label), SEARCHED)
    return values


def _list_recipe_differences(
    other: Mapping[str, Any], this: Mapping[str, Any], parent: str = ""
) -> Iterator[Difference]:  # Any: values of YAML
    for name in dict.fromkeys([*other, *this]):
        key, other_value, this_value = f"{parent}{name}", other.get(name), this.get(name)
        if isinstance(this_value, Mapping) and isinstance(other_value, Mapping):
            yield from _list_recipe_differences(other_value, this_value, f"{key}.")
        elif this_value != other_value and key not in {"name", "note"}:
            yield Difference(key=key, other=_format_side(other_value), this=_format_side(this_value))


def _list_run_differences(this: Comparison, other: Comparison) -> Iterator[Difference]:
    """Yield differences that no recipe contains: the machine, the libraries, and the content behind a name."""
    for name in _list_unequal_fields(this.setting, other.setting):
        if name not in OF_RECIPE:
            values = {side: getattr(c.setting, name) for side, c in (("other", other), ("this", this))}
            yield Difference(
                key=name.replace("_", " "), other=_format_side(values["other"]), this=_format_side(values["this"])
            )


def _format_side(value: Any) -> str:
    match value:
        case None:
            return NOTHING
        case Mapping():
            return format_hyperparameters(
                {name: item for name, item in value.items() if item and not isinstance(item, Mapping)}
            )
        case _:
            return format_value(value)
