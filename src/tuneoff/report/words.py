"""Numbers as a reader says them, and the verdict in sentences."""

from collections.abc import Iterator, Sequence

from tuneoff.comparison import COSTS, METRICS, Comparison, Cost, Lead, Metric, Row
from tuneoff.evaluation.statistics import Estimate
from tuneoff.report.visible import visible

ROUGE_L = METRICS[0]
LOSS = next(metric for metric in METRICS if metric.name == "loss")
MINUS = "−"


def count_in_words(count: float) -> str:
    """`9,216`, `460.8 k`, `134.5 M` or `1.24 B`: as many digits as tell two methods apart."""
    if abs(count) < 10_000:
        return f"{count:,.0f}"
    if abs(count) < 999_950:
        return f"{count / 1e3:.1f} k"
    if abs(count) < 999_950_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e9:.2f} B"


def bytes_in_words(size: float) -> str:
    """Decimal units, as disks and most memory charts count: 1 GB is 10⁹ bytes."""
    if size < 1000:
        return f"{size:.0f} B"
    if size < 999_500:
        return f"{size / 1e3:.0f} kB"
    if size < 999_950_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e9:.2f} GB"


def seconds_in_words(seconds: float) -> str:
    """`4.2 s`, `42 s`, `3 min 12 s` or `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def rate_in_words(rate: float) -> str:
    """A learning rate as people write it: `5e-4`, `0.05`."""
    if not rate or rate >= 0.01:
        return f"{rate:g}"
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def share_in_words(share: float) -> str:
    """A share of one as a percentage; what is not nothing never looks like nothing."""
    percent = 100 * share
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def score_in_words(metric: Metric, value: float) -> str:
    """ROUGE × 100 with one decimal, a loss with three; a minus is a minus."""
    return f"{value:.{_decimals(metric)}f}".replace("-", MINUS)


def interval_in_words(metric: Metric, estimate: Estimate) -> str:
    """`19.8 to 22.9`."""
    return f"{score_in_words(metric, estimate.low)} to {score_in_words(metric, estimate.high)}"


def cost_in_words(cost: Cost, value: float) -> str:
    """A cost with its unit."""
    match cost.unit:
        case "bytes":
            return bytes_in_words(value)
        case "s":
            return seconds_in_words(value)
        case "%":
            return share_in_words(value / 100)
        case "ms":
            return f"{value:.1f} ms"
        case "×":
            return f"{value:.2f} ×"
        case "1/s":
            return f"{value:,.0f} /s"
        case _:
            return count_in_words(value)


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def name_of(comparison: Comparison, row: Row) -> str:
    """What a sentence calls a row."""
    return "the untouched model" if row is comparison.base else visible(row.label)


def verdict(comparison: Comparison) -> tuple[str, ...]:
    """Who won, by how much, whether that can be told from noise, and what it costs; the first sentence says most."""
    ranked = comparison.ranked(ROUGE_L)
    if not ranked:
        return (_nothing_scored(comparison),)
    best = ranked[0]
    if len(ranked) == 1:
        name = _capital(name_of(comparison, best))
        return (f"{name} is the only one scored so far: test ROUGE-L {_with_interval(ROUGE_L, best)}.",)
    return (_headline(comparison, ranked), *_leads(comparison, ranked), *_by_loss(comparison), *_price(comparison))


def _nothing_scored(comparison: Comparison) -> str:
    statuses = [record.status for row in comparison.rows for record in row.records]
    ended = [counted(n, s + " trial") for s in ("failed", "diverged") if (n := statuses.count(s))]
    return f"No trial came to a score: {listed(ended)}." if ended else "No trial has a score yet."


def _headline(comparison: Comparison, ranked: Sequence[Row]) -> str:
    best, *others = ranked
    leads = [lead for row in others if (lead := comparison.lead(ROUGE_L, row))]
    tied = [name_of(comparison, lead.other) for lead in leads if not lead.beyond_noise]
    name, score = _capital(name_of(comparison, best)), score_in_words(ROUGE_L, best.scores[ROUGE_L.name].mean)
    if tied:
        return (
            f"{name} has the best test ROUGE-L, {score}, but {listed(tied)} "
            f"cannot be told apart from it: their distance is within the noise of the test examples."
        )
    if best is comparison.base:
        return f"No training helped: {name[0].lower()}{name[1:]} has the best test ROUGE-L, {score}."
    return f"{name} wins: test ROUGE-L {score}, ahead of every other by more than the noise of the test examples."


def _leads(comparison: Comparison, ranked: Sequence[Row]) -> Iterator[str]:
    best, second = ranked[:2]
    others = dict.fromkeys(row.label for row in (comparison.base, second) if row and row is not best)
    leads = [
        lead
        for row in ranked
        if row.label in others and ROUGE_L.name in row.scores and (lead := comparison.lead(ROUGE_L, row))
    ]
    leads.sort(key=lambda lead: list(others).index(lead.other.label))
    interval = interval_in_words(ROUGE_L, best.scores[ROUGE_L.name])
    examples = counted(best.scores[ROUGE_L.name].examples, "test example")
    parts = [_lead_in_words(comparison, lead) for lead in leads]
    yield f"Over {examples} its 95 % interval is {interval}; it leads {', and '.join(parts)}."


def _lead_in_words(comparison: Comparison, lead: Lead) -> str:
    other = name_of(comparison, lead.other)
    runner_up = lead.other is not comparison.base
    noise = "" if lead.beyond_noise else ", which is within the noise"
    difference = score_in_words(lead.metric, lead.difference.mean)
    who = f"the runner-up, {other}," if runner_up else other
    return f"{who} by {difference} ({interval_in_words(lead.metric, lead.difference)}){noise}"


def _by_loss(comparison: Comparison) -> Iterator[str]:
    lead = comparison.lead(LOSS)
    if lead is None:
        return
    score = f"{_with_interval(LOSS, lead.best)} nats per target token"
    if lead.best is comparison.best:
        yield f"It also has the lowest evaluation loss: {score}."
        return
    noise = "beyond" if lead.beyond_noise else "within"
    other, difference = name_of(comparison, lead.other), score_in_words(LOSS, lead.difference.mean)
    yield (
        f"By evaluation loss {name_of(comparison, lead.best)} is best: {score}, "
        f"{difference} below {other}, {noise} the noise."
    )


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
    trained = [len(row.finished) for row in comparison.rows if row.finished and row is not comparison.base]
    if max(trained) == 1:
        yield "Each method was trained once, so this speaks of these trainings and not yet of the methods."
    else:
        fewest, most = min(trained), max(trained)
        yield f"Scores are means over {most if fewest == most else f'{fewest} to {most}'} seeds."


def _with_interval(metric: Metric, row: Row) -> str:
    estimate = row.scores[metric.name]
    return f"{score_in_words(metric, estimate.mean)} ({interval_in_words(metric, estimate)})"


def _capital(name: str) -> str:
    return "The untouched model" if name == "the untouched model" else name


def _decimals(metric: Metric) -> int:
    return 3 if metric.name == LOSS.name else 1
