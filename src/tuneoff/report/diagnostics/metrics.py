"""Diagnoses of the metrics: what they cannot see in the references of this data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import Metric
from tuneoff.metrics.exact_match import normalize
from tuneoff.metrics.rouge import TYPES as ROUGE_TYPES
from tuneoff.metrics.scripts import MOST_DROPPED, choose_tokenizer, compute_dropped_share
from tuneoff.report.diagnostics.diagnosis import Diagnosis
from tuneoff.report.escape import escape_control, truncate
from tuneoff.report.format import format_share, join_list, pluralize

LEAST_SHARE = 0.01  # of the examples; fewer change no conclusion
SHOWN, CHARACTERS = 3, 40


def diagnose_confused_references(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report references that differ and are the same to a metric, so that a wrong answer has the full score."""
    references = _list_references(comparison)
    reported: list[Sequence[str]] = []
    for metric in comparison.metrics:
        if metric.reads_as is None:
            continue
        confused = _find_confused(metric, references)
        count = sum(normalize(reference) in confused for reference in references)
        if count < max(1, LEAST_SHARE * len(references)) or list(confused) in reported:
            continue
        reported.append(list(confused))
        yield Diagnosis(
            label=None,
            kind="metric cannot tell references apart",
            text=f"{_name(metric)} reads different references as the same: {_quote(list(confused.values()))}. So a "
            f"wrong answer can have the full score, in {count:,} of {pluralize(len(references), 'reference')}. "
            f"{_advise(comparison, metric)}",
        )


def diagnose_unread_references(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report references of which ROUGE's tokenizer drops letters, or everything."""
    metric = next((metric for metric in comparison.metrics if metric.name in ROUGE_TYPES), None)
    if metric is None or metric.reads_as is None:
        return
    references = [reference for reference in _list_references(comparison) if reference.strip()]
    empty = [reference for reference in references if not metric.reads_as(reference)]
    options = comparison.run.recipe.metrics
    tokenizer = options[metric.name].tokenizer if options != "auto" and metric.name in options else None
    dropped = compute_dropped_share(references) if (tokenizer or "english") == "english" else 0.0
    if not empty and dropped <= MOST_DROPPED:
        return
    problems = []
    if empty:
        problems.append(
            f"{len(empty):,} of {pluralize(len(references), 'reference')} "
            f"({_quote(list(dict.fromkeys(empty)))}) have no words for {_name(metric)}, and score zero even for a "
            "perfect answer"
        )
    if dropped > MOST_DROPPED:
        problems.append(f"its tokenizer for English drops {format_share(dropped)} of the letters of the references")
    better = choose_tokenizer(references)
    cure = (
        f"Set metrics.{metric.name}.tokenizer to {better}." if dropped > MOST_DROPPED else _advise(comparison, metric)
    )
    yield Diagnosis(label=None, kind="metric cannot read references", text=f"{'; '.join(problems)}. {cure}")


def _list_references(comparison: Comparison) -> list[str]:
    record = next((record for row in comparison.rows for record in row.finished), None)
    return [reference for prediction in record.predictions for reference in prediction.accepted] if record else []


def _find_confused(metric: Metric, references: Sequence[str]) -> Mapping[str, str]:
    """Return the references that share their reading with another, by their text without case and white space."""
    assert metric.reads_as is not None, "checked by the caller"
    distinct = {normalize(reference): reference for reference in references}
    by_reading: dict[object, list[str]] = {}
    for key, reference in distinct.items():
        by_reading.setdefault(metric.reads_as(reference), []).append(key)
    return {key: distinct[key] for keys in by_reading.values() if len(keys) > 1 for key in keys}


def _name(metric: Metric) -> str:
    return "ROUGE" if metric.name in ROUGE_TYPES else metric.title


def _quote(texts: Sequence[str]) -> str:
    quoted = [f"“{truncate(escape_control(' '.join(text.split())), CHARACTERS)}”" for text in texts[:SHOWN]]
    return join_list([*quoted, *([f"{len(texts) - SHOWN} more"] if len(texts) > SHOWN else [])])


def _advise(comparison: Comparison, metric: Metric) -> str:
    if metric is comparison.metric:
        return "Rank by a metric that sees the difference: verdict.metric: exact."
    return f"The headline goes by {comparison.metric.title}."
