"""How numbers are written for a reader: scores, intervals, sizes, times, money."""

from collections.abc import Sequence

from tuneoff.analysis.costs import Cost
from tuneoff.analysis.statistics import Estimate
from tuneoff.records.metrics import Metric

MINUS = "−"


def format_count(count: float) -> str:
    """`9,216`, `460.8 k`, `134.5 M` or `1.24 B`: as many digits as tell two methods apart."""
    if abs(count) < 10_000:
        return f"{count:,.0f}"
    if abs(count) < 999_950:
        return f"{count / 1e3:.1f} k"
    if abs(count) < 999_950_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e9:.2f} B"


def format_bytes(size: float) -> str:
    """Decimal units, as disks and most memory charts count: 1 GB is 10⁹ bytes."""
    if size < 1000:
        return f"{size:.0f} B"
    if size < 999_500:
        return f"{size / 1e3:.0f} kB"
    if size < 999_950_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e9:.2f} GB"


def format_seconds(seconds: float) -> str:
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


def format_rate(rate: float) -> str:
    """A learning rate as people write it: `5e-4`, `0.05`."""
    if not rate or rate >= 0.01:
        return f"{rate:g}"
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def format_share(share: float) -> str:
    """A share of one as a percentage; what is not nothing never looks like nothing."""
    percent = 100 * share
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def format_confidence(level: float) -> str:
    """A confidence or a chance that somebody set, in the digits that it was set with: `95 %`, `97.5 %`."""
    return f"{100 * level:g} %"


def format_score(metric: Metric, value: float) -> str:
    """A score with the decimals of its metric, and a real minus sign."""
    return f"{value:.{metric.decimals}f}".replace("-", MINUS)


def format_interval(metric: Metric, estimate: Estimate) -> str:
    """`19.8 to 22.9`."""
    return f"{format_score(metric, estimate.low)} to {format_score(metric, estimate.high)}"


def format_cost(cost: Cost, value: float) -> str:
    """A cost with its unit."""
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


def join_list(names: Sequence[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def pluralize(count: int, one: str, many: str | None = None) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
