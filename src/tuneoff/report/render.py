"""Charts made ready for where they are shown: a page that may be light or dark, or a file of its own."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.report.tables import format_csv
from tuneoff.runs import write_atomically

if TYPE_CHECKING:
    import altair as alt

Specification = dict[str, Any]  # Any: Vega-Lite's JSON

KINDS = ("svg", "png", "pdf", "csv")
FILE_WIDTH = 620  # pixels of plot; a page's charts are as wide as their card instead
PNG_SCALE = 2
SYSTEM_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
FILE_FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def make_page_specification(chart: alt.LayerChart) -> Specification:
    """The chart in the colours of the text around it, so that it follows a page from light to dark, and to paper."""
    return _specification(chart, _config(ink="currentColor", font=SYSTEM_FONT, faint=0.14, soft=0.72))


def write_figures(charts: Mapping[str, alt.LayerChart], folder: Path, titles: Mapping[str, str]) -> dict[str, str]:
    """Write each chart as SVG, PNG and PDF, and what it draws as CSV; an older report's others are removed.

    Args:
        titles: by name, of these figures and of any that an older report may have left.

    Returns:
        The SVG texts by name.
    """
    import vl_convert

    drawn = {}
    for name, kind in itertools.product(titles.keys() - charts.keys(), KINDS):
        (folder / f"{name}.{kind}").unlink(missing_ok=True)
    for name, chart in charts.items():
        specification = make_file_specification(titles[name], chart)
        svg = _renumbered(vl_convert.vegalite_to_svg(json.dumps(specification), vl_version=get_vega_lite_version()))
        drawn[name] = svg
        write_atomically(folder / f"{name}.svg", svg)
        write_atomically(folder / f"{name}.png", vl_convert.svg_to_png(svg, scale=PNG_SCALE))
        write_atomically(folder / f"{name}.pdf", vl_convert.svg_to_pdf(svg))
        write_atomically(folder / f"{name}.csv", format_csv(specification["data"]["values"]))
    return drawn


def make_file_specification(title: str, chart: alt.LayerChart) -> Specification:
    """The chart with its title, dark on white, at a width of its own."""
    specification = _specification(chart, _config(ink="#1f2328", font=FILE_FONT, faint=0.12, soft=0.8))
    specification["config"]["background"] = "white"
    return {**specification, "width": FILE_WIDTH, "title": title, "padding": 12}


def get_vega_lite_version() -> str:
    """The version of Vega-Lite that altair writes, as vl-convert wants it: `6.4`."""
    import altair as alt

    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def _specification(chart: alt.LayerChart, config: Specification) -> Specification:
    whole: Specification = chart.to_dict()
    (rows,) = whole.pop("datasets").values()
    del whole["$schema"]  # an address, and no address belongs into a page that loads nothing
    return {**whole, "data": {"values": rows}, "config": config}


def _config(*, ink: str, font: str, faint: float, soft: float) -> Specification:
    axis = {
        "labelColor": ink, "titleColor": ink, "gridColor": ink, "domainColor": ink, "tickColor": ink,
        "labelOpacity": 0.9, "titleOpacity": soft, "gridOpacity": faint, "tickOpacity": faint, "domainOpacity": 0.25,
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 10,
        "labelPadding": 6, "tickSize": 4,
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


def _renumbered(svg: str) -> str:
    """Vega counts its clip paths on from figure to figure; counted anew, a figure made again is the same file."""
    there = dict.fromkeys(re.findall(r'id="clip(\d+)"', svg))
    anew = {number: str(i) for i, number in enumerate(there)}
    return re.sub(r'(id="clip|url\(#clip)(\d+)', lambda found: found[1] + anew[found[2]], svg)
