"""The search of each method as a line of a table: what it cost and what it chose."""

from collections.abc import Iterator
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.format import format_score, format_seconds
from tuneoff.report.hyperparameters import format_hyperparameters, format_range
from tuneoff.report.search_metric import convert_unit, get_search_metric, is_adaptive
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import Search

UNFINISHED = "not finished"
NOTHING_CHOSEN = "no configuration has a score"


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """One method's search as text, empty where there is nothing to show."""

    label: str
    configurations: str
    without_score: str  # how many of the configurations diverged or failed
    tokens: str
    train_seconds: str
    chosen: str
    score: str  # on validation
    rates: str  # range of learning rates, as declared
    edge: str  # whether the range was widened, and whether its end was best


def summarize_searches(comparison: Comparison) -> Iterator[SearchSummary]:
    """Yield a line for each method that was searched, in the order of the recipe."""
    for search in comparison.searches.values():
        metric = get_search_metric(comparison)
        without_score = sum(configuration.scores[-1] is None for configuration in search.tries)
        score = convert_unit(metric, search.chosen.scores[-1]) if search.chosen else None
        yield SearchSummary(
            label=search.label,
            configurations=f"{len(search.tries)}",
            without_score=f"{without_score} diverged or failed" if without_score else "",
            tokens=f"{search.tokens:,}",
            train_seconds=format_seconds(search.train_seconds),
            chosen=_describe_chosen(search),
            score="" if score is None else format_score(metric, score),
            rates=format_range(search.space[LEARNING_RATE]) if LEARNING_RATE in search.space else "not searched",
            edge="; ".join(_describe_edge(search)),
        )


def _describe_chosen(search: Search) -> str:
    if search.chosen:
        return format_hyperparameters(search.chosen.values)
    return NOTHING_CHOSEN if is_without_score(search) else UNFINISHED


def _describe_edge(search: Search) -> Iterator[str]:
    if search.final_space != search.space and LEARNING_RATE in search.final_space:
        yield f"widened to {format_range(search.final_space[LEARNING_RATE])}"
    if search.on_edge:
        yield f"the best is the {'lowest' if search.on_edge == 'low' else 'highest'} tried"


def describe_effort(comparison: Comparison) -> str:
    """Return whether all methods were searched with equal effort, in a sentence; nothing without a search."""
    tokens = [search.tokens for search in comparison.searches.values()]
    seconds = [search.train_seconds for search in comparison.searches.values()]
    if not tokens:
        return ""
    if not all(search.finished for search in comparison.searches.values()):
        effort = f"The search is not finished. So far it used {min(tokens):,} to {max(tokens):,} tokens per method"
    elif min(tokens) == max(tokens):
        effort = f"Every method was searched with {tokens[0]:,} tokens"
    else:
        effort = (
            f"Every method had the same token budget and used {min(tokens):,} to {max(tokens):,} tokens of it (fewer "
            "where configurations diverged or its space had fewer of them)"
        )
    shortest, longest = format_seconds(min(seconds)), format_seconds(max(seconds))
    return f"{effort}, which took {shortest if shortest == longest else f'{shortest} to {longest}'} of training."


def is_without_score(search: Search) -> bool:
    """Return whether the search ended without a score after the full training, so that nothing could be chosen."""
    return search.finished and search.chosen is None


def list_notes(comparison: Comparison) -> dict[str, str]:
    """Return how to read the figures of a search, by figure, and why one of them is missing."""
    has_unscored = any(
        configuration.scores[-1] is None for search in comparison.searches.values() for configuration in search.tries
    )
    is_widened = any(search.final_space != search.space for search in comparison.searches.values())
    rates = _describe_rate_figure(has_unscored=has_unscored, is_widened=is_widened)
    if is_adaptive(comparison):
        sampler = comparison.run.recipe.search.sampler if comparison.run.recipe.search else ""
        return {
            "search-rates": f"{rates} There is no figure of the best score by budget: the sampler {sampler} learns "
            "from earlier configurations, so the expected best of fewer configurations cannot be estimated without "
            "bias."
        }
    return {
        "search-rates": rates,
        "search-budget": _describe_budget_figure(has_unscored=has_unscored, is_widened=is_widened),
    }


def _describe_rate_figure(*, has_unscored: bool, is_widened: bool) -> str:
    crosses = " A cross at the edge diverged, failed, or scored too badly for the frame." if has_unscored else ""
    dotted = ", dotted where it was widened" if is_widened else ""
    return (
        "Each point is a configuration; larger points were trained longer, and a line leads from the score at the "
        f"first rung.{crosses} The ring marks the chosen configuration. Below the scores: the range searched{dotted}. "
        "Click a method's name to see it alone."
    )


def _describe_budget_figure(*, has_unscored: bool, is_widened: bool) -> str:
    widened = "; configurations from a widened range are not used" if is_widened else ""
    unscored = (
        " A configuration without a score ranks last, so a curve starts where every draw includes one with a score."
        if has_unscored
        else ""
    )
    return (
        "The budget is a number of configurations trained to the first rung, where all had been trained equally long. "
        "The score is the mean best over all ways to draw that many of the configurations without replacement "
        f"(arXiv:2004.13705){widened}.{unscored}"
    )
