"""Charts as specifications for a page, which may be light or dark, and as image files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.report.renderer import RendererError, draw_pictures
from tuneoff.report.tables import format_csv
from tuneoff.system.atomic_write import write_atomically

if TYPE_CHECKING:
    import altair as alt

Specification = dict[str, Any]  # Any: Vega-Lite's JSON

KINDS = ("svg", "png", "pdf", "csv")
FILE_WIDTH = 620  # pixels of the plot; on a page a chart is as wide as the card around it
SYSTEM_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
FILE_FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def make_page_specification(chart: alt.LayerChart) -> Specification:
    """Return the chart in the color of the text around it, so that it is readable on a light, dark or printed page."""
    style = _make_style(ink="currentColor", font=SYSTEM_FONT, grid_opacity=0.14, title_opacity=0.72)
    return _make_specification(chart, style)


@dataclass(frozen=True, kw_only=True)
class WrittenFigures:
    """The figures as SVG texts by name, and why there are none if they could not be drawn."""

    images: Mapping[str, str]
    problem: str = ""


def write_figures(charts: Mapping[str, alt.LayerChart], folder: Path, titles: Mapping[str, str]) -> WrittenFigures:
    """Write each chart as SVG, PNG and PDF, and its data as CSV. Other figures of an older report are removed.

    Where the renderer cannot run, the data alone is written.

    Args:
        titles: titles by name, of these figures and of all that an older report may have written.
    """
    specifications = {name: make_file_specification(titles[name], chart) for name, chart in charts.items()}
    for name, kind in itertools.product(titles, KINDS):
        if name not in charts or kind != "csv":
            (folder / f"{name}.{kind}").unlink(missing_ok=True)
    for name, specification in specifications.items():
        write_atomically(folder / f"{name}.csv", format_csv(specification["data"]["values"]))
    try:
        pictures = draw_pictures(list(specifications.values()), get_vega_lite_version())
    except RendererError as error:
        return WrittenFigures(images={}, problem=str(error))
    images = {}
    for name, picture in zip(specifications, pictures, strict=True):
        images[name] = _renumber_clip_paths(picture.svg)
        write_atomically(folder / f"{name}.svg", images[name])
        write_atomically(folder / f"{name}.png", picture.png)
        write_atomically(folder / f"{name}.pdf", picture.pdf)
    return WrittenFigures(images=images)


def make_file_specification(title: str, chart: alt.LayerChart) -> Specification:
    """Return the chart with its title and a fixed width, dark on white."""
    style = _make_style(ink="#1f2328", font=FILE_FONT, grid_opacity=0.12, title_opacity=0.8)
    style["background"] = "white"
    return {**_make_specification(chart, style), "width": FILE_WIDTH, "title": title, "padding": 12}


def get_vega_lite_version() -> str:
    """Return the version of Vega-Lite that altair writes, in the form that vl-convert expects: `6.4`."""
    import altair as alt

    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def _make_specification(chart: alt.LayerChart, style: Specification) -> Specification:
    specification: Specification = chart.to_dict()
    (rows,) = specification.pop("datasets").values()
    del specification["$schema"]  # it is a URL, and a page that loads nothing should not have one
    return {**specification, "data": {"values": rows}, "config": style}


def _make_style(*, ink: str, font: str, grid_opacity: float, title_opacity: float) -> Specification:
    axis = {
        "labelColor": ink, "titleColor": ink, "gridColor": ink, "domainColor": ink, "tickColor": ink,
        "labelOpacity": 0.9, "titleOpacity": title_opacity, "gridOpacity": grid_opacity, "tickOpacity": grid_opacity,
        "domainOpacity": 0.25, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
        "titlePadding": 10, "labelPadding": 6, "tickSize": 4,
    }  # fmt: skip
    return {
        "background": None,
        "font": font,
        "view": {"stroke": None},
        "axis": axis,
        "axisYBand": {"ticks": False, "domain": False, "grid": False},
        "axisXQuantitative": {"tickCount": 6},
        "text": {"fill": ink, "fontSize": 12},
        "rule": {"stroke": ink},
        "line": {"stroke": ink},
        "legend": {
            "labelColor": ink, "labelFontSize": 12, "symbolSize": 90, "rowPadding": 6, "columnPadding": 18,
        },
        "title": {"color": ink, "fontSize": 15, "fontWeight": 600, "anchor": "start", "offset": 14},
    }  # fmt: skip


def _renumber_clip_paths(svg: str) -> str:
    """Number the clip paths from zero. Vega counts them over all figures, so the same figure would vary as a file."""
    numbers = dict.fromkeys(re.findall(r'id="clip(\d+)"', svg))
    renumbered = {number: str(i) for i, number in enumerate(numbers)}
    return re.sub(r'(id="clip|url\(#clip)(\d+)', lambda match: match[1] + renumbered[match[2]], svg)
