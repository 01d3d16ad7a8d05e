"""Numbers as a reader says them, and the verdict in sentences."""

from collections.abc import Iterator, Sequence

from tuneoff.analysis.comparison import Comparison, Pair, Row, luck_is_known, margin_of
from tuneoff.analysis.metrics import COSTS, Metric
from tuneoff.analysis.partial import Partial
from tuneoff.analysis.verdict import MOST_EXAMPLES, MOST_SEEDS, POWER, Verdict, verdict_of
from tuneoff.budget.estimate import seconds_left
from tuneoff.report.escape import visible
from tuneoff.report.format import (
    LOSS,
    ROUGE_L,
    cost_in_words,
    counted,
    interval_in_words,
    level_in_words,
    listed,
    score_in_words,
    seconds_in_words,
)


def name_of(comparison: Comparison, row: Row) -> str:
    """What a sentence calls a row."""
    return "the untouched model" if row is comparison.base else visible(row.label)


def verdict(comparison: Comparison) -> tuple[str, ...]:
    """Who won by each metric, by how much, whether that can be told from noise, and what it costs; the first sentence
    says most. Of a comparison that is not finished, what can be said and what cannot."""
    first, *more = _whole_verdict(comparison)
    if comparison.partial is None:
        return (first, *more, *_cut(comparison))
    among = ", among the methods tried so far" if comparison.partial.untried else ""
    return (f"Partial{among}: {first}", *_partial(comparison, comparison.partial), *more, *_cut(comparison))


def _whole_verdict(comparison: Comparison) -> tuple[str, ...]:
    ranked = comparison.ranked(ROUGE_L)
    if not ranked:
        return (_nothing_scored(comparison),)
    best = ranked[0]
    if len(ranked) == 1:
        name = _capital(name_of(comparison, best))
        return (f"{name} is the only one scored so far: test ROUGE-L {_with_interval(ROUGE_L, best)}.",)
    return (
        *_by_metric(comparison, verdict_of(comparison, ROUGE_L), "test ROUGE-L"),
        *_by_metric(comparison, verdict_of(comparison, LOSS), "evaluation loss"),
        *_price(comparison),
        *_rests_on(comparison),
    )


def _partial(comparison: Comparison, partial: Partial) -> Iterator[str]:
    """What it rests on, what it leaves out, and how much more it would take."""
    if partial.seeds and len(partial.seeds) < len(partial.planned):
        of = listed([str(seed) for seed in partial.planned])
        yield f"It rests on {_seeds(partial.seeds)} of {of}, which every method that was tried has."
    if partial.waiting:
        waiting = [f"{counted(n, 'training')} of {visible(label)}" for label, n in partial.waiting.items()]
        yield f"Set aside until the others have the same seeds: {listed(waiting)}."
    if partial.untried:
        has = "has" if len(partial.untried) == 1 else "have"
        names = listed([visible(label) for label in partial.untried])
        yield f"Nothing can be said of {names}, which {has} no trial yet."
    spending, run = comparison.spending, comparison.run
    if spending and spending.probe:
        done = [record.trial for record in run.records]
        left = seconds_in_words(seconds_left(run.recipe, run.data, spending.probe, done))
        yield f"The rest is predicted to take {left} more; the same command with a larger budget goes on from here."


def _cut(comparison: Comparison) -> Iterator[str]:
    """What the budget left out of the recipe."""
    fit = comparison.spending.fit if comparison.spending else None
    if fit and fit.cuts:
        yield (
            f"To fit a budget of {seconds_in_words(fit.whole_seconds)} the plan was cut, for all methods alike, to "
            f"{listed(fit.cuts)}; uncut it was predicted to take {seconds_in_words(fit.asked_seconds)}."
        )


def _nothing_scored(comparison: Comparison) -> str:
    statuses = [record.status for row in comparison.rows for record in row.records]
    ended = [counted(n, s + " trial") for s in ("failed", "diverged") if (n := statuses.count(s))]
    return f"No trial came to a score: {listed(ended)}." if ended else "No trial has a score yet."


def _by_metric(comparison: Comparison, found: Verdict, by: str) -> Iterator[str]:
    """The outcome by one metric, then how far the best is ahead of the untouched model and of the next."""
    yield {"winner": _won, "tie": _tied, "open": _undecided}[found.kind](comparison, found, by)
    if found.needed and (settles := _settling(comparison, found)):
        yield settles
    yield from _leads(comparison, found)


def _won(comparison: Comparison, found: Verdict, by: str) -> str:
    score = _with_interval(found.metric, found.best)
    if found.best is comparison.base:
        return f"No training helped: the untouched model has the best {by}, {score}, beyond noise."
    return f"{_capital(name_of(comparison, found.best))} wins by {by}: {score}, better than every other beyond noise."


def _tied(comparison: Comparison, found: Verdict, by: str) -> str:
    names = [name_of(comparison, row) for row in found.leaders]
    margin = score_in_words(found.metric, margin_of(found.metric, comparison.run.recipe.verdict))
    pairs = [comparison.pair(found.metric, found.best, row) for row in found.leaders[1:]]
    farthest = max(pairs, key=lambda pair: max(-pair.difference.low, pair.difference.high))
    return (
        f"{_capital(listed(names))} tie by {by}: they differ by {'at most ' if len(pairs) > 1 else ''}"
        f"{_difference(farthest)}, less than the margin of {margin} that matters{_cheaper(comparison, found)}."
    )


def _cheaper(comparison: Comparison, found: Verdict) -> str:
    cost = next(c for c in COSTS if c.name == comparison.run.recipe.verdict.cheaper_by)
    if cost.name not in found.cheapest.costs:
        return ""
    price = cost_in_words(cost, found.cheapest.costs[cost.name])
    cheapest = "cheaper of the two" if len(found.leaders) == 2 else "cheapest of them"
    return f"; {name_of(comparison, found.cheapest)} is the {cheapest} ({cost.title.lower()}: {price})"


def _undecided(comparison: Comparison, found: Verdict, by: str) -> str:
    others = [name_of(comparison, row) for row in found.leaders[1:]]
    return (
        f"Not enough evidence for a winner by {by}: {name_of(comparison, found.best)} has the best, "
        f"{_with_interval(found.metric, found.best)}, but {listed(others)} cannot be told apart from it."
    )


def _settling(comparison: Comparison, found: Verdict) -> str | None:
    """What would decide the hardest pair."""
    needed = found.needed
    if needed is None:
        return None
    ways = []
    if needed.seeds:
        ways.append(f"{needed.seeds} seeds of each in all")
    if needed.examples:
        ways.append(f"{needed.examples:,} test examples in all")
    other = name_of(comparison, needed.pair.other)
    pair = f"its difference to {other}, {_difference(needed.pair)}"
    if not ways:
        examples = f"{MOST_EXAMPLES:,} test examples"
        if needed.pair.apart.ours.seeds == 1:
            return f"Even {examples} would not settle {pair}."
        return f"Neither {MOST_SEEDS} seeds of each nor {examples} would settle {pair}, if only one is raised."
    return f"About {' or '.join(ways)} would settle {pair}, with a chance of {level_in_words(POWER)}."


def _leads(comparison: Comparison, found: Verdict) -> Iterator[str]:
    best, second = comparison.ranked(found.metric)[:2]
    rows = dict.fromkeys(row.label for row in (comparison.base, second) if row and row is not best)
    scored = {row.label: row for row in comparison.ranked(found.metric)}
    parts = [_lead(comparison, comparison.pair(found.metric, best, scored[label])) for label in rows if label in scored]
    if parts:
        yield (
            f"It leads {', and '.join(parts)}."
            if found.kind == "winner" and comparison.partial is None  # else other sentences stand between
            else (f"{_capital(name_of(comparison, best))} leads {', and '.join(parts)}.")
        )


def _lead(comparison: Comparison, pair: Pair) -> str:
    other = name_of(comparison, pair.other)
    who = other if pair.other is comparison.base else f"the next, {other},"
    reasons = {"different": "", "equal": ", too little to matter", "open": f", {_why_open(comparison, pair)}"}
    return f"{who} by {_difference(pair)}{reasons[pair.decision]}"


def _why_open(comparison: Comparison, pair: Pair) -> str:
    """An interval stands alone; that a difference holds must also stand up among all pairs."""
    if pair.difference.low <= 0:
        return "within the noise"
    options = comparison.run.recipe.verdict
    if not luck_is_known(pair.better, pair.other):
        return "with one training on one side, whose luck is not known"
    if pair.p >= 1 - options.confidence:
        pairs = counted(len(comparison.pairs(pair.metric)), "pair")
        return f"not beyond noise among {pairs} (p = {pair.p:.2f} after Holm)"
    return f"less than the {score_in_words(pair.metric, margin_of(pair.metric, options))} that matter"


def _difference(pair: Pair) -> str:
    return f"{score_in_words(pair.metric, pair.difference.mean)} ({_interval_of(pair)})"


def _interval_of(pair: Pair) -> str:
    return interval_in_words(pair.metric, pair.difference)


def _price(comparison: Comparison) -> Iterator[str]:
    best = comparison.best
    if best is None or best is comparison.base:
        return
    said = {
        "train_seconds": "{} of training",
        "training_memory": "at most {} of memory",
        "adapter_bytes": "{} of files",
    }
    cost = {c.name: c for c in COSTS}
    parts = [words.format(cost_in_words(cost[n], best.costs[n])) for n, words in said.items() if n in best.costs]
    if parts:
        each = " a seed" if len(best.finished) > 1 else ""
        yield f"{_capital(visible(best.label))} cost {listed(parts)}{each}."


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed([str(seed) for seed in seeds])}"


def _rests_on(comparison: Comparison) -> Iterator[str]:
    """What the intervals cover."""
    confidence = level_in_words(comparison.run.recipe.verdict.confidence)
    examples = max(row.scores[ROUGE_L.name].examples for row in comparison.rows if row.scores)
    trained = [len(row.finished) for row in comparison.rows if row.finished and row is not comparison.base]
    over = f"Intervals are {confidence}, over {counted(examples, 'test example')}"
    if not trained or max(trained) == 1:
        yield f"{over}; each method was trained once, so this speaks of these trainings and not yet of the methods."
    else:
        fewest, most = min(trained), max(trained)
        yield f"{over} and {most if fewest == most else f'{fewest} to {most}'} seeds of each method."


def _with_interval(metric: Metric, row: Row) -> str:
    estimate = row.scores[metric.name]
    return f"{score_in_words(metric, estimate.mean)} ({interval_in_words(metric, estimate)})"


def _capital(name: str) -> str:
    return "The untouched model" if name == "the untouched model" else name
