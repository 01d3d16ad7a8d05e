"""The results of comparisons, sweeps and calibrations as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tuneoff.analysis import calibration
from tuneoff.analysis.costs import COSTS
from tuneoff.console.progress import print_line, replace_unprintable
from tuneoff.console.tables import make_table
from tuneoff.metrics import Metric
from tuneoff.report.data_warnings import describe_rows, list_data_warnings
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_confidence, format_cost, format_interval, format_score
from tuneoff.report.hyperparameters import format_sweep_value, get_parameter_title
from tuneoff.report.judged import describe_win_rates
from tuneoff.report.leaderboard import list_misfits
from tuneoff.report.population import describe_grown_split
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.sentences.names import NAME_WIDTHS
from tuneoff.report.sentences.sweep import describe_conclusions, describe_misfits
from tuneoff.report.tables import list_marks, make_terminal_rows

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration
    from tuneoff.analysis.comparison import Comparison
    from tuneoff.analysis.row import Row
    from tuneoff.analysis.sweep import Sweep

MOST_LINES = 6  # of the verdict
SWEEP_COSTS = {"trainable": "Trainable", "train_seconds": "Training", "training_memory": "Memory"}  # headings by cost


def print_comparison(comparison: Comparison, report: Path) -> None:
    """Print the leaderboard, the verdict and the path of the page."""

    console = Console()
    for warning in list_data_warnings(comparison.run.data):
        console.print(f"Warning: {warning}", markup=False, highlight=False)
    if grown := describe_grown_split(comparison):
        console.print(f"Warning: {grown}", markup=False, highlight=False)
    if comparison.run.data.shape:
        console.print(f"Rows: {replace_unprintable(describe_rows(comparison.run.data))}", markup=False, highlight=False)
    header, *rows = make_terminal_rows(comparison)
    table = make_table(*header)
    table.caption, table.caption_justify = Text("; ".join(list_marks(comparison))) or None, "left"
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for line in summarize(comparison, console.width):
        console.print(line, markup=False, highlight=False)
    for line in describe_win_rates(comparison):
        console.print(line, markup=False, highlight=False)
    for misfit in list_misfits(comparison):
        console.print(misfit, markup=False, highlight=False)
    _print_page_path(console, report)


def summarize(comparison: Comparison, width: int) -> list[str]:
    """Return the verdict as at most six lines: the headline and its points, and more where there is space.

    Labels are shortened as far as the lines need it, but not to a few letters. If that is not enough, the costs are
    left out, because the table has them, and then the lead.
    """
    for name_width in NAME_WIDTHS[:-1]:
        text = describe_verdict(comparison, name_width)
        if len(_wrap_all([text.headline, *text.points], width)) <= MOST_LINES:
            break
    chosen = [text.headline]
    for sentence in (*text.by_importance, *text.extras):
        if len(_wrap_all([*chosen, sentence], width)) <= MOST_LINES:
            chosen.append(sentence)
    order = [text.headline, *text.points, *text.extras]
    return _wrap_all(sorted(chosen, key=order.index), width)


def _wrap_all(sentences: Sequence[str], width: int) -> list[str]:
    return [line for sentence in sentences for line in wrap(sentence, width)]


def print_sweep(sweep: Sweep, directory: Path) -> None:
    """Print the score and costs of each method at each value, the conclusions, and the path of the page."""

    assert sweep.recipe.sweep is not None, "every sweep has a parameter"
    console = Console(highlight=False)
    console.print(f"{sweep.recipe.name}: {sweep.recipe.sweep.parameter}", style="bold", markup=False)
    metric = sweep.metrics[0]
    confidence = format_confidence(sweep.recipe.verdict.confidence)
    table = make_table("Method", get_parameter_title(sweep), metric.title, confidence, *SWEEP_COSTS.values())
    for label, line in sweep.lines.items():
        for point in line:
            value = format_sweep_value(sweep, point.value)
            table.add_row(*map(Text, (escape_control(label), value, *_format_cells(point.row, metric))))
    for row in sweep.references:
        table.add_row(*map(Text, (escape_control(row.label), "–", *_format_cells(row, metric))))
    console.print(table)
    for sentence in describe_conclusions(sweep):
        console.print(sentence, markup=False)
    for sentence in describe_misfits(sweep):
        console.print(sentence, markup=False)
    _print_page_path(console, directory / "report")


def print_calibrations(calibrations: Iterable[Calibration], *, markdown: bool = False) -> None:
    """Print a table of calibrations, and a line on standard error as each of them is finished."""

    finished = []
    for result in calibrations:
        print_line(f"{result.label}, {result.metric.title}: {2 * result.families} comparisons judged")
        finished.append(result)
    if markdown:
        print(calibration.format_markdown(finished), end="")
        return
    console = Console(highlight=False)
    header, *rows = calibration.build_table(finished)
    table = make_table(*header)
    for row in rows:
        table.add_row(*(Text(escape_control(cell)) for cell in row))
    console.print(table)
    console.print(
        "Family: methods × seeds × examples. False: how often the verdict finds any difference among methods that do "
        "not differ, with the interval of this share. At a confidence of 95 % it should be 5 % at most. Found: how "
        "often it finds that the first method is better than another, by the planted difference. Stated: how often it "
        "should, by its own estimate.",
        style="dim",
    )


def _format_cells(row: Row, metric: Metric) -> Iterator[str]:
    """Yield the score with its interval, then the costs. A cost that is missing or zero is a dash."""

    score = row.scores[metric.name]
    yield format_score(metric, score.mean)
    yield format_interval(metric, score)
    for name in SWEEP_COSTS:
        value = row.costs.get(name)
        yield format_cost(COSTS[name], value) if value else "–"


def _print_page_path(console: Console, report: Path) -> None:
    """Print where the page is, or how to write it where an interrupted run has none yet."""
    page = report / "index.html"
    text = f"Page: {page.resolve()}" if page.is_file() else f"No page yet. To write it: tuneoff report {report.parent}"
    console.print(f"\n{text}", markup=False, highlight=False, soft_wrap=True)
