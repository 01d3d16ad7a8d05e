"""Diagnosis of predictions that are chosen from labels."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.diagnostics.diagnosis import Diagnosis
from tuneoff.report.format import pluralize

LISTED = 3


def diagnose_unseen_labels(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report test examples whose right answer is none of the labels, so that every method gets them wrong."""
    record = next((record for row in comparison.rows for record in row.finished), None)
    if record is None or not (labels := record.facts.get("labels")):
        return
    names = {name for name, _ in labels}
    unseen = [p for p in record.predictions if not names.intersection(p.accepted)]
    if unseen:
        listed = ", ".join(repr(name) for name in list(dict.fromkeys(p.reference for p in unseen))[:LISTED])
        yield Diagnosis(
            label=None,
            kind="labels that are never predicted",
            text=f"{pluralize(len(unseen), 'test example')} of {len(record.predictions):,} have a label that train "
            f"does not have, such as {listed}. Every method gets them wrong. Name all in evaluation.labels.names.",
        )
