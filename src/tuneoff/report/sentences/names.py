"""What the sentences call a row or a metric, and how they write a score or a difference with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.row import Row
from tuneoff.metrics import LOSS, Metric
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_interval, format_score, join_list, pluralize

BASE_MODEL = "the base model"
NAME_WIDTHS = (24, 16, 12, 8)  # characters of a label in a sentence, fewer where it is too long
MOST_NAMES = 3  # in one list of a sentence


@dataclass(frozen=True)
class Names:
    """What sentences call each row, by label."""

    by_label: Mapping[str, str]

    def get(self, row: Row) -> str:
        """Return the name of a row, in the middle of a sentence."""
        return self.by_label[row.label]

    def join(self, rows: Sequence[Row]) -> str:
        """Join the names of rows. Of many, only the first are named, and the others counted."""
        names = [self.get(row) for row in rows]
        if len(names) > MOST_NAMES:
            names = [*names[: MOST_NAMES - 1], pluralize(len(names) - MOST_NAMES + 1, "other")]
        return join_list(names)


def make_names(comparison: Comparison, width: int = NAME_WIDTHS[0]) -> Names:
    """Name every row by its label, or as `the base model`. A long label is shortened unless it would be ambiguous."""
    short = {row.label: shorten_label(escape_control(row.label), width) for row in comparison.rows}
    is_unique = len(set(short.values())) == len(short)
    names = short if is_unique else {label: escape_control(label) for label in short}
    return Names({row.label: BASE_MODEL if row.is_base else names[row.label] for row in comparison.rows})


def shorten_label(label: str, width: int) -> str:
    """Replace the middle of a long label by an ellipsis."""
    if len(label) <= width:
        return label
    end = (width - 1) // 2
    return f"{label[: width - 1 - end]}…{label[-end:]}"


def name_metric(metric: Metric) -> str:
    """Return what a sentence calls a metric on the test split."""
    return "evaluation loss" if metric is LOSS else f"test {metric.title}"


def name_trainings(comparison: Comparison) -> str:
    """Return what the trainings of a method differ in: `seeds`, or `replicates` with a train sample each."""
    return "replicates" if comparison.run.recipe.replicates else "seeds"


def capitalize_name(name: str) -> str:
    """Return a name, or a list of names, as the first words of a sentence. A label keeps its case."""
    return f"The {name[4:]}" if name.startswith(BASE_MODEL) else name


def format_with_interval(metric: Metric, row: Row) -> str:
    """Format a row's score, such as `23.8 (22.1 to 25.4)`."""
    estimate = row.scores[metric.name]
    return f"{format_score(metric, estimate.mean)} ({format_interval(metric, estimate)})"


def format_difference(pair: Pair) -> str:
    """Format the difference of a pair, such as `1.2 (0.4 to 2.0)`."""
    return f"{format_score(pair.metric, pair.difference.mean)} ({format_interval(pair.metric, pair.difference)})"


def format_margin(comparison: Comparison, metric: Metric) -> str:
    """Format the smallest difference that matters."""
    return format_score(metric, metric.get_margin(comparison.run.recipe.verdict))
