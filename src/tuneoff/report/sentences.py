"""Numbers as a reader says them, and the verdict in sentences."""

from collections.abc import Iterator, Sequence

from tuneoff.analysis.comparison import Comparison, Pair, Row, get_margin, has_known_seed_variance
from tuneoff.analysis.metrics import COSTS, Metric
from tuneoff.analysis.partial import Partial
from tuneoff.analysis.verdict import MOST_EXAMPLES, MOST_SEEDS, POWER, Verdict, decide_verdict
from tuneoff.budget.estimate import estimate_remaining_seconds
from tuneoff.report.escape import escape_control
from tuneoff.report.format import (
    LOSS,
    ROUGE_L,
    format_cost,
    format_interval,
    format_level,
    format_score,
    format_seconds,
    join_list,
    pluralize,
)


def get_name(comparison: Comparison, row: Row) -> str:
    """What a sentence calls a row."""
    return "the untouched model" if row is comparison.base else escape_control(row.label)


def describe_verdict(comparison: Comparison) -> tuple[str, ...]:
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
        name = _capital(get_name(comparison, best))
        return (f"{name} is the only one scored so far: test ROUGE-L {_with_interval(ROUGE_L, best)}.",)
    return (
        *_by_metric(comparison, decide_verdict(comparison, ROUGE_L), "test ROUGE-L"),
        *_by_metric(comparison, decide_verdict(comparison, LOSS), "evaluation loss"),
        *_price(comparison),
        *_rests_on(comparison),
    )


def _partial(comparison: Comparison, partial: Partial) -> Iterator[str]:
    """What it rests on, what it leaves out, and how much more it would take."""
    if partial.seeds and len(partial.seeds) < len(partial.planned):
        of = join_list([str(seed) for seed in partial.planned])
        yield f"It rests on {_seeds(partial.seeds)} of {of}, which every method that was tried has."
    if partial.waiting:
        waiting = [f"{pluralize(n, 'training')} of {escape_control(label)}" for label, n in partial.waiting.items()]
        yield f"Set aside until the others have the same seeds: {join_list(waiting)}."
    if partial.untried:
        has = "has" if len(partial.untried) == 1 else "have"
        names = join_list([escape_control(label) for label in partial.untried])
        yield f"Nothing can be said of {names}, which {has} no trial yet."
    spending, run = comparison.spending, comparison.run
    if spending and spending.probe:
        done = [record.trial for record in run.records]
        left = format_seconds(estimate_remaining_seconds(run.recipe, run.data, spending.probe, done))
        yield f"The rest is predicted to take {left} more; the same command with a larger budget goes on from here."


def _cut(comparison: Comparison) -> Iterator[str]:
    """What the budget left out of the recipe."""
    fit = comparison.spending.fit if comparison.spending else None
    if fit and fit.cuts:
        yield (
            f"To fit a budget of {format_seconds(fit.whole_seconds)} the plan was cut, for all methods alike, to "
            f"{join_list(fit.cuts)}; uncut it was predicted to take {format_seconds(fit.asked_seconds)}."
        )


def _nothing_scored(comparison: Comparison) -> str:
    statuses = [record.status for row in comparison.rows for record in row.records]
    ended = [pluralize(n, s + " trial") for s in ("failed", "diverged") if (n := statuses.count(s))]
    return f"No trial came to a score: {join_list(ended)}." if ended else "No trial has a score yet."


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
    return f"{_capital(get_name(comparison, found.best))} wins by {by}: {score}, better than every other beyond noise."


def _tied(comparison: Comparison, found: Verdict, by: str) -> str:
    names = [get_name(comparison, row) for row in found.leaders]
    margin = format_score(found.metric, get_margin(found.metric, comparison.run.recipe.verdict))
    pairs = [comparison.pair(found.metric, found.best, row) for row in found.leaders[1:]]
    farthest = max(pairs, key=lambda pair: max(-pair.difference.low, pair.difference.high))
    return (
        f"{_capital(join_list(names))} tie by {by}: they differ by {'at most ' if len(pairs) > 1 else ''}"
        f"{_difference(farthest)}, less than the margin of {margin} that matters{_cheaper(comparison, found)}."
    )


def _cheaper(comparison: Comparison, found: Verdict) -> str:
    cost = next(c for c in COSTS if c.name == comparison.run.recipe.verdict.cheaper_by)
    if cost.name not in found.cheapest.costs:
        return ""
    price = format_cost(cost, found.cheapest.costs[cost.name])
    cheapest = "cheaper of the two" if len(found.leaders) == 2 else "cheapest of them"
    return f"; {get_name(comparison, found.cheapest)} is the {cheapest} ({cost.title.lower()}: {price})"


def _undecided(comparison: Comparison, found: Verdict, by: str) -> str:
    others = [get_name(comparison, row) for row in found.leaders[1:]]
    return (
        f"Not enough evidence for a winner by {by}: {get_name(comparison, found.best)} has the best, "
        f"{_with_interval(found.metric, found.best)}, but {join_list(others)} cannot be told apart from it."
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
    other = get_name(comparison, needed.pair.other)
    pair = f"its difference to {other}, {_difference(needed.pair)}"
    if not ways:
        examples = f"{MOST_EXAMPLES:,} test examples"
        if needed.pair.apart.ours.seeds == 1:
            return f"Even {examples} would not settle {pair}."
        return f"Neither {MOST_SEEDS} seeds of each nor {examples} would settle {pair}, if only one is raised."
    return f"About {' or '.join(ways)} would settle {pair}, with a chance of {format_level(POWER)}."


def _leads(comparison: Comparison, found: Verdict) -> Iterator[str]:
    best, second = comparison.ranked(found.metric)[:2]
    rows = dict.fromkeys(row.label for row in (comparison.base, second) if row and row is not best)
    scored = {row.label: row for row in comparison.ranked(found.metric)}
    parts = [_lead(comparison, comparison.pair(found.metric, best, scored[label])) for label in rows if label in scored]
    if parts:
        yield (
            f"It leads {', and '.join(parts)}."
            if found.kind == "winner" and comparison.partial is None  # else other sentences stand between
            else (f"{_capital(get_name(comparison, best))} leads {', and '.join(parts)}.")
        )


def _lead(comparison: Comparison, pair: Pair) -> str:
    other = get_name(comparison, pair.other)
    who = other if pair.other is comparison.base else f"the next, {other},"
    reasons = {"different": "", "equal": ", too little to matter", "open": f", {_why_open(comparison, pair)}"}
    return f"{who} by {_difference(pair)}{reasons[pair.decision]}"


def _why_open(comparison: Comparison, pair: Pair) -> str:
    """An interval stands alone; that a difference holds must also stand up among all pairs."""
    if pair.difference.low <= 0:
        return "within the noise"
    options = comparison.run.recipe.verdict
    if not has_known_seed_variance(pair.better, pair.other):
        return "with one training on one side, whose luck is not known"
    if pair.p >= 1 - options.confidence:
        pairs = pluralize(len(comparison.pairs(pair.metric)), "pair")
        return f"not beyond noise among {pairs} (p = {pair.p:.2f} after Holm)"
    return f"less than the {format_score(pair.metric, get_margin(pair.metric, options))} that matter"


def _difference(pair: Pair) -> str:
    return f"{format_score(pair.metric, pair.difference.mean)} ({_interval_of(pair)})"


def _interval_of(pair: Pair) -> str:
    return format_interval(pair.metric, pair.difference)


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
    parts = [words.format(format_cost(cost[n], best.costs[n])) for n, words in said.items() if n in best.costs]
    if parts:
        each = " a seed" if len(best.finished) > 1 else ""
        yield f"{_capital(escape_control(best.label))} cost {join_list(parts)}{each}."


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {join_list([str(seed) for seed in seeds])}"


def _rests_on(comparison: Comparison) -> Iterator[str]:
    """What the intervals cover."""
    confidence = format_level(comparison.run.recipe.verdict.confidence)
    examples = max(row.scores[ROUGE_L.name].examples for row in comparison.rows if row.scores)
    trained = [len(row.finished) for row in comparison.rows if row.finished and row is not comparison.base]
    over = f"Intervals are {confidence}, over {pluralize(examples, 'test example')}"
    if not trained or max(trained) == 1:
        yield f"{over}; each method was trained once, so this speaks of these trainings and not yet of the methods."
    else:
        fewest, most = min(trained), max(trained)
        yield f"{over} and {most if fewest == most else f'{fewest} to {most}'} seeds of each method."


def _with_interval(metric: Metric, row: Row) -> str:
    estimate = row.scores[metric.name]
    return f"{format_score(metric, estimate.mean)} ({format_interval(metric, estimate)})"


def _capital(name: str) -> str:
    return "The untouched model" if name == "the untouched model" else name
