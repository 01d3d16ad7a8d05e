"""The leaderboard in Markdown and LaTeX, and every trial as a line of CSV."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.analysis.row import build_score_matrix
from tuneoff.analysis.statistics import estimate_mean
from tuneoff.records.metrics import METRICS, Metric
from tuneoff.records.record import Record
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_confidence, pluralize
from tuneoff.report.leaderboard import BRIEF, INTERVAL_IN_BRIEF, Cell, Column, Leaderboard, build_leaderboard

IN_A_TERMINAL = ("rougeL", "loss", "trainable", "train_seconds", "training_memory")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # what a spreadsheet would run or lose
TIED = "≈"  # behind a score that cannot be told apart from the best
CSV_UNITS = {"": "parameters", "%": "percent", "s": "seconds", "1/s": "per_second", "×": "ratio", "F1 × 100": "x100"}
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$", "×": r"$\times$", "≈": r"$\approx$",
    **{chr(0x2400 + code): rf"$\langle$U+{code:04X}$\rangle$" for code in range(0x20)},
    "⟨": r"$\langle$", "⟩": r"$\rangle$",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def make_terminal_rows(comparison: Comparison) -> tuple[tuple[str, ...], ...]:
    """A header and a row of strings for each method, best first: what fits into eighty columns."""
    board = build_leaderboard(comparison)
    rouge, loss, *costs = board.only(IN_A_TERMINAL)
    columns = [
        board.names,
        [f"{cell.text}{' ' + TIED if cell.tied else ''}" for cell in rouge.cells],
        [cell.interval for cell in rouge.cells],
        *([cell.text for cell in column.cells] for column in (loss, *costs)),
    ]
    level = format_confidence(comparison.run.recipe.verdict.confidence)
    return (("Method", rouge.title, level, "Loss", "Trainable", "Training", "Memory"), *zip(*columns, strict=True))


def format_markdown_table(comparison: Comparison) -> str:
    """The leaderboard in Markdown; what is best in its column is bold."""
    board = build_leaderboard(comparison)
    columns = board.only(BRIEF)
    lines = [_pipes("Method", *(f"{c.title}{_unit(c)}" for c in columns)), _pipes("---", *("---:" for _ in columns))]
    for i, name in enumerate(board.names):
        cells = [_marked(_markdown(_brief(c, c.cells[i])), c.cells[i], "**{}**") for c in columns]
        lines.append(_pipes(_markdown(name), *cells))
    lines.append("")
    reasons = [f"{label}: {reason}" for label, reason in zip(board.labels, board.reasons, strict=True) if reason]
    lines.extend(f"{_markdown(line)}  " for line in [*_remarks(comparison, board), *reasons])
    return "\n".join(lines).rstrip() + "\n"


def format_latex_table(comparison: Comparison) -> str:
    """The leaderboard as a `table` that needs the package booktabs; what is best in its column is bold."""
    board = build_leaderboard(comparison)
    columns = board.only(BRIEF)
    rows = [
        [_begun(_latex(name)), *(_marked(_latex(_brief(c, c.cells[i])), c.cells[i], r"\textbf{{{}}}") for c in columns)]
        for i, name in enumerate(board.names)
    ]
    body = "\n".join(f"    {' & '.join(row)} \\\\" for row in rows)
    caption = " ".join(_remarks(comparison, board))
    return rf"""% \usepackage{{booktabs}}
\begin{{table}}
  \centering
  \caption{{{_latex(caption)}}}
  \begin{{tabular}}{{l{"r" * len(columns)}}}
    \toprule
    {" & ".join(["Method", *(_latex(c.title) for c in columns)])} \\
    \midrule
{body}
    \bottomrule
  \end{{tabular}}
\end{{table}}
"""


def format_results_csv(comparison: Comparison) -> str:
    """One line for each trial, those of a search too, in full precision; ROUGE is F1 × 100.

    A search never sees the test split, so its lines have no test scores and are compared by those on validation. The
    seconds and epochs of a trial that went on from a lower rung include that rung's, so they are not to be summed.
    """
    confidence = comparison.run.recipe.verdict.confidence
    return format_csv([dict(_result(record, confidence)) for record in comparison.run.records])


def format_csv(rows: list[dict[str, Any]]) -> str:
    """Rows with named cells as CSV; a text that a spreadsheet would take for a formula is quoted away."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _result(record: Record, confidence: float) -> Iterator[tuple[str, Any]]:
    trial, costs, scores = record.trial, record.costs, record.scores
    yield from {"trial": trial.id, "label": trial.label, "method": trial.method, "seed": trial.seed}.items()
    yield from {"stage": trial.stage, "share_of_training": trial.rungs[-1]}.items()
    yield from {"status": record.status, "reason": record.reason, "best_epoch": record.best_epoch}.items()
    yield from {
        "stopped_early": record.stopped_early,
        "epochs": max((e.epoch for e in record.curve), default=0),
    }.items()
    yield "hyperparameters", json.dumps(dict(trial.hyperparameters), sort_keys=True)
    tested = record.status == "done" and trial.stage == "confirm"
    for metric in METRICS.values():
        alone = estimate_mean(build_score_matrix([record], metric), confidence) if tested else None
        name = _score_name(metric)
        yield f"test_{name}", alone and alone.mean
        yield f"test_{name}_low", alone and alone.low
        yield f"test_{name}_high", alone and alone.high
    yield "interval_confidence", confidence if tested else None
    yield "validation_loss_nats_per_target_token", scores.get("validation/loss")
    yield from ((f"{split}_perplexity", scores.get(f"{split}/perplexity")) for split in ("validation", "test"))
    for cost in COSTS.values():
        unit = CSV_UNITS.get(cost.unit, cost.unit)
        yield cost.name if cost.name.endswith(unit) else f"{cost.name}_{unit}", costs and cost.value(costs)
    yield "total_parameters", costs and costs.total_parameters
    yield "evaluation_seconds", costs and costs.evaluation_seconds
    yield "generation_seconds", costs and costs.generation_seconds
    for metric in METRICS.values():  # only a search by one of the text's metrics predicts validation examples
        if metric.needs_generation and (score := scores.get(f"validation/{metric.name}")) is not None:
            yield f"validation_{_score_name(metric)}", metric.scale * score


def _score_name(metric: Metric) -> str:
    return f"{metric.name}_{CSV_UNITS.get(metric.unit, metric.unit.replace(' ', '_'))}"


def _remarks(comparison: Comparison, board: Leaderboard) -> Iterator[str]:
    estimates = [e for row in comparison.rows for e in row.scores.values()]
    if estimates:
        examples, seeds = max(e.examples for e in estimates), max(e.seeds for e in estimates)
        yield (
            f"Scores on {pluralize(examples, 'test example')} with intervals of "
            f"{format_confidence(comparison.run.recipe.verdict.confidence)} over examples"
            f"{' and seeds' if seeds > 1 else ''}; ROUGE is F1 × 100."
        )
    if comparison.partial:
        yield "Partial: not every trial of the recipe has been run."
    if any(cell.tied for column in board.only(BRIEF) for cell in column.cells):
        yield f"{TIED} cannot be told apart from the best of its column."


def _brief(column: Column, cell: Cell) -> str:
    interval = f" [{cell.interval}]" if cell.interval and column.name in INTERVAL_IN_BRIEF else ""
    return f"{cell.text}{interval}{' ' + TIED if cell.tied else ''}"


def _unit(column: Column) -> str:
    return f" ({column.unit})" if column.name == "loss" else ""


def _marked(text: str, cell: Cell, mark: str) -> str:
    return mark.format(text) if cell.best else text


def _pipes(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    """Text that Markdown takes for nothing else: no cell, tag, link or emphasis begins in it."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]<>|#&~" else c for c in text)
    for start, of_no_link in (("://", "\\://"), ("www.", "www\\."), ("@", "\\@")):  # links need no brackets on GitHub
        escaped = escaped.replace(start, of_no_link)
    return " ".join(escaped.split())


def _latex(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in " ".join(text.split()))


def _begun(row: str) -> str:
    """A row that the end of the row before does not take for its options, as `\\\\[2cm]` or `\\\\*` would be."""
    return f"{{}}{row}" if row.startswith(("[", "*")) else row


def _inert(value: Mapping[str, Any] | str | float | None) -> object:
    if not isinstance(value, str):
        return value
    shown = escape_control(value)
    return f"'{shown}" if shown.lstrip(" \u00a0\u3000").startswith(FORMULA_STARTS) else shown
