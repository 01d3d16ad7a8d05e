"""The command that looks on at a run."""

import contextlib
from typing import Annotated

import typer

from tuneoff.cli.commands import RunArgument, app, format_examples


@app.command(
    epilog=format_examples("watch runs/fair", "watch /shared/runs/fair --once", "watch runs/fair --price 2.50")
)
def watch(
    run: RunArgument,
    once: Annotated[bool, typer.Option("--once", help="Print what it looks like now, and end.")] = False,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="Price of an hour of the machine, to show money.", show_default="the recipe's"),
    ] = None,
) -> None:
    """Look on at a run: its trials, curves, speed, memory, cost and time left.

    Everything is read from the run directory, which may be on a shared folder of another machine. Nothing is written,
    locked or asked of the processes. What is decided is said only after looks for which the verdict allows.
    """
    from rich.console import Console

    from tuneoff.watching.reading import RunWatch
    from tuneoff.watching.terminal import render, watch_in_terminal

    watched, console = RunWatch(run, price), Console(highlight=False)
    if once or not console.is_terminal:
        console.print(render(watched.look(), console.width))
        return
    with contextlib.suppress(KeyboardInterrupt):
        watch_in_terminal(watched, console)
