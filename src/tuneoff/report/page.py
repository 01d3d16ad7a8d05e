"""The report of a comparison: a page, and beside it the tables and figures as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.budget_table import compare_with_estimate as against_actual
from tuneoff.report.charts import CURVES, FIGURES, SEARCHES, TITLES, TRADE_OFFS, assign_colors, draw_figures
from tuneoff.report.diagnostics import diagnose
from tuneoff.report.examples import choose_examples
from tuneoff.report.figures import Specification, make_page_specification, write_figures
from tuneoff.report.html import render_document
from tuneoff.report.hyperparameters import format_hyperparameters
from tuneoff.report.leaderboard import BRIEF, build_leaderboard
from tuneoff.report.pairwise import build_matrices, format_pairs_csv
from tuneoff.report.search_table import describe_effort, list_notes, summarize_searches
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.setting import list_environment_facts, list_headline_facts, list_setting_facts
from tuneoff.report.side_by_side import compare_runs
from tuneoff.report.tables import format_latex_table, format_markdown_table, format_results_csv
from tuneoff.system.atomic_write import write_atomically

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
    comparison: Comparison, folder: str | Path, against: Comparison | None = None, *, with_text: bool = True
) -> Path:
    """Write `index.html`, `table.md`, `table.tex`, `results.csv`, `differences.csv` and `figures/` into `folder`.

    Args:
        against: another comparison, whose conclusions the page then shows beside this one's.
        with_text: whether test examples and predictions are on the page: without, it can be shared.

    Returns:
        The page.
    """
    folder = Path(folder)
    charts = draw_figures(comparison, against)
    drawn = write_figures(charts, folder / "figures", TITLES)
    write_atomically(folder / "table.md", format_markdown_table(comparison))
    write_atomically(folder / "table.tex", format_latex_table(comparison))
    write_atomically(folder / "results.csv", format_results_csv(comparison))
    write_atomically(folder / "differences.csv", format_pairs_csv(comparison))
    specifications = {name: make_page_specification(chart) for name, chart in charts.items()}
    index = folder / "index.html"
    write_atomically(index, render_page(comparison, specifications, drawn, against, with_text=with_text))
    return index


def render_page(
    comparison: Comparison,
    specifications: Mapping[str, Specification],
    drawn: Mapping[str, str],
    against: Comparison | None = None,
    *,
    with_text: bool = True,
) -> str:
    """The page as text; its figures come as Vega-Lite's JSON and, for a reader without scripts, as SVG."""
    run = comparison.run
    return render_document(
        "page.html.j2",
        specifications,
        drawn,
        comparison=comparison,
        recipe=run.recipe,
        verdict=describe_verdict(comparison),
        headline=list(list_headline_facts(comparison)),
        board=build_leaderboard(comparison),
        brief=BRIEF,  # the columns that fit on paper
        rows=[(row, _hyperparameters(row.records[0].trial.hyperparameters)) for row in comparison.rows],
        colours=assign_colors(comparison, against),
        beside=compare_runs(comparison, against) if against else None,
        differences=build_matrices(comparison),
        sections=[(heading, text, _present(titles, drawn)) for heading, text, titles in SECTIONS],
        searched=list(summarize_searches(comparison)),
        search_figures=_present(SEARCHES, drawn),
        effort=describe_effort(comparison),
        notes=list_notes(comparison),
        titles=TITLES,
        examples=choose_examples(comparison) if with_text else (),
        test_examples=run.data.splits["test"].examples if "test" in run.data.splits else 0,
        diagnoses=diagnose(comparison),
        against=against_actual(comparison),
        setting=list(list_setting_facts(comparison)),
        data=run.data,
        environment=list(list_environment_facts(run.environment)),
        recipe_yaml=yaml.safe_dump(run.recipe.to_dict(), sort_keys=False, allow_unicode=True),
    )


def _present(titles: Mapping[str, str], drawn: Mapping[str, str]) -> list[str]:
    return [name for name in titles if name in drawn]


def _hyperparameters(values: Mapping[str, Any]) -> str:
    """What the method was given, without what is off; the untouched model's rate is none."""
    return format_hyperparameters({name: value for name, value in values.items() if value}) or "as it came"
