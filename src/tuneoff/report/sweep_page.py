"""The report of a study: a page of quality and cost along one knob, and its figures as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import yaml

from tuneoff.analysis.comparison import Row
from tuneoff.analysis.metrics import Metric
from tuneoff.analysis.sweep import Point, Study
from tuneoff.report.charts.sweep import COST, QUALITY, colours_of, draw_study, titles_of
from tuneoff.report.escape import visible
from tuneoff.report.format import LOSS, ROUGE_L, cost_in_words, interval_in_words, listed, score_in_words
from tuneoff.report.html import document
from tuneoff.report.hyperparameters import knob_of, value_of
from tuneoff.report.render import specification_for_page, write_figures
from tuneoff.runs import write_whole

NOTHING = "–"


def write_study(study: Study, folder: Path) -> Path:
    """Write `index.html` and `figures/` into `folder`, the `report` of the study's own folder.

    Returns:
        The page.
    """
    charts, titles = draw_study(study), titles_of(study)
    drawn = write_figures(charts, folder / "figures", titles)
    index = folder / "index.html"
    page = document(
        "study.html.j2",
        {name: specification_for_page(chart) for name, chart in charts.items()},
        drawn,
        recipe=study.recipe,
        knob=knob_of(study),
        conclusions=list(conclusions(study)) or ["No value of the knob has a score to compare with another's yet."],
        colours=colours_of(study),
        titles=titles,
        quality=[name for one in QUALITY if (name := f"study-{one.name}") in drawn],
        cost=[name for one in COST if (name := f"study-{one.name}") in drawn],
        columns=[one.title for one in (*QUALITY, *COST)],
        references=study.references,
        devices=list(dict.fromkeys(visible(c.setting.device) for c in study.comparisons.values())),
        lines=list(_lines(study)),
        pages=[(name, _address(name)) for name in study.comparisons],
        recipe_yaml=yaml.safe_dump(study.recipe.written(), sort_keys=False, allow_unicode=True),
    )
    write_whole(index, page)
    return index


def conclusions(study: Study) -> Iterator[str]:
    """What the knob does to each method's ROUGE-L, and then to its loss; and to what lies between the methods."""
    ordered = all(point.place is not None for line in study.lines.values() for point in line)
    for metric in (ROUGE_L, LOSS):
        for label, line in study.lines.items():
            scored = [point for point in line if metric.name in point.row.scores]
            if len(scored) > 1 and scored[0].row.costs.get("trainable") != 0:  # of the untouched model, the figures
                subject = f"{metric.title} of {visible(label)}"
                yield f"{subject} {_course(study, scored, metric) if ordered else _choice(study, scored, metric)}."
        if ordered:
            yield from _gaps(study, metric)


def _gaps(study: Study, metric: Metric) -> Iterator[str]:
    """How far the method that is best at the last value was ahead of each other at the first, and is at the last.

    Only where both are trained at each value: there, test examples are paired.
    """
    trained = {
        label: {p.value: p for p in line if metric.name in p.row.scores}
        for label, line in study.lines.items()
        if line[0].row.costs.get("trainable") != 0
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
            first, last = (_lead(study, trained[leader][end], trained[label][end], metric) for end in ends)
            yield f"{metric.title}: {visible(leader)} is ahead of {visible(label)} by {first}, and by {last}."


def _lead(study: Study, ours: Point, theirs: Point, metric: Metric) -> str:
    """`5.0 [3.1 to 7.0] at rank 4`; below zero where it is behind."""
    pair = ours.comparison.pair(metric, ours.row, theirs.row)
    lead = pair.difference
    if pair.better is not ours.row:
        lead = replace(lead, mean=-lead.mean, low=-lead.high, high=-lead.low)
    return f"{score_in_words(metric, lead.mean)} [{interval_in_words(metric, lead)}] at {_at(study, ours)}"


def _course(study: Study, line: Sequence[Point], metric: Metric) -> str:
    """Up to where more of the knob helps: the first value that cannot be told apart from the best."""
    best = _best(line, metric)
    enough = next(i for i, point in enumerate(line) if not _beyond_noise(point, best, metric))
    after = line[enough + 1 :]
    worse = [point for point in after if _beyond_noise(point, line[enough], metric)]
    better, poorer = ("rises", "falls") if metric.higher_is_better else ("falls", "rises")
    first, last = line[0], line[-1]
    parts = []
    if enough:
        parts.append(f"{better} from {_score_at(study, first, metric)} to {_score_at(study, line[enough], metric)}")
    if worse and worse[-1] is last:
        start = f"from {_score_at(study, line[enough], metric)} " if not enough else ""
        parts.append(f"{poorer} {start}to {_score_at(study, last, metric)}")
    elif after and enough:
        parts.append(f"beyond {_at(study, line[enough])} there is no difference beyond noise")
    elif not enough:
        parts.append(
            f"does not change beyond noise, from {_score_at(study, first, metric)} to {_score_at(study, last, metric)}"
        )
    return "; ".join(parts)


def _choice(study: Study, line: Sequence[Point], metric: Metric) -> str:
    """Which of several words is best, where they have no order."""
    best = _best(line, metric)
    tied = [value_of(study, p.value) for p in line if p is not best and not _beyond_noise(p, best, metric)]
    cannot = f", and {listed(tied)} cannot be told apart from it" if tied else ""
    return (
        f"is best at {value_of(study, best.value)}, {score_in_words(metric, best.row.scores[metric.name].mean)}{cannot}"
    )


def _best(line: Sequence[Point], metric: Metric) -> Point:
    choose = max if metric.higher_is_better else min
    return choose(line, key=lambda point: point.row.scores[metric.name].mean)


def _beyond_noise(one: Point, other: Point, metric: Metric) -> bool:
    """In one comparison the paired test decides; between settings nothing is paired, so the intervals must part."""
    if one.comparison is other.comparison:
        return one is not other and one.comparison.pair(metric, one.row, other.row).decision == "different"
    ours, theirs = one.row.scores[metric.name], other.row.scores[metric.name]
    return ours.low > theirs.high or theirs.low > ours.high


def _score_at(study: Study, point: Point, metric: Metric) -> str:
    return f"{score_in_words(metric, point.row.scores[metric.name].mean)} at {_at(study, point)}"


def _at(study: Study, point: Point) -> str:
    """`rank 16`, `100 train examples`; what is a word says itself what it is."""
    knob, value = knob_of(study), value_of(study, point.value)
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


def _lines(study: Study) -> Iterator[Line]:
    for label, line in study.lines.items():
        for point in line:
            yield _line(study, label, value_of(study, point.value), point.row)
    for row in study.references:
        yield _line(study, row.label, NOTHING, row)


def _line(study: Study, label: str, value: str, row: Row) -> Line:
    name = next(name for name, c in study.comparisons.items() if any(row is there for there in c.rows))
    return Line(label=label, value=value, cells=tuple(_cells(row)), page=_address(name))


def _cells(row: Row) -> Iterator[tuple[str, str]]:
    for one in (*QUALITY, *COST):
        if isinstance(one, Metric):
            estimate = row.scores.get(one.name)
            yield (score_in_words(one, estimate.mean), interval_in_words(one, estimate)) if estimate else (NOTHING, "")
        else:
            spent = row.costs.get(one.name)
            yield (cost_in_words(one, spent) if spent else NOTHING, "")


def _address(name: str) -> str:
    """From the study's page to the page of one of its comparisons."""
    return f"../values/{quote(name)}/report/index.html"
