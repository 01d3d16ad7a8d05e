"""The search of each method as a line of a table: what it cost and what it chose."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import LOSS, Metric
from tuneoff.report.format import format_score, format_seconds, join_list
from tuneoff.report.hyperparameters import format_hyperparameters, format_range
from tuneoff.report.search_metric import convert_unit, get_search_metric, is_adaptive
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import Search

UNFINISHED = "not finished"
UNKNOWN = "not known"
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
    regret: str  # what a better learning rate could still gain
    rates: str  # range of learning rates, as declared
    edge: str  # whether the range was widened, and whether the chosen rate is the lowest or highest trained as long


def summarize_searches(comparison: Comparison) -> Iterator[SearchSummary]:
    """Yield a line for each method that was searched, in the order of the recipe."""
    for search in comparison.searches.values():
        metric = get_search_metric(comparison)
        without_score = sum(configuration.scores[-1] is None for configuration in search.tries)
        score = convert_unit(metric, search.score)
        yield SearchSummary(
            label=search.label,
            configurations=f"{len(search.tries)}",
            without_score=f"{without_score} diverged or failed" if without_score else "",
            tokens=f"{search.tokens:,}",
            train_seconds=format_seconds(search.train_seconds),
            chosen=_describe_chosen(search),
            score="" if score is None else format_score(metric, score),
            regret=_describe_regret(search, metric),
            rates=format_range(search.space[LEARNING_RATE]) if LEARNING_RATE in search.space else "not searched",
            edge="; ".join(_describe_edge(search)),
        )


def _describe_chosen(search: Search) -> str:
    if search.chosen:
        return format_hyperparameters(search.chosen.values)
    return NOTHING_CHOSEN if is_without_score(search) else UNFINISHED


def _describe_regret(search: Search, metric: Metric) -> str:
    if search.chosen is None or LEARNING_RATE not in search.space:
        return ""
    return UNKNOWN if search.regret is None else f"at most {_format_regret(search.regret, metric)}"


def _format_regret(regret: float, metric: Metric) -> str:
    """Format an upper bound, rounded up so that it stays one."""
    steps = 10**metric.decimals
    return f"{math.ceil(regret * steps - 1e-9) / steps:.{metric.decimals}f}"


def _describe_edge(search: Search) -> Iterator[str]:
    if search.final_space != search.space and LEARNING_RATE in search.final_space:
        yield f"widened to {format_range(search.final_space[LEARNING_RATE])}"
    if search.on_edge:
        yield f"the best is the {'lowest' if search.on_edge == 'low' else 'highest'} trained as long"


def describe_search(comparison: Comparison) -> str:
    """Return the effort of the search, the metric that chose, and what is left to gain; nothing without a search."""
    sentences = (describe_effort(comparison), _describe_metric(comparison), _describe_regrets(comparison))
    return " ".join(sentence for sentence in sentences if sentence)


def _describe_metric(comparison: Comparison) -> str:
    """Return which metric chose the configuration and the epoch, and why, if it is not that of the headline."""
    if not comparison.searches:
        return ""
    chose, primary = get_search_metric(comparison), comparison.metric
    why = "which needs no generated text and so can be computed after every epoch of every training"
    if chose is not LOSS:
        differs = "" if chose is primary else f", although the headline goes by {primary.title}, as the recipe says"
        return f"The configuration was chosen by {chose.title}{differs}, and the epoch by the loss, {why}."
    if primary is LOSS:
        return "The configuration and the epoch were chosen by the loss, which the headline goes by too."
    return f"The configuration and the epoch were chosen by the loss, {why}; the headline goes by {primary.title}."


def _describe_regrets(comparison: Comparison) -> str:
    """Return how much a better learning rate could gain, over all methods whose search is finished."""
    searches = [s for s in comparison.searches.values() if s.chosen and LEARNING_RATE in s.space]
    if not searches:
        return ""
    metric = get_search_metric(comparison)
    known = {search.label: search.regret for search in searches if search.regret is not None}
    unknown = [search.label for search in searches if search.regret is None]
    is_old = any(search.is_as_recorded for search in searches)
    reason = "by rules that did not measure it" if is_old else "with too few scores to tell"
    missing = f"For {join_list(unknown)} this is not known: the search was made {reason}." if unknown else ""
    if not known:
        return f"How much better other learning rates could be is not known: the search was made {reason}."
    most = max(known, key=lambda label: known[label])
    bound = f"{_format_regret(known[most], metric)} {metric.unit}"
    found = f"A better learning rate could gain at most {bound}{f' ({most})' if len(known) > 1 else ''}."
    covered = f"The intervals of differences by {metric.title} contain that; those by other metrics do not."
    return f"{found} {covered} {missing}".strip()


def describe_effort(comparison: Comparison) -> str:
    """Return whether all methods were searched with equal effort, in a sentence; nothing without a search."""
    tokens = [search.tokens for search in comparison.searches.values()]
    seconds = [search.train_seconds for search in comparison.searches.values()]
    if not tokens:
        return ""
    if not all(search.finished for search in comparison.searches.values()):
        effort = f"The search is not finished. So far it used {min(tokens):,} to {max(tokens):,} tokens per method"
    elif _is_by_seconds(comparison):
        counts = [len(search.tries) for search in comparison.searches.values()]
        tried = f"{counts[0]}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        effort = (
            f"Every method was searched for about as many seconds of training, with {tried} configurations and "
            f"{min(tokens):,} to {max(tokens):,} tokens"
        )
    elif min(tokens) == max(tokens):
        effort = f"Every method was searched with {tokens[0]:,} tokens"
    else:
        effort = (
            f"Every method had the same token budget and used {min(tokens):,} to {max(tokens):,} tokens of it (fewer "
            "where configurations diverged or its space had fewer of them)"
        )
    shortest, longest = format_seconds(min(seconds)), format_seconds(max(seconds))
    return f"{effort}, which took {shortest if shortest == longest else f'{shortest} to {longest}'} of training."


def _is_by_seconds(comparison: Comparison) -> bool:
    options = comparison.run.recipe.search
    return options is not None and options.effort == "seconds"


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
        "search-budget": _describe_budget_figure(has_unscored=has_unscored),
    }


def _describe_rate_figure(*, has_unscored: bool, is_widened: bool) -> str:
    crosses = " A cross at the edge diverged, failed, or scored too badly for the frame." if has_unscored else ""
    dotted = ", dotted where it was widened" if is_widened else ""
    return (
        "Each point is a configuration; larger points were trained longer, and a line leads from the score at the "
        f"first rung; those without a line were trained straight to the end.{crosses} The ring marks the chosen "
        f"configuration. Below the scores: the range searched{dotted}. Click a method's name to see it alone."
    )


def _describe_budget_figure(*, has_unscored: bool) -> str:
    unscored = (
        " A configuration without a score ranks last, so a curve starts where every draw includes one with a score."
        if has_unscored
        else ""
    )
    return (
        "The budget is a number of configurations trained to the first rung, where all had been trained equally long. "
        "The score is the mean best over all ways to draw that many of the configurations without replacement "
        "(arXiv:2004.13705); the defaults and what was chosen by scores are not among them, since they are no draws."
        f"{unscored}"
    )
