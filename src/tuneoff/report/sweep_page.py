"""The report of a study: a page of quality and cost along one knob, and its figures as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import yaml

from tuneoff.analysis.row import Row
from tuneoff.analysis.sweep import Point, Sweep
from tuneoff.records.metrics import LOSS, ROUGE_L, Metric
from tuneoff.report.charts.sweep import COST, QUALITY, assign_line_colors, draw_sweep, list_titles
from tuneoff.report.escape import escape_control
from tuneoff.report.figures import make_page_specification, write_figures
from tuneoff.report.format import format_cost, format_interval, format_score, join_list
from tuneoff.report.html import render_document
from tuneoff.report.hyperparameters import format_sweep_value, get_parameter_title
from tuneoff.system.atomic_write import write_atomically

NOTHING = "–"


def write_sweep_report(sweep: Sweep, folder: Path) -> Path:
    """Write `index.html` and `figures/` into `folder`, the `report` of the study's own folder.

    Returns:
        The page.
    """
    charts, titles = draw_sweep(sweep), list_titles(sweep)
    drawn = write_figures(charts, folder / "figures", titles)
    index = folder / "index.html"
    page = render_document(
        "sweep.html.j2",
        {name: make_page_specification(chart) for name, chart in charts.items()},
        drawn,
        recipe=sweep.recipe,
        parameter=get_parameter_title(sweep),
        conclusions=list(describe_conclusions(sweep))
        or ["No value of the knob has a score to compare with another's yet."],
        colours=assign_line_colors(sweep),
        titles=titles,
        quality=[name for one in QUALITY if (name := f"study-{one.name}") in drawn],
        cost=[name for one in COST if (name := f"study-{one.name}") in drawn],
        columns=[one.title for one in (*QUALITY, *COST)],
        references=sweep.references,
        devices=list(dict.fromkeys(escape_control(c.setting.device) for c in sweep.comparisons.values())),
        lines=list(_lines(sweep)),
        pages=[(name, _address(name)) for name in sweep.comparisons],
        recipe_yaml=yaml.safe_dump(sweep.recipe.to_dict(), sort_keys=False, allow_unicode=True),
    )
    write_atomically(index, page)
    return index


def describe_conclusions(sweep: Sweep) -> Iterator[str]:
    """What the knob does to each method's ROUGE-L, and then to its loss; and to what lies between the methods."""
    ordered = all(point.place is not None for line in sweep.lines.values() for point in line)
    for metric in (ROUGE_L, LOSS):
        for label, line in sweep.lines.items():
            scored = [point for point in line if metric.name in point.row.scores]
            if len(scored) > 1 and not scored[0].row.is_base:  # of the untouched model, the figures
                subject = f"{metric.title} of {escape_control(label)}"
                yield f"{subject} {_course(sweep, scored, metric) if ordered else _choice(sweep, scored, metric)}."
        if ordered:
            yield from _gaps(sweep, metric)


def _gaps(sweep: Sweep, metric: Metric) -> Iterator[str]:
    """How far the method that is best at the last value was ahead of each other at the first, and is at the last.

    Only where both are trained at each value: there, test examples are paired.
    """
    trained = {
        label: {p.value: p for p in line if metric.name in p.row.scores}
        for label, line in sweep.lines.items()
        if not line[0].row.is_base
    }
    if len(trained) < 2:
        return
    shared = [value for value in next(iter(trained.values())) if all(value in line for line in trained.values())]
    if len(shared) < 2:
        return
    ends = shared[0], shared[-1]
    leader = _best([line[ends[1]] for line in trained.values()], metric).row.label
    for label in trained:
        if label != leader:
            first, last = (_lead(sweep, trained[leader][end], trained[label][end], metric) for end in ends)
            yield f"{metric.title}: {escape_control(leader)} is ahead of {escape_control(label)} by {first}, and by {last}."


def _lead(sweep: Sweep, ours: Point, theirs: Point, metric: Metric) -> str:
    """`5.0 [3.1 to 7.0] at rank 4`; below zero where it is behind."""
    pair = ours.comparison.find_pair(metric, ours.row, theirs.row)
    lead = pair.difference
    if pair.better is not ours.row:
        lead = replace(lead, mean=-lead.mean, low=-lead.high, high=-lead.low)
    return f"{format_score(metric, lead.mean)} [{format_interval(metric, lead)}] at {_at(sweep, ours)}"


def _course(sweep: Sweep, line: Sequence[Point], metric: Metric) -> str:
    """Up to where more of the knob helps: the first value that cannot be told apart from the best."""
    best = _best(line, metric)
    enough = next(i for i, point in enumerate(line) if not _beyond_noise(point, best, metric))
    after = line[enough + 1 :]
    worse = [point for point in after if _beyond_noise(point, line[enough], metric)]
    better, poorer = ("rises", "falls") if metric.higher_is_better else ("falls", "rises")
    first, last = line[0], line[-1]
    parts = []
    if enough:
        parts.append(f"{better} from {_score_at(sweep, first, metric)} to {_score_at(sweep, line[enough], metric)}")
    if worse and worse[-1] is last:
        start = f"from {_score_at(sweep, line[enough], metric)} " if not enough else ""
        parts.append(f"{poorer} {start}to {_score_at(sweep, last, metric)}")
    elif after and enough:
        parts.append(f"beyond {_at(sweep, line[enough])} there is no difference beyond noise")
    elif not enough:
        parts.append(
            f"does not change beyond noise, from {_score_at(sweep, first, metric)} to {_score_at(sweep, last, metric)}"
        )
    return "; ".join(parts)


def _choice(sweep: Sweep, line: Sequence[Point], metric: Metric) -> str:
    """Which of several words is best, where they have no order."""
    best = _best(line, metric)
    tied = [format_sweep_value(sweep, p.value) for p in line if p is not best and not _beyond_noise(p, best, metric)]
    cannot = f", and {join_list(tied)} cannot be told apart from it" if tied else ""
    return f"is best at {format_sweep_value(sweep, best.value)}, {format_score(metric, best.row.scores[metric.name].mean)}{cannot}"


def _best(line: Sequence[Point], metric: Metric) -> Point:
    choose = max if metric.higher_is_better else min
    return choose(line, key=lambda point: point.row.scores[metric.name].mean)


def _beyond_noise(one: Point, other: Point, metric: Metric) -> bool:
    """In one comparison the paired test decides; between settings nothing is paired, so the intervals must part."""
    if one.comparison is other.comparison:
        return one is not other and one.comparison.find_pair(metric, one.row, other.row).decision == "different"
    ours, theirs = one.row.scores[metric.name], other.row.scores[metric.name]
    return ours.low > theirs.high or theirs.low > ours.high


def _score_at(sweep: Sweep, point: Point, metric: Metric) -> str:
    return f"{format_score(metric, point.row.scores[metric.name].mean)} at {_at(sweep, point)}"


def _at(sweep: Sweep, point: Point) -> str:
    """`rank 16`, `100 train examples`; what is a word says itself what it is."""
    knob, value = get_parameter_title(sweep), format_sweep_value(sweep, point.value)
    if isinstance(point.value, str):
        return value
    return f"{value} {knob}" if knob.endswith("s") else f"{knob} {value}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One point of the study as a line of its table."""

    label: str
    value: str
    cells: tuple[tuple[str, str], ...]  # each with its interval, or with nothing
    page: str  # of the comparison that it stands in


def _lines(sweep: Sweep) -> Iterator[Line]:
    for label, line in sweep.lines.items():
        for point in line:
            yield _line(sweep, label, format_sweep_value(sweep, point.value), point.row)
    for row in sweep.references:
        yield _line(sweep, row.label, NOTHING, row)


def _line(sweep: Sweep, label: str, value: str, row: Row) -> Line:
    name = next(name for name, c in sweep.comparisons.items() if any(row is there for there in c.rows))
    return Line(label=label, value=value, cells=tuple(_cells(row)), page=_address(name))


def _cells(row: Row) -> Iterator[tuple[str, str]]:
    for one in (*QUALITY, *COST):
        if isinstance(one, Metric):
            estimate = row.scores.get(one.name)
            yield (format_score(one, estimate.mean), format_interval(one, estimate)) if estimate else (NOTHING, "")
        else:
            spent = row.costs.get(one.name)
            yield (format_cost(one, spent) if spent else NOTHING, "")


def _address(name: str) -> str:
    """From the study's page to the page of one of its comparisons."""
    return f"../values/{quote(name)}/report/index.html"
