"""A run in the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuneoff.report.escape import escape_control
from tuneoff.watching.reading import RunWatch
from tuneoff.watching.view import TrialView, View
from tuneoff.watching.words import (
    MARKS,
    describe_progress,
    describe_state,
    describe_time,
    draw_sparkline,
    format_clock,
    group_by_label,
    name_trial,
)

STYLES = {"done": "green", "diverged": "magenta", "failed": "red", "running": "cyan", "interrupted": "yellow"}
CURVE_WIDTH, MOST_MARKS, MOST_REASONS = 24, 40, 5
REFRESH_SECONDS = 2.0


def watch_in_terminal(watch: RunWatch, console: Console) -> None:
    """Show the run until it is finished or stopped, or Ctrl-C."""
    with Live(render(watch.look(), console.width), console=console, auto_refresh=False, screen=False) as live:
        while True:
            view = watch.look()
            live.update(render(view, console.width), refresh=True)
            if view.state in {"finished", "stopped"}:
                return
            time.sleep(REFRESH_SECONDS)


def render(view: View, width: int) -> Group:
    """Return one frame."""
    return Group(*_list_parts(view, width))


def _list_parts(view: View, width: int) -> Iterator[RenderableType]:
    yield Text.assemble((escape_control(view.name), "bold"), f" · {describe_state(view)}")
    yield Text(describe_time(view), style="dim")
    if view.plan:
        yield _draw_stages(view)
    if view.trials:
        yield _draw_methods(view)
    if any(trial.spans for trial in view.trials):
        yield _draw_timeline(view, width)
    for trial in view.running:
        yield Text.assemble(("▶ ", STYLES["running"]), (name_trial(trial), "bold"), f" {describe_progress(trial.last)}")
    lost = [trial for trial in view.trials if trial.reason]
    for trial in lost[-MOST_REASONS:]:
        yield Text(
            f"{MARKS[trial.state]} {name_trial(trial)}: {escape_control(trial.reason)}", style=STYLES[trial.state]
        )
    for decision in view.decisions:
        yield Text(escape_control(decision), style="yellow")
    yield Text("\n".join(view.verdict.lines), style="bold" if view.verdict.is_decided else "")


def _draw_stages(view: View) -> Table:
    grid = Table.grid(padding=(0, 1))
    for stage, count in view.plan.items():
        of = f"{count.done} of {'at most ' if count.is_most else ''}{count.of}"
        grid.add_row(Text(stage), ProgressBar(total=max(1, count.of), completed=count.done, width=30), Text(of))
    return grid


def _draw_methods(view: View) -> Table:
    """Draw a line for each method: the state of its trials, and the curve and loss of the last that has one."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Method", "Trials", "Training loss", "", "Validation loss"):
        table.add_column(heading)
    for label, trials in group_by_label(view.trials).items():
        marks = Text("… " if len(trials) > MOST_MARKS else "")
        for trial in trials[-MOST_MARKS:]:
            marks.append(MARKS[trial.state], style=STYLES[trial.state])
        drawn: TrialView | None = next((trial for trial in reversed(trials) if trial.train_loss), None)
        curve = drawn.train_loss if drawn else ()
        validated = next((t.validation_loss[-1][1] for t in reversed(trials) if t.validation_loss), None)
        table.add_row(
            Text(escape_control(label)),
            marks,
            Text(draw_sparkline(curve, CURVE_WIDTH)),
            Text(f"{curve[-1][1]:.3f}" if curve else ""),
            Text(f"{validated:.3f}" if validated is not None else ""),
        )
    return table


def _draw_timeline(view: View, width: int) -> Table:
    """Draw a line for each process: which trials it ran when."""
    start = min(span.start for trial in view.trials for span in trial.spans)
    end = max(span.end for trial in view.trials for span in trial.spans)
    cells = max(20, min(80, width - 30))
    per_second = (cells - 1) / max(1e-9, end - start)
    table = Table(box=None, pad_edge=False, show_header=False)
    for worker in view.workers:
        drawn = [(" ", "")] * cells
        for index, trial in enumerate(view.trials):
            for span in (span for span in trial.spans if span.worker == worker):
                first, last = (int((at - start) * per_second) for at in (span.start, span.end))
                for cell in range(first, last + 1):
                    drawn[cell] = ("█▓"[index % 2], STYLES[trial.state])
        table.add_row(Text(escape_control(worker), style="dim"), Text.assemble(*drawn))
    clock = f"{format_clock(start)}{format_clock(end):>{cells - len(format_clock(start))}}"
    table.add_row("", Text(clock, style="dim"))
    return table
