"""The command that looks on at a run."""

import contextlib
from collections.abc import Mapping
from typing import Annotated

import typer

from tuneoff.cli.application import RunArgument, app, format_examples
from tuneoff.report.escape import escape_control


@app.command(
    epilog=format_examples(
        "watch runs/fair", "watch /shared/runs/fair --once", "watch runs/fair --price 2.50", "watch runs/fair --web"
    )
)
def watch(
    run: RunArgument,
    once: Annotated[bool, typer.Option("--once", help="Print what it looks like now, and end.")] = False,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="Price of an hour of the machine, to show money.", show_default="the recipe's"),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Serve a page on this machine that shows the same, with buttons to decide.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page.", show_default="a free one")] = 0,
) -> None:
    """Look on at a run: its trials, curves, speed, memory, cost and time left.

    Everything is read from the run directory, which may be on a shared folder of another machine. Nothing is written,
    locked or asked of the processes. What is decided is said only after looks for which the verdict allows.
    """
    from rich.console import Console

    from tuneoff import api
    from tuneoff.watching.reading import RunWatch
    from tuneoff.watching.terminal import render, watch_in_terminal

    if web:
        from tuneoff.watching.server import serve

        def decide(form: Mapping[str, str]) -> str:
            return api.decide(run, **form).describe_whole()

        serve(RunWatch(run, price), decide, port, lambda address: print(f"{address} (Ctrl-C ends it)", flush=True))
        return
    watched, console = RunWatch(run, price), Console(highlight=False)
    if once or not console.is_terminal:
        console.print(render(watched.look(), console.width))
        return
    with contextlib.suppress(KeyboardInterrupt):
        watch_in_terminal(watched, console)


@app.command(
    epilog=format_examples(
        "decide runs/fair --stop 3f2a9c11d0be --why 'the loss does not move'",
        "decide runs/fair --drop soft-prompt",
        "decide runs/fair --extend 30m",
    )
)
def decide(
    run: RunArgument,
    stop: Annotated[str | None, typer.Option(help="The id of a trial to stop.", metavar="TRIAL")] = None,
    drop: Annotated[str | None, typer.Option(help="A method to leave out.", metavar="METHOD")] = None,
    extend: Annotated[str | None, typer.Option(help="By how much the budget grows.", metavar="DURATION")] = None,
    why: Annotated[str, typer.Option(help="The reason.", metavar="TEXT")] = "",
    by: Annotated[
        str | None, typer.Option(help="Who decides.", show_default="the user of this machine", metavar="NAME")
    ] = None,
) -> None:
    """Decide about a run while it goes on.

    The decision is recorded in the run directory. The comparison that works on the run carries it out, and the report
    names it: a stopped trial is a failed one, and a method that is left out is not compared.
    """
    from tuneoff import api

    print(escape_control(api.decide(run, stop=stop, drop=drop, extend=extend, why=why, by=by).describe_whole()))
