"""The search of each method as a line of a table: what was spent, and what was found."""

from collections.abc import Iterator
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.format import format_score, format_seconds
from tuneoff.report.hyperparameters import format_hyperparameters, format_range
from tuneoff.report.search_metric import convert_unit, get_search_metric, is_adaptive
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import Search

RUNNING = "not finished"
IN_VAIN = "nothing came to a score"


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """One method's search, in words; an empty text where there is nothing to say."""

    label: str
    tries: str
    without_score: str  # how many of the tries diverged or failed
    tokens: str
    train_seconds: str
    chosen: str
    score: str  # on validation
    rates: str  # between which the search went, as declared
    edge: str  # what became of the range, and whether its end was best


def summarize_searches(comparison: Comparison) -> Iterator[SearchSummary]:
    """A line for each method that was searched, in the order of the recipe."""
    for search in comparison.searches.values():
        metric = get_search_metric(comparison)
        lost = sum(one.scores[-1] is None for one in search.tries)
        score = convert_unit(metric, search.chosen.scores[-1]) if search.chosen else None
        yield SearchSummary(
            label=search.label,
            tries=f"{len(search.tries)}",
            without_score=f"{lost} diverged or failed" if lost else "",
            tokens=f"{search.tokens:,}",
            train_seconds=format_seconds(search.train_seconds),
            chosen=_chosen(search),
            score="" if score is None else format_score(metric, score),
            rates=format_range(search.space[LEARNING_RATE]) if LEARNING_RATE in search.space else "not searched",
            edge="; ".join(_edge(search)),
        )


def _chosen(search: Search) -> str:
    if search.chosen:
        return format_hyperparameters(search.chosen.values)
    return IN_VAIN if is_without_score(search) else RUNNING


def describe_effort(comparison: Comparison) -> str:
    """Whether the methods spent alike, in a sentence; nothing without a search."""
    tokens = [search.tokens for search in comparison.searches.values()]
    seconds = [search.train_seconds for search in comparison.searches.values()]
    if not tokens:
        return ""
    if any(search.chosen is None and not is_without_score(search) for search in comparison.searches.values()):
        spent = f"The search is not finished: so far it took {min(tokens):,} to {max(tokens):,} tokens a method"
    elif min(tokens) == max(tokens):
        spent = f"Every method was searched with {tokens[0]:,} tokens"
    else:
        spent = (
            f"Every method was given the same tokens, and spent {min(tokens):,} to {max(tokens):,}: less where "
            "tries diverged, or there were fewer to make"
        )
    return f"{spent}; that took from {format_seconds(min(seconds))} to {format_seconds(max(seconds))} of training."


def is_without_score(search: Search) -> bool:
    """Whether everything that was tried diverged or failed."""
    return search.tries != () and all(one.scores[-1] is None for one in search.tries)


def list_notes(comparison: Comparison) -> dict[str, str]:
    """How to read the pictures of a search, by figure; and why one is not there."""
    lost = any(one.scores[-1] is None for search in comparison.searches.values() for one in search.tries)
    widened = any(search.final_space != search.space for search in comparison.searches.values())
    crosses = "A cross at the edge diverged, failed, or scored too badly to be drawn. " if lost else ""
    dotted = ", dotted where it was widened" if widened else ""
    rates = (
        "A point is one configuration, the larger the further it was trained; its line comes from the first rung. "
        f"{crosses}The ring is what was chosen. Below: the range searched{dotted}. Click a name to see it alone."
    )
    if is_adaptive(comparison):
        sampler = comparison.run.recipe.search.sampler if comparison.run.recipe.search else ""
        return {
            "search-rates": f"{rates} No curve of the best score by budget is drawn: the sampler {sampler} learns from "
            "its earlier tries, so the tries are not alike and no expectation over them is unbiased."
        }
    budget = (
        "The budget is so many trainings to the first rung, where all were trained equally long; the score is the mean "
        "best over all ways to pick so many of the tries made, none twice (arXiv:2004.13705)"
    )
    left_out = "; tries beyond a declared range are left out" if widened else ""
    worst = (
        " A try without a score is worse than any: a curve begins where not all that are picked can be such."
        if lost
        else ""
    )
    return {"search-rates": rates, "search-budget": f"{budget}{left_out}.{worst}"}


def _edge(search: Search) -> Iterator[str]:
    if search.final_space != search.space and LEARNING_RATE in search.final_space:
        yield f"widened to {format_range(search.final_space[LEARNING_RATE])}"
    if search.on_edge:
        yield f"the best is the {'lowest' if search.on_edge == 'low' else 'highest'} tried"
