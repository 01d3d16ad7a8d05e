"""Diagnoses of the hyperparameter search: unequal effort, narrow ranges, configurations without a score."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.diagnostics.diagnosis import Diagnosis
from tuneoff.report.format import format_rate, join_list, pluralize
from tuneoff.report.hyperparameters import format_range, list_ends
from tuneoff.report.search_table import is_without_score
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import Search
from tuneoff.search.sampling import ADAPTIVE


def diagnose_unsearched_methods(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report methods with fixed hyperparameters in a comparison where others were searched."""
    fixed = [row.label for row in comparison.rows if row.trains and row.label not in comparison.searches]
    if comparison.searches and fixed:
        example = "search.spaces.LABEL.learning_rate={low: 1.0e-5, high: 1.0e-3}"
        yield Diagnosis(
            label=None,
            kind="not searched",
            text=f"{join_list(fixed)} {'was' if len(fixed) == 1 else 'were'} trained with the hyperparameters of the "
            "recipe, while the other methods were searched, so the tuning effort was not equal. "
            f"Leave a hyperparameter out of the recipe, or give one a range: {example}.",
        )


def diagnose_adaptive_sampler(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report a sampler for which the curve by budget cannot be drawn."""
    options = comparison.run.recipe.search
    if options and options.sampler in ADAPTIVE:
        yield Diagnosis(
            label=None,
            kind="adaptive sampler",
            text=f"The sampler {options.sampler} learns from earlier configurations, so the configurations are not "
            "independent, and what a smaller budget would have found cannot be estimated without bias. "
            "That curve is not drawn; it is with search.sampler=quasi-random.",
        )


def diagnose_edge(search: Search) -> Iterator[Diagnosis]:
    """Report a chosen learning rate that is the lowest or the highest that was tried."""
    if search.on_edge and search.chosen:
        low, high = list_ends(search.final_space[LEARNING_RATE])
        even_widened = ", even after the range was widened" if _is_widened(search) else ""
        next_range = (low / 10, high) if search.on_edge == "low" else (low, 10 * high)
        yield Diagnosis(
            label=search.label,
            kind="best rate at edge of range",
            text=f"The chosen learning rate, {format_rate(search.chosen.values[LEARNING_RATE])}, is the "
            f"{'lowest' if search.on_edge == 'low' else 'highest'} that was trained as long{even_widened}, so a better "
            "one may lie beyond it. Search a wider range in a new run: "
            f"{_format_override(search, *next_range)}.",
        )


def diagnose_recorded_search(search: Search) -> Iterator[Diagnosis]:
    """Report a search by the rules of another version, whose choice is kept."""
    if search.is_as_recorded:
        yield Diagnosis(
            label=search.label,
            kind="searched by older rules",
            text="An earlier version of tuneoff made this search, and its choice is kept. What a better learning rate "
            "could gain was not measured then, so it is not part of the intervals. Run the recipe in a new run "
            "directory to search by today's rules.",
        )


def diagnose_widened_range(search: Search) -> Iterator[Diagnosis]:
    """Report a range that was widened during the search, and how to search all of it."""
    if _is_widened(search):
        declared, widened = search.space[LEARNING_RATE], search.final_space[LEARNING_RATE]
        outside = sum(configuration.widened for configuration in search.tries)
        side = "highest" if list_ends(widened)[1] > list_ends(declared)[1] else "lowest"
        yield Diagnosis(
            label=search.label,
            kind="range widened",
            text=f"The best of the full trainings had the {side} learning rate of them, near the end of "
            f"{format_range(declared)}, so {outside} of {pluralize(len(search.tries), 'configuration')} went beyond "
            f"that range. The search covered {format_range(widened)} in total. To search the wider range as closely "
            f"as those of the other methods, set {_format_override(search, *list_ends(widened))}.",
        )


def diagnose_unscored_configurations(search: Search) -> Iterator[Diagnosis]:
    """Report configurations that diverged or failed, and from which learning rate on."""
    unscored = [configuration for configuration in search.tries if configuration.scores[-1] is None]
    if unscored:
        statuses = dict.fromkeys(configuration.records[-1].status for configuration in unscored)
        lowest_rate = format_rate(min(configuration.hyperparameters[LEARNING_RATE] for configuration in unscored))
        if is_without_score(search):
            consequence = (
                "No configuration was chosen, so the method was not confirmed. Search lower learning rates: "
                f"search.spaces.{search.label}.learning_rate."
            )
        else:
            consequence = (
                "Their cost is counted, and they rank below every score. "
                "If there are many, end the range below that learning rate."
            )
        yield Diagnosis(
            label=search.label,
            kind="configurations without a score",
            text=f"{len(unscored)} of {pluralize(len(search.tries), 'configuration')} {' or '.join(statuses)}, at "
            f"learning rates from {lowest_rate} up. {consequence}",
        )


def _is_widened(search: Search) -> bool:
    return search.final_space != search.space


def _format_override(search: Search, low: float, high: float) -> str:
    """Format a range as an override of the recipe. YAML reads `1.0e-05` as a number but `1e-5` as text."""
    return f"search.spaces.{search.label}.learning_rate={{low: {low:.1e}, high: {high:.1e}}}"
