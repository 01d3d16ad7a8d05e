"""Diagnoses of measured costs: what makes time and memory higher, or not comparable."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.diagnostics.diagnosis import Diagnosis


def diagnose_full_logits(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report a model whose head could not be separated from its trunk."""
    if any(record.facts.get("split_head") is False for row in comparison.rows for record in row.records):
        yield Diagnosis(
            label=None,
            kind="head not separated",
            text="The output head of this model could not be run separately from its trunk with the same result, so "
            "its own forward pass is used and logits are computed at every position. The losses are the same, but "
            "every method takes more time and memory. Another architecture would cost less.",
        )


def diagnose_memory_counter(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report peaks that may include those of earlier trials."""
    costs = [record.costs for row in comparison.rows for record in row.records if record.costs]
    if any(cost.training_memory is not None and not cost.training_memory.reset for cost in costs):
        yield Diagnosis(
            label=None,
            kind="memory not reset",
            text="This system cannot reset its peak-memory counter, so a peak may come from an earlier phase or trial. "
            "To compare memory, use Linux or a GPU, or run each method in its own run directory.",
        )
