"""What the sentences call a row, and how they write a score or a difference with its interval."""

from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.row import Row
from tuneoff.records.metrics import Metric
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_interval, format_score

BASE_MODEL = "the base model"


def name_row(row: Row) -> str:
    """Return what a sentence calls a row: its label, or `the base model`."""
    return BASE_MODEL if row.is_base else escape_control(row.label)


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
