"""The leaderboard in Markdown and LaTeX and for the terminal, and every trial as a line of CSV."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.analysis.row import build_score_matrices
from tuneoff.analysis.statistics import estimate_mean
from tuneoff.metrics import Metric
from tuneoff.metrics.rouge import TYPES as ROUGE_TYPES
from tuneoff.records.record import Record
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_confidence
from tuneoff.report.leaderboard import TIED, Cell, Column, Leaderboard, build_leaderboard, list_footnotes, list_misfits
from tuneoff.report.population import describe_test_examples, has_groups
from tuneoff.report.sentences.names import shorten_label

TERMINAL_COSTS = {"trainable": "Trainable", "train_seconds": "Training", "training_memory": "Memory"}  # headings
WITH_LOST = "All runs"
SHORT_TITLES = {  # in the terminal
    **{name: title for name, (title, _) in ROUGE_TYPES.items()},
    "loss": "Loss",
    "exact": "Exact",
    "exact_strict": "Strict",
    "number": "Numeric",
    "math": "Math",
    "field_f1": "Field F1",
    "valid_json": "Valid",
    "edit": "Edit sim.",
    "parses": "Parses",
    "bleu": "BLEU",
}
TITLE_WIDTH = 12  # characters of the title of a metric of the user's own
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # a spreadsheet would evaluate them
CSV_UNITS = {
    "": "parameters",
    "%": "percent",
    "s": "seconds",
    "1/s": "per_second",
    "×": "ratio",
    "F1 × 100": "x100",
    "% of examples": "percent",
    "% of characters": "percent",
    "chrF2": "x100",
    "BLEU": "x100",
}
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$", "×": r"$\times$", "≈": r"$\approx$",
    **{chr(0x2400 + code): rf"$\langle$U+{code:04X}$\rangle$" for code in range(0x20)},
    "⟨": r"$\langle$", "⟩": r"$\rangle$",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def make_terminal_rows(comparison: Comparison) -> tuple[tuple[str, ...], ...]:
    """Return a header and a row of strings for each method, best first, which fit into eighty columns."""
    board = build_leaderboard(comparison)
    primary, *others = board.select(board.with_interval)
    columns = {
        "Method": board.names,
        _get_short_title(primary): [_mark_tied(cell) for cell in primary.cells],
        format_confidence(comparison.run.recipe.verdict.confidence): [cell.interval for cell in primary.cells],
    }
    headings = dict(TERMINAL_COSTS)
    if any(cell.with_lost for cell in primary.cells):
        columns[WITH_LOST] = [cell.with_lost for cell in primary.cells]
        del headings["trainable"]  # makes space
    columns |= {_get_short_title(other): [cell.text for cell in other.cells] for other in others}
    columns |= {
        heading: [cell.text for cell in column.cells]
        for heading, column in zip(headings.values(), board.select(list(headings)), strict=True)
    }
    return (tuple(columns), *zip(*columns.values(), strict=True))


def list_marks(comparison: Comparison) -> Iterator[str]:
    """Yield what the marks of the terminal's table mean, and what they leave out."""
    header, *rows = make_terminal_rows(comparison)
    if any(TIED in row[1] for row in rows):
        yield f"{TIED}: not shown to be worse"
    if WITH_LOST in header:
        yield f"{WITH_LOST}: lost ones count as the base model"


def _get_short_title(column: Column) -> str:
    return SHORT_TITLES.get(column.name) or shorten_label(escape_control(column.title), TITLE_WIDTH)


def _mark_tied(cell: Cell) -> str:
    return f"{cell.text}{' ' + TIED if cell.tied else ''}"


def format_markdown_table(comparison: Comparison) -> str:
    """Return the leaderboard in Markdown, with the best of each column in bold."""
    board = build_leaderboard(comparison)
    columns = board.select(board.brief)
    lines = [
        _join_cells("Method", *(f"{c.title}{_format_unit(c)}" for c in columns)),
        _join_cells("---", *("---:" for _ in columns)),
    ]
    for i, name in enumerate(board.names):
        cells = [
            _mark_best(
                _escape_markdown(_format_cell(board, c, i)),
                c.cells[i],
                "**{}**",
            )
            for c in columns
        ]
        lines.append(_join_cells(_escape_markdown(name), *cells))
    lines.append("")
    reasons = [f"{label}: {reason}" for label, reason in zip(board.labels, board.reasons, strict=True) if reason]
    remarks = [*_list_remarks(comparison, board), *reasons, *list_misfits(comparison)]
    lines.extend(f"{_escape_markdown(line)}  " for line in remarks)
    return "\n".join(lines).rstrip() + "\n"


def format_latex_table(comparison: Comparison) -> str:
    """Return the leaderboard as a LaTeX `table` with the best of each column in bold, for the package booktabs."""
    board = build_leaderboard(comparison)
    columns = board.select(board.brief)
    rows = [
        [
            _guard_row_start(_escape_latex(name)),
            *(
                _mark_best(
                    _escape_latex(_format_cell(board, c, i)),
                    c.cells[i],
                    r"\textbf{{{}}}",
                )
                for c in columns
            ),
        ]
        for i, name in enumerate(board.names)
    ]
    body = "\n".join(f"    {' & '.join(row)} \\\\" for row in rows)
    caption = " ".join([*_list_remarks(comparison, board), *list_misfits(comparison)])
    return rf"""% \usepackage{{booktabs}}
\begin{{table}}
  \centering
  \caption{{{_escape_latex(caption)}}}
  \begin{{tabular}}{{l{"r" * len(columns)}}}
    \toprule
    {" & ".join(["Method", *(_escape_latex(c.title) for c in columns)])} \\
    \midrule
{body}
    \bottomrule
  \end{{tabular}}
\end{{table}}
"""


def format_results_csv(comparison: Comparison) -> str:
    """Return a line for each trial, including those of a search, in full precision. ROUGE is F1 × 100.

    A search never uses the test split, so its lines have validation scores only. The seconds and epochs of a trial
    that continues from a lower rung include those of that rung, so they must not be summed. The times at inference are
    those measured in the trial, under whatever load the machine had then.
    """
    confidence = comparison.run.recipe.verdict.confidence
    metrics = tuple(comparison.run.recipe.metric_table.values())
    return format_csv([dict(_list_result(record, confidence, metrics)) for record in comparison.run.records])


def format_csv(rows: list[dict[str, Any]]) -> str:
    """Format rows with named cells as CSV. Text that a spreadsheet would run as a formula gets a leading quote."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _guard_formula(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _list_result(record: Record, confidence: float, metrics: Sequence[Metric]) -> Iterator[tuple[str, Any]]:
    trial, costs, scores = record.trial, record.costs, record.scores
    yield from {"trial": trial.id, "label": trial.label, "method": trial.method, "seed": trial.seed}.items()
    yield from {"stage": trial.stage, "share_of_training": trial.rungs[-1]}.items()
    yield from {"status": record.status, "reason": record.reason, "best_epoch": record.best_epoch}.items()
    yield from {
        "stopped_early": record.stopped_early,
        "epochs": max((e.epoch for e in record.curve), default=0),
    }.items()
    yield "hyperparameters", json.dumps(dict(trial.hyperparameters), sort_keys=True)
    is_tested = record.status == "done" and trial.stage == "confirm"
    for metric in metrics:
        matrix = build_score_matrices([record], [metric]).get(metric.name) if is_tested else None
        score = matrix and estimate_mean(matrix, confidence)
        name = get_score_name(metric)
        yield f"test_{name}", score and score.mean
        yield f"test_{name}_low", score and score.low
        yield f"test_{name}_high", score and score.high
    yield "interval_confidence", confidence if is_tested else None
    yield "validation_loss_nats_per_target_token", scores.get("validation/loss")
    yield from ((f"{split}_perplexity", scores.get(f"{split}/perplexity")) for split in ("validation", "test"))
    for cost in COSTS.values():
        unit = CSV_UNITS.get(cost.unit, cost.unit)
        yield cost.name if cost.name.endswith(unit) else f"{cost.name}_{unit}", costs and cost.value(costs)
    yield "total_parameters", costs and costs.total_parameters
    yield "evaluation_seconds", costs and costs.evaluation_seconds
    yield "generation_seconds", costs and costs.generation_seconds
    for metric in metrics:  # only a search by such a metric generates validation predictions
        if metric.needs_generation and (share := scores.get(f"validation/{metric.name}")) is not None:
            yield f"validation_{get_score_name(metric)}", metric.scale * share


def get_score_name(metric: Metric) -> str:
    """Return the name of a metric in CSV, with its unit."""
    unit = CSV_UNITS.get(metric.unit, metric.unit.replace(" ", "_")) if metric.unit else ""
    return f"{metric.name}_{unit}" if unit else metric.name


def _list_remarks(comparison: Comparison, board: Leaderboard) -> Iterator[str]:
    estimates = [e for row in comparison.rows for e in row.scores.values()]
    if estimates:
        seeds, units = max(e.seeds for e in estimates), "groups" if has_groups(comparison) else "examples"
        yield (
            f"Scores on {describe_test_examples(comparison)}, with "
            f"{format_confidence(comparison.run.recipe.verdict.confidence)} confidence intervals over {units}"
            f"{' and seeds' if seeds > 1 else ''}{_describe_scale(comparison)}."
        )
    if comparison.partial:
        yield "Partial: not every trial of the recipe has been run."
    cells = [cell for column in board.select(board.brief) for cell in column.cells]
    if any(cell.tied for cell in cells):
        yield f"{TIED} is not shown to be worse than the best of its column."
    if any(cell.with_lost for cell in cells):
        yield "After a slash stands the score with lost runs counted as the base model's."
    yield from list_footnotes(comparison)


def _describe_scale(comparison: Comparison) -> str:
    has_rouge = any(metric.name in ROUGE_TYPES for metric in comparison.metrics)
    return "; ROUGE is F1 × 100" if has_rouge else ""


def _format_cell(board: Leaderboard, column: Column, row: int) -> str:
    cell = column.cells[row]
    interval = f" [{cell.interval}]" if cell.interval and column.name in board.with_interval else ""
    with_lost = f" / {cell.with_lost}" if cell.with_lost else ""
    return f"{cell.text}{interval}{with_lost}{' ' + TIED if cell.tied else ''}"


def _format_unit(column: Column) -> str:
    return f" ({column.unit})" if column.name == "loss" else ""


def _mark_best(text: str, cell: Cell, mark: str) -> str:
    return mark.format(text) if cell.best else text


def _join_cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _escape_markdown(text: str) -> str:
    """Escape text so that no table cell, tag, link or emphasis starts in it."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]<>|#&~" else c for c in text)
    for start, inactive in (("://", "\\://"), ("www.", "www\\."), ("@", "\\@")):  # GitHub links these without brackets
        escaped = escaped.replace(start, inactive)
    return " ".join(escaped.split())


def _escape_latex(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in " ".join(text.split()))


def _guard_row_start(row: str) -> str:
    """Keep the start of a row apart from the end of the row before, which would take `[2cm]` or `*` as its options."""
    return f"{{}}{row}" if row.startswith(("[", "*")) else row


def _guard_formula(value: Mapping[str, Any] | str | float | None) -> object:
    if not isinstance(value, str):
        return value
    text = escape_control(value)
    return f"'{text}" if text.lstrip(" \u00a0\u3000").startswith(FORMULA_STARTS) else text
