"""The report of a comparison: a page, and beside it the tables and figures as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.budget_table import against as against_actual
from tuneoff.report.charts import CURVES, FIGURES, SEARCHES, TITLES, TRADE_OFFS, colours, draw
from tuneoff.report.diagnostics import diagnose
from tuneoff.report.examples import examples_of
from tuneoff.report.html import document
from tuneoff.report.hyperparameters import knobs_in_words
from tuneoff.report.leaderboard import BRIEF, leaderboard_of
from tuneoff.report.pairwise import differences, differences_csv
from tuneoff.report.render import Specification, specification_for_page, write_figures
from tuneoff.report.search_table import effort, notes, searched
from tuneoff.report.sentences import verdict
from tuneoff.report.setting import environment_facts, headline_facts, setting_facts
from tuneoff.report.side_by_side import beside
from tuneoff.report.tables import latex_table, markdown_table, results_csv
from tuneoff.runs import write_whole

SECTIONS = (
    ("Five figures", "What each method trains, takes and reaches.", FIGURES),
    (
        "Learning curves",
        "Epoch 0 is the model before its first step; the larger mark is the epoch whose weights were kept. "
        "A diverged training leaves the frame. Click a name to see it alone.",
        CURVES,
    ),
    (
        "Quality against cost",
        "Up and to the left is better; lines are intervals, and the dashed line is the untouched model. The steps join "
        "the front: a method is on it unless another is better beyond noise at no more cost, or equal at less.",
        TRADE_OFFS,
    ),
)


def write_report(
    comparison: Comparison, folder: Path, against: Comparison | None = None, *, with_text: bool = True
) -> Path:
    """Write `index.html`, `table.md`, `table.tex`, `results.csv`, `differences.csv` and `figures/` into `folder`.

    Args:
        against: another comparison, whose conclusions the page then shows beside this one's.
        with_text: whether test examples and predictions are on the page: without, it can be shared.

    Returns:
        The page.
    """
    charts = draw(comparison, against)
    drawn = write_figures(charts, folder / "figures", TITLES)
    write_whole(folder / "table.md", markdown_table(comparison))
    write_whole(folder / "table.tex", latex_table(comparison))
    write_whole(folder / "results.csv", results_csv(comparison))
    write_whole(folder / "differences.csv", differences_csv(comparison))
    specifications = {name: specification_for_page(chart) for name, chart in charts.items()}
    index = folder / "index.html"
    write_whole(index, page(comparison, specifications, drawn, against, with_text=with_text))
    return index


def page(
    comparison: Comparison,
    specifications: Mapping[str, Specification],
    drawn: Mapping[str, str],
    against: Comparison | None = None,
    *,
    with_text: bool = True,
) -> str:
    """The page as text; its figures come as Vega-Lite's JSON and, for a reader without scripts, as SVG."""
    run = comparison.run
    return document(
        "page.html.j2",
        specifications,
        drawn,
        comparison=comparison,
        recipe=run.recipe,
        verdict=verdict(comparison),
        headline=list(headline_facts(comparison)),
        board=leaderboard_of(comparison),
        brief=BRIEF,  # the columns that fit on paper
        rows=[(row, _hyperparameters(row.records[0].trial.hyperparameters)) for row in comparison.rows],
        colours=colours(comparison, against),
        beside=beside(comparison, against) if against else None,
        differences=differences(comparison),
        sections=[(heading, text, _present(titles, drawn)) for heading, text, titles in SECTIONS],
        searched=list(searched(comparison)),
        search_figures=_present(SEARCHES, drawn),
        effort=effort(comparison),
        notes=notes(comparison),
        titles=TITLES,
        examples=examples_of(comparison) if with_text else (),
        test_examples=run.data.splits["test"].examples if "test" in run.data.splits else 0,
        diagnoses=diagnose(comparison),
        against=against_actual(comparison),
        setting=list(setting_facts(comparison)),
        data=run.data,
        environment=list(environment_facts(run.environment)),
        recipe_yaml=yaml.safe_dump(run.recipe.written(), sort_keys=False, allow_unicode=True),
    )


def _present(titles: Mapping[str, str], drawn: Mapping[str, str]) -> list[str]:
    return [name for name in titles if name in drawn]


def _hyperparameters(values: Mapping[str, Any]) -> str:
    """What the method was given, without what is off; the untouched model's rate is none."""
    return knobs_in_words({name: value for name, value in values.items() if value}) or "as it came"
