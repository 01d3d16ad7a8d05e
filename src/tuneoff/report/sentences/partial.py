"""An unfinished comparison, or one reduced to fit a budget: what the verdict uses, and what is missing."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.partial import Partial
from tuneoff.budget.estimate import estimate_remaining_seconds
from tuneoff.budget.shrink import narrow_recipe
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_seconds, join_list, pluralize
from tuneoff.report.sentences.names import MOST_NAMES, NAME_WIDTHS, shorten_label
from tuneoff.runs.decisions import list_dropped


def describe_missing(comparison: Comparison, partial: Partial) -> Iterator[str]:
    """Yield which seeds the verdict uses, which methods have no test score, and how much time the rest would take."""
    if partial.seeds and len(partial.seeds) < len(partial.planned):
        planned = join_list([str(seed) for seed in partial.planned])
        used = f"{'seed' if len(partial.seeds) == 1 else 'seeds'} {join_list([str(seed) for seed in partial.seeds])}"
        yield f"It uses only {used} of {planned}, which every method scored so far has."
    if partial.waiting:
        waiting = [f"{pluralize(n, 'trial')} of {escape_control(label)}" for label, n in partial.waiting.items()]
        yield f"Set aside until the other methods have the same seeds: {join_list(waiting)}."
    if partial.untried:
        names, single = join_list([escape_control(label) for label in partial.untried]), len(partial.untried) == 1
        pronoun = "it" if single else "them"
        yield f"{names} {'has' if single else 'have'} no test score yet, so nothing can be said about {pronoun}."
    remaining = _predict_remaining(comparison)
    if remaining:
        yield (
            f"The rest is predicted to take {remaining} more; run the same command with a larger budget to continue."
        )


def describe_unfinished(comparison: Comparison, partial: Partial) -> str:
    """Return in one sentence what is missing and how much time it would take."""
    missing = []
    if partial.untried:
        untried = [escape_control(label) for label in partial.untried]
        shown = [shorten_label(label, NAME_WIDTHS[0]) for label in untried[: MOST_NAMES - 1]]
        more = [pluralize(len(untried) - len(shown), "other")] if len(untried) > len(shown) else []
        missing.append(f"{join_list([*shown, *more])} {'has' if len(untried) == 1 else 'have'} no test score yet")
    if partial.seeds and len(partial.seeds) < len(partial.planned):
        missing.append(f"{len(partial.seeds)} of {len(partial.planned)} seeds are compared")
    remaining = _predict_remaining(comparison)
    if remaining:
        about = "" if comparison.rounds else "about "
        missing.append(f"{about}{remaining} more with a larger budget")
    return f"Not finished: {'; '.join(missing or ['trials are missing'])}."


def describe_misfits(comparison: Comparison) -> Iterator[str]:
    """Yield which methods of the recipe are not compared, because they do not fit the model."""
    if labels := [escape_control(label) for label in comparison.run.misfits]:
        do, are = ("does", "is") if len(labels) == 1 else ("do", "are")
        yield f"{join_list(labels)} {do} not fit the model and {are} not compared."


def describe_people(comparison: Comparison) -> Iterator[str]:
    """Yield what people decided while the run went on, and what it means for the verdict."""
    decisions = comparison.run.decisions
    yield from (escape_control(decision.describe_whole()) for decision in decisions)
    if dropped := list_dropped(decisions):
        names = join_list([escape_control(label) for label in dropped])
        is_or_are, them = ("is", "it") if len(dropped) == 1 else ("are", "them")
        yield f"{names} {is_or_are} not compared, so the verdict says nothing about {them}."


def describe_budget_cuts(comparison: Comparison) -> Iterator[str]:
    """Yield how the plan was reduced to fit the budget."""
    fit = comparison.spending.fit if comparison.spending else None
    if fit and fit.dropped:
        yield (
            f"A budget of {format_seconds(fit.whole_seconds)} is too small for two seeds of every method, so "
            f"{join_list([escape_control(label) for label in fit.dropped])} "
            f"{'was' if len(fit.dropped) == 1 else 'were'} left out."
        )
    if fit and fit.cuts:
        yield (
            f"To fit a budget of {format_seconds(fit.whole_seconds)}, the plan was reduced in the same way for every "
            f"method, to {join_list(fit.cuts)}; "
            f"the full plan was predicted to take {format_seconds(fit.asked_seconds)}."
        )


def _predict_remaining(comparison: Comparison) -> str:
    """Return the time that the missing trials would take; empty without a probe."""
    spending, run = comparison.spending, comparison.run
    if not spending or not spending.probe:
        return ""
    recipe, rounds = run.recipe, comparison.rounds
    if rounds:
        recipe = narrow_recipe(recipe, rounds.remaining, recipe.seeds)
    done = [record.trial for record in run.records if record.trial.label in recipe.methods]
    remaining = format_seconds(estimate_remaining_seconds(recipe, run.data, spending.probe, done))
    return f"at most {remaining}" if rounds else remaining
