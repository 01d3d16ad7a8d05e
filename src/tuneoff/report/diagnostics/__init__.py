"""What to know before quoting a number: why it is as it is, and what to change.

A diagnosis is a function from records to text. It states what was counted and names the remedy. To add one, write the
function in the module of its subject and list it in the table for what it looks at: the comparison, a search or a row.
"""

from collections.abc import Callable, Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.report.diagnostics.costs import diagnose_full_logits, diagnose_memory_counter
from tuneoff.report.diagnostics.data import (
    diagnose_duplicates,
    diagnose_excluded_rows,
    diagnose_files,
    diagnose_groups,
    diagnose_sample_overlap,
    diagnose_truncation,
)
from tuneoff.report.diagnostics.design import (
    diagnose_beside,
    diagnose_elsewhere,
    diagnose_grown_test_split,
    diagnose_missing_trials,
    diagnose_reused_test_split,
    diagnose_shared_rate,
    diagnose_single_seed,
)
from tuneoff.report.diagnostics.diagnosis import Diagnosis
from tuneoff.report.diagnostics.examples import (
    diagnose_equal_prompts,
    diagnose_equal_sources,
    diagnose_near_duplicates,
    diagnose_repeated_examples,
    diagnose_untrained_labels,
)
from tuneoff.report.diagnostics.labels import diagnose_unseen_labels
from tuneoff.report.diagnostics.metrics import diagnose_confused_references, diagnose_unread_references
from tuneoff.report.diagnostics.outcome import (
    diagnose_forgetting,
    diagnose_missing_effect,
    diagnose_overfitting,
    diagnose_tied_embedding,
)
from tuneoff.report.diagnostics.search import (
    diagnose_adaptive_sampler,
    diagnose_edge,
    diagnose_recorded_search,
    diagnose_unscored_configurations,
    diagnose_unsearched_methods,
    diagnose_widened_range,
)
from tuneoff.report.diagnostics.training import (
    diagnose_broken_trial,
    diagnose_early_stop,
    diagnose_no_improvement,
    diagnose_unfinished_training,
)
from tuneoff.search.history import Search

OF_COMPARISON: tuple[Callable[[Comparison], Iterator[Diagnosis]], ...] = (
    diagnose_single_seed,
    diagnose_missing_trials,
    diagnose_grown_test_split,
    diagnose_reused_test_split,
    diagnose_elsewhere,
    diagnose_beside,
    diagnose_shared_rate,
    diagnose_unsearched_methods,
    diagnose_adaptive_sampler,
    diagnose_confused_references,
    diagnose_unread_references,
    diagnose_files,
    diagnose_truncation,
    diagnose_excluded_rows,
    diagnose_duplicates,
    diagnose_groups,
    diagnose_equal_sources,
    diagnose_repeated_examples,
    diagnose_near_duplicates,
    diagnose_equal_prompts,
    diagnose_untrained_labels,
    diagnose_sample_overlap,
    diagnose_unseen_labels,
    diagnose_full_logits,
    diagnose_memory_counter,
)
OF_SEARCH: tuple[Callable[[Search], Iterator[Diagnosis]], ...] = (
    diagnose_edge,
    diagnose_recorded_search,
    diagnose_widened_range,
    diagnose_unscored_configurations,
)
OF_ROW: tuple[Callable[[Comparison, Row], Iterator[Diagnosis]], ...] = (
    diagnose_broken_trial,
    diagnose_early_stop,
    diagnose_unfinished_training,
    diagnose_no_improvement,
    diagnose_missing_effect,
    diagnose_forgetting,
    diagnose_overfitting,
    diagnose_tied_embedding,
)


def diagnose(comparison: Comparison) -> tuple[Diagnosis, ...]:
    """Return all diagnoses: those that concern every method first, then each search, then each row."""
    of_comparison = [diagnosis for check in OF_COMPARISON for diagnosis in check(comparison)]
    of_searches = [
        diagnosis for search in comparison.searches.values() for check in OF_SEARCH for diagnosis in check(search)
    ]
    of_rows = [diagnosis for row in comparison.rows for check in OF_ROW for diagnosis in check(comparison, row)]
    return (*of_comparison, *of_searches, *of_rows)


__all__ = ["Diagnosis", "diagnose"]
