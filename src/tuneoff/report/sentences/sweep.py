"""What a sweep shows, in sentences: how scores change with the swept parameter, and the gaps between methods."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tuneoff.analysis.sweep import Point, Sweep
from tuneoff.metrics import Metric
from tuneoff.recipe.sweep import SINGLE_COMPARISON, expand_sweep
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_interval, format_score, join_list
from tuneoff.report.hyperparameters import format_sweep_value, get_parameter_title
from tuneoff.report.main_metrics import list_main


def describe_conclusions(sweep: Sweep) -> Iterator[str]:
    """Yield how the parameter changes each method's main metrics, and the gaps between methods.

    The base model has no sentence: the figures show it.
    """
    is_ordered = all(point.place is not None for line in sweep.lines.values() for point in line)
    describe = _describe_course if is_ordered else _describe_best
    for metric in list_main(sweep.metrics):
        for label, line in sweep.lines.items():
            scored = [point for point in line if metric.name in point.row.scores]
            if len(scored) > 1 and not scored[0].row.is_base:
                yield f"{metric.title} of {escape_control(label)} {describe(sweep, scored, metric)}."
        if is_ordered:
            yield from _describe_gaps(sweep, metric)


def describe_misfits(sweep: Sweep) -> Iterator[str]:
    """Yield which methods do not fit, at which values of the parameter, and why."""
    assert sweep.recipe.sweep is not None, "a sweep has a swept parameter"
    values = dict(zip(expand_sweep(sweep.recipe), sweep.recipe.sweep.values, strict=False))
    places: dict[tuple[str, str], list[str]] = {}
    for name, comparison in sweep.comparisons.items():
        for label, reason in comparison.run.misfits.items():
            value = "" if name == SINGLE_COMPARISON else format_sweep_value(sweep, values[name])
            places.setdefault((label, reason), []).append(value)
    for (label, reason), found in places.items():
        place = f" at {join_list(found)}" if any(found) else ""
        yield f"{escape_control(label)} does not fit{place}: {escape_control(reason).rstrip('.')}."


def _describe_course(sweep: Sweep, line: Sequence[Point], metric: Metric) -> str:
    """Describe the scores up to the first value that is not shown to be worse than the best, and those beyond."""
    first, last, best = line[0], line[-1], _find_best(line, metric)
    if _has_single_runs(line):
        extreme = "highest" if metric.higher_is_better else "lowest"
        return (
            f"goes from {_format_score_at(sweep, first, metric)} to {_format_score_at(sweep, last, metric)} and is "
            f"{extreme} at {_format_value_at(sweep, best)}; how far another run would move is not known"
        )
    enough = next(i for i, point in enumerate(line) if not _is_beyond_noise(point, best, metric))
    beyond = line[enough + 1 :]
    worse = [point for point in beyond if _is_beyond_noise(point, line[enough], metric)]
    improves, worsens = ("rises", "falls") if metric.higher_is_better else ("falls", "rises")
    parts = []
    if enough:
        parts.append(
            f"{improves} from {_format_score_at(sweep, first, metric)} to "
            f"{_format_score_at(sweep, line[enough], metric)}"
        )
    if worse and worse[-1] is last:
        start = f"from {_format_score_at(sweep, line[enough], metric)} " if not enough else ""
        parts.append(f"{worsens} {start}to {_format_score_at(sweep, last, metric)}")
    elif beyond and enough:
        parts.append(f"beyond {_format_value_at(sweep, line[enough])} any change is within noise")
    elif not enough:
        parts.append(
            f"changes within noise only, from {_format_score_at(sweep, first, metric)} to "
            f"{_format_score_at(sweep, last, metric)}"
        )
    return "; ".join(parts)


def _describe_best(sweep: Sweep, line: Sequence[Point], metric: Metric) -> str:
    """Describe the best of several values without an order."""
    best = _find_best(line, metric)
    if _has_single_runs(line):
        extreme = "highest" if metric.higher_is_better else "lowest"
        score = format_score(metric, best.row.scores[metric.name].mean)
        where = format_sweep_value(sweep, best.value)
        return f"is {extreme} at {where}, {score}; how far another run would move is not known"
    others = [point for point in line if point is not best and not _is_beyond_noise(point, best, metric)]
    names = [format_sweep_value(sweep, point.value) for point in others]
    tied = f"; {join_list(names)} {'is' if len(names) == 1 else 'are'} not shown to be worse" if names else ""
    score = format_score(metric, best.row.scores[metric.name].mean)
    return f"is best at {format_sweep_value(sweep, best.value)}, {score}{tied}"


def _describe_gaps(sweep: Sweep, metric: Metric) -> Iterator[str]:
    """Yield how far the method that is best at the last value is ahead of each other, at the first and last value.

    Only for values at which all methods are trained, because the test examples are paired there.
    """
    trained = {
        label: {point.value: point for point in line if metric.name in point.row.scores}
        for label, line in sweep.lines.items()
        if not line[0].row.is_base
    }
    if len(trained) < 2:
        return
    shared = [value for value in next(iter(trained.values())) if all(value in line for line in trained.values())]
    if len(shared) < 2:
        return
    ends = shared[0], shared[-1]
    leader = _find_best([line[ends[1]] for line in trained.values()], metric).row.label
    for label in trained:
        if label != leader:
            first, last = (_format_lead(sweep, trained[leader][end], trained[label][end], metric) for end in ends)
            names = f"{escape_control(leader)} is ahead of {escape_control(label)}"
            yield f"{metric.title}: {names} by {first}, and by {last}."


def _format_lead(sweep: Sweep, point: Point, other: Point, metric: Metric) -> str:
    """Format a lead, such as `5.0 (3.1 to 7.0) at rank 4`, which is negative where the point is behind."""
    pair = point.comparison.find_pair(metric, point.row, other.row)
    lead = pair.difference
    if pair.better is not point.row:
        lead = replace(lead, mean=-lead.mean, low=-lead.high, high=-lead.low)
    return f"{format_score(metric, lead.mean)} ({format_interval(metric, lead)}) at {_format_value_at(sweep, point)}"


def _find_best(line: Sequence[Point], metric: Metric) -> Point:
    choose = max if metric.higher_is_better else min
    return choose(line, key=lambda point: point.row.scores[metric.name].mean)


def _has_single_runs(line: Sequence[Point]) -> bool:
    return any(len(point.row.finished) < 2 for point in line)


def _is_beyond_noise(point: Point, other: Point, metric: Metric) -> bool:
    """Return whether two points differ: by their pair within one comparison, and where their intervals do not overlap
    between settings, in which nothing is paired."""
    if point.comparison is other.comparison:
        return point is not other and point.comparison.find_pair(metric, point.row, other.row).is_beyond_noise
    score, other_score = point.row.scores[metric.name], other.row.scores[metric.name]
    return score.low > other_score.high or other_score.low > score.high


def _format_score_at(sweep: Sweep, point: Point, metric: Metric) -> str:
    return f"{format_score(metric, point.row.scores[metric.name].mean)} at {_format_value_at(sweep, point)}"


def _format_value_at(sweep: Sweep, point: Point) -> str:
    """Format a value with the parameter's title, `rank 16` or `100 train examples`; a word needs no title."""
    title, value = get_parameter_title(sweep), format_sweep_value(sweep, point.value)
    if isinstance(point.value, str):
        return value
    return f"{value} {title}" if title.endswith("s") else f"{title} {value}"
