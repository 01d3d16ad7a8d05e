"""How the report and the terminal write numbers: scores, intervals, sizes, times, money and lists of names."""

from collections.abc import Sequence

from tuneoff.analysis.amount import Amount
from tuneoff.analysis.costs import Cost
from tuneoff.analysis.statistics import Estimate
from tuneoff.metrics import Metric

MINUS = "−"
NOTHING = "–"  # in place of a number that does not exist
WIDEST_COST = 100  # times its low end, up to which the ends of a cost's interval are written


def format_count(count: float) -> str:
    """Format a count with enough digits to distinguish two methods: `9,216`, `460.8 k`, `134.5 M` or `1.24 B`."""
    if abs(count) < 10_000:
        return f"{count:,.0f}"
    if abs(count) < 999_950:
        return f"{count / 1e3:.1f} k"
    if abs(count) < 999_950_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e9:.2f} B"


def format_bytes(size: float) -> str:
    """Format bytes in decimal units, as disks and most memory charts do: 1 GB is 10⁹ bytes."""
    if size < 1000:
        return f"{size:.0f} B"
    if size < 999_500:
        return f"{size / 1e3:.0f} kB"
    if size < 999_950_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e9:.2f} GB"


def format_seconds(seconds: float) -> str:
    """Format a duration: `4.2 s`, `42 s`, `3 min 12 s` or `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def format_money(seconds: float, price_per_hour: float) -> str:
    """Format what so many seconds cost, in the currency of the price, which the recipe does not name."""
    return f"{seconds / 3600 * price_per_hour:,.2f}"


def format_rate(rate: float) -> str:
    """Format a learning rate in short notation: `5e-4`, `0.05`."""
    if not rate or rate >= 0.01:
        return f"{rate:g}"
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def format_share(share: float) -> str:
    """Format a share in [0, 1] as a percentage. Only zero is shown as zero."""
    percent = 100 * share
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def format_confidence(probability: float) -> str:
    """Format a confidence level or power, with the digits it was set with: `95 %`, `97.5 %`."""
    return f"{100 * probability:g} %"


def format_signed(value: float, decimals: int) -> str:
    """Format a number that always has a sign: `+1.2`, `−0.3`."""
    return f"{value:+.{decimals}f}".replace("-", MINUS)


def format_score(metric: Metric, value: float) -> str:
    """Format a score with the decimals of its metric."""
    return f"{value:.{metric.decimals}f}".replace("-", MINUS)


def format_interval(metric: Metric, estimate: Estimate) -> str:
    """Format the ends of an interval: `19.8 to 22.9`."""
    return f"{format_score(metric, estimate.low)} to {format_score(metric, estimate.high)}"


def format_cost(cost: Cost, value: float) -> str:
    """Format a cost with its unit."""
    match cost.unit:
        case "bytes":
            return format_bytes(value)
        case "s":
            return format_seconds(value)
        case "%":
            return format_share(value / 100)
        case "ms":
            return f"{value:.1f} ms"
        case "×":
            return f"{value:.2f} ×"
        case "1/s":
            return f"{value:,.0f} /s"
        case _:
            return format_count(value)


def format_cost_interval(cost: Cost, amount: Amount) -> str:
    """Format the ends of a cost's interval, each with its unit; empty without an interval, or if it is too short.

    The interval of two runs may reach from no time to a year. Such ends would be read as if they meant something.
    """
    if amount.interval and amount.interval[1] > WIDEST_COST * amount.interval[0]:
        return "too few runs to say"
    low, high = (format_cost(cost, end) for end in amount.interval or (amount.mean, amount.mean))
    return f"{low} to {high}" if low != high else ""


def join_list(names: Sequence[str]) -> str:
    """Join names as in a sentence: `a`, `a and b`, or `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def pluralize(count: int, singular: str, plural: str | None = None) -> str:
    """Return the count with its noun: `1 seed`, `2 seeds`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
