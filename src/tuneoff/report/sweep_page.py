"""The report of a sweep: a page of quality and cost by the swept parameter, and its figures as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml

from tuneoff.analysis.row import Row
from tuneoff.analysis.sweep import Sweep
from tuneoff.metrics import Metric
from tuneoff.report.charts.sweep import (
    COST,
    assign_line_colors,
    draw_sweep,
    get_figure_name,
    list_quality,
    list_titles,
)
from tuneoff.report.escape import escape_control
from tuneoff.report.figures import make_page_specification, write_figures
from tuneoff.report.format import NOTHING, format_cost, format_interval, format_score
from tuneoff.report.html import render_document
from tuneoff.report.hyperparameters import format_sweep_value, get_parameter_title
from tuneoff.report.sentences.sweep import describe_conclusions, describe_misfits
from tuneoff.system.atomic_write import write_atomically


def write_sweep_report(sweep: Sweep, folder: Path) -> Path:
    """Write `index.html` and `figures/` into `folder`, which is the `report` folder of the sweep.

    Returns:
        The path of the page.
    """
    charts, titles = draw_sweep(sweep), list_titles(sweep)
    figures = write_figures(charts, folder / "figures", titles)
    parameter = get_parameter_title(sweep)
    page = render_document(
        "sweep.html.j2",
        {name: make_page_specification(chart) for name, chart in charts.items() if name in figures.images},
        figures.images,
        figures.problem,
        recipe=sweep.recipe,
        parameter=parameter,
        conclusions=list(describe_conclusions(sweep)) or [f"No two values of {parameter} have scores to compare yet."],
        colors=assign_line_colors(sweep),
        titles=titles,
        quality=[name for quantity in list_quality(sweep) if (name := get_figure_name(quantity)) in figures.images],
        cost=[name for quantity in COST if (name := get_figure_name(quantity)) in figures.images],
        columns=[quantity.title for quantity in (*list_quality(sweep), *COST)],
        references=sweep.references,
        devices=list(dict.fromkeys(escape_control(c.setting.device) for c in sweep.comparisons.values())),
        lines=list(_build_lines(sweep)),
        misfits=list(describe_misfits(sweep)),
        pages=[(name, _get_page_address(name)) for name in sweep.comparisons],
        recipe_yaml=yaml.safe_dump(sweep.recipe.to_dict(), sort_keys=False, allow_unicode=True),
    )
    index = folder / "index.html"
    write_atomically(index, page)
    return index


@dataclass(frozen=True, kw_only=True)
class Line:
    """One point of the sweep as a line of its table."""

    label: str
    value: str
    cells: tuple[tuple[str, str], ...]  # each with its interval, empty where it has none
    page: str  # of the comparison with this point


def _build_lines(sweep: Sweep) -> Iterator[Line]:
    for label, line in sweep.lines.items():
        for point in line:
            yield _build_line(sweep, label, format_sweep_value(sweep, point.value), point.row)
    for row in sweep.references:
        yield _build_line(sweep, row.label, NOTHING, row)


def _build_line(sweep: Sweep, label: str, value: str, row: Row) -> Line:
    name = next(name for name, comparison in sweep.comparisons.items() if any(row is r for r in comparison.rows))
    return Line(label=label, value=value, cells=tuple(_format_cells(sweep, row)), page=_get_page_address(name))


def _format_cells(sweep: Sweep, row: Row) -> Iterator[tuple[str, str]]:
    for quantity in (*list_quality(sweep), *COST):
        if isinstance(quantity, Metric):
            score = row.scores.get(quantity.name)
            yield (format_score(quantity, score.mean), format_interval(quantity, score)) if score else (NOTHING, "")
        else:
            cost = row.costs.get(quantity.name)
            yield (format_cost(quantity, cost) if cost else NOTHING, "")


def _get_page_address(name: str) -> str:
    """Return the address of a comparison's page, relative to the page of the sweep."""
    return f"../values/{quote(name)}/report/index.html"
