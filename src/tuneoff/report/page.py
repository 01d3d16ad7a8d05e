"""The report of a comparison: a page, and the tables and figures as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tuneoff.analysis.benchmarks import compare_benchmarks
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.judged import summarize_judgements
from tuneoff.report.benchmarks import build_benchmark_table, format_benchmarks_csv
from tuneoff.report.budget_table import compare_with_estimate
from tuneoff.report.charts import (
    CURVES,
    FIGURES,
    SEARCHES,
    SERVED,
    TRADE_OFFS,
    add_own_figures,
    assign_colors,
    draw_figures,
    list_titles,
)
from tuneoff.report.data_warnings import list_data_warnings
from tuneoff.report.diagnostics import diagnose
from tuneoff.report.escape import escape_control
from tuneoff.report.examples import choose_examples, find_example_metric
from tuneoff.report.figures import Specification, make_page_specification, write_figures
from tuneoff.report.html import render_document
from tuneoff.report.hyperparameters import format_hyperparameters
from tuneoff.report.judged import build_judge_table, format_judge_csv
from tuneoff.report.label_table import build_label_table
from tuneoff.report.leaderboard import build_leaderboard, list_footnotes
from tuneoff.report.measured import describe_measured, find_measured
from tuneoff.report.methods_csv import format_methods_csv
from tuneoff.report.pairwise import build_matrices, format_pairs_csv
from tuneoff.report.phases import build_phase_table
from tuneoff.report.preferences import build_preference_table, format_preferences_csv, summarize_preferences
from tuneoff.report.search_table import describe_search, list_notes, summarize_searches
from tuneoff.report.sentences import HEADLINE_LENGTH, describe_verdict
from tuneoff.report.sentences.sequential import list_looks
from tuneoff.report.setting import list_environment_facts, list_setting_facts
from tuneoff.report.side_by_side import compare_runs
from tuneoff.report.tables import format_latex_table, format_markdown_table, format_results_csv
from tuneoff.runs.decisions import list_dropped
from tuneoff.system.atomic_write import write_atomically

SECTIONS = (
    (
        "Results and costs",
        "Trainable parameters, training time and memory, and test scores of each method. A small circle is the score "
        "of one run, and a cross is a lost run at the base model's score.",
        FIGURES,
    ),
    (
        "Learning curves",
        "Step 0 is the model before training. Marks are ends of epochs, and the larger one is the epoch whose weights "
        "were kept. A point of the training loss is a mean over the steps before it. The curve of a diverged run "
        "leaves the frame. Click a method's name to see it alone.",
        CURVES,
    ),
    (
        "Quality and cost",
        "Further left is cheaper. Vertical lines are intervals, small circles are single runs, crosses are lost runs "
        "at the base model's score, and the dashed line is the base model. The stepped line is the Pareto front: a "
        "method is on it unless another is better at no higher cost, or equal at a lower cost.",
        TRADE_OFFS,
    ),
)


def write_report(
    comparison: Comparison, folder: str | Path, against: Comparison | None = None, *, with_text: bool = True
) -> Path:
    """Write `index.html`, `table.md`, `table.tex`, three CSV files and `figures/` into `folder`.

    The CSV files have a line for each trial (`results.csv`), method (`methods.csv`) and pair (`differences.csv`). A run
    with benchmarks also gets `benchmarks.csv`, with a line for each task and method, and one with a judge `judge.csv`.
    Votes of people are in `preferences.csv`.

    Args:
        against: another comparison, whose conclusions the page shows side by side with this one's.
        with_text: whether the page has test examples and predictions. Without them it can be shared.

    Returns:
        The path of the page.
    """
    folder = Path(folder)
    charts = draw_figures(comparison, against)
    figures = write_figures(charts, folder / "figures", list_titles(comparison))
    write_atomically(folder / "table.md", format_markdown_table(comparison))
    write_atomically(folder / "table.tex", format_latex_table(comparison))
    write_atomically(folder / "results.csv", format_results_csv(comparison))
    write_atomically(folder / "methods.csv", format_methods_csv(comparison))
    write_atomically(folder / "differences.csv", format_pairs_csv(comparison))
    if benchmarks := compare_benchmarks(comparison):
        write_atomically(folder / "benchmarks.csv", format_benchmarks_csv(benchmarks))
    if judged := summarize_judgements(comparison):
        write_atomically(folder / "judge.csv", format_judge_csv(judged))
    if preferences := summarize_preferences(comparison):
        write_atomically(folder / "preferences.csv", format_preferences_csv(preferences))
    specifications = {name: make_page_specification(chart) for name, chart in charts.items() if name in figures.images}
    index = folder / "index.html"
    write_atomically(
        index,
        render_page(comparison, specifications, figures.images, against, with_text=with_text, problem=figures.problem),
    )
    return index


def render_page(
    comparison: Comparison,
    specifications: Mapping[str, Specification],
    images: Mapping[str, str],
    against: Comparison | None = None,
    *,
    with_text: bool = True,
    problem: str = "",
) -> str:
    """Render the page as text, with its figures as Vega-Lite JSON and, where scripts are disabled, as SVG images."""
    run = comparison.run
    return render_document(
        "page.html.j2",
        specifications,
        images,
        problem,
        comparison=comparison,
        recipe=run.recipe,
        verdict=describe_verdict(comparison),
        headline_length=HEADLINE_LENGTH,
        data_warnings=list_data_warnings(run.data),
        board=build_leaderboard(comparison),
        footnotes=list(list_footnotes(comparison)),
        left_out={
            escape_control(label): escape_control(d.describe()) for label, d in list_dropped(run.decisions).items()
        },
        misfits={escape_control(label): escape_control(reason) for label, reason in run.misfits.items()},
        rows=[(row, _format_settings(row.records[0].trial.hyperparameters)) for row in comparison.rows],
        colors=assign_colors(comparison, against),
        side_by_side=compare_runs(comparison, against) if against else None,
        matrices=build_matrices(comparison),
        labels=build_label_table(comparison),
        benchmarks=build_benchmark_table(comparison),
        judged=build_judge_table(comparison),
        preferences=build_preference_table(comparison),
        looks=list_looks(comparison),
        sections=[
            (heading, text, _select_present(add_own_figures(titles, comparison), images))
            for heading, text, titles in SECTIONS
        ],
        served=describe_measured(measured) if (measured := find_measured(comparison)) else [],
        served_figures=_select_present(SERVED, images),
        searches=list(summarize_searches(comparison)),
        search_figures=_select_present(SEARCHES, images),
        search_text=describe_search(comparison),
        notes=list_notes(comparison),
        titles=list_titles(comparison),
        examples=choose_examples(comparison) if with_text else (),
        example_metric=find_example_metric(comparison),
        test_examples=run.data.splits["test"].examples if "test" in run.data.splits else 0,
        diagnoses=diagnose(comparison),
        actual_costs=compare_with_estimate(comparison),
        phases=build_phase_table(comparison.spending.spent) if comparison.spending else (),
        setting=list(list_setting_facts(comparison)),
        data=run.data,
        environment=list(list_environment_facts(run.environment)),
        recipe_yaml=yaml.safe_dump(run.recipe.to_dict(), sort_keys=False, allow_unicode=True),
    )


def _select_present(titles: Mapping[str, str], images: Mapping[str, str]) -> list[str]:
    return [name for name in titles if name in images]


def _format_settings(hyperparameters: Mapping[str, Any]) -> str:  # Any: the value of a hyperparameter
    """Format the hyperparameters that are on. The base model has none."""
    return format_hyperparameters({name: value for name, value in hyperparameters.items() if value}) or "not trained"
