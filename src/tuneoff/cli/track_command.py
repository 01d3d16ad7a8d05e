"""The command that tells tracking tools about a run."""

import os
import select
import sys
from pathlib import Path
from typing import Annotated

import typer

from tuneoff.cli.application import FAILED, RunArgument, app, format_examples


@app.command(
    epilog=format_examples(
        "track runs/fair --to tensorboard",
        "track runs/fair --to wandb --offline",
        "track runs/fair --to mlflow --to trackio",
    )
)
def track(
    run: RunArgument,
    to: Annotated[
        list[str],
        typer.Option(
            help="tensorboard, mlflow, wandb, trackio, comet, aim, swanlab or clearml. May be repeated.", metavar="TOOL"
        ),
    ],
    offline: Annotated[
        bool, typer.Option("--offline", help="Send nothing; keep what would be sent on this machine.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            help="For what tools write on this machine.",
            show_default="trackers, beside RUN",
            metavar="FOLDER",
        ),
    ] = None,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Also tell test examples and predictions, and the page with them.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Tell trials as they end, until standard input closes.", hidden=True),
    ] = False,
) -> None:
    """Tell tracking tools about a run: hyperparameters, curves, scores, costs and the verdict.

    Each trial becomes a run of the tool, in a group for the comparison. It is told from the records alone, so a run
    that is finished, interrupted or from another machine will do. Telling the same trial twice adds nothing. Accounts
    and servers are set up as each tool says, by its environment variables.
    """
    from tuneoff import api
    from tuneoff.console.progress import print_line

    told = api.track(
        run,
        to,
        offline=offline,
        folder=folder,
        with_text=with_text,
        warn=lambda text: print_line(f"Warning: {text}"),
        is_over=_is_input_closed if follow else lambda: True,
    )
    for tool in told:
        if tool.runs:
            print(f"{tool.name}: {tool.runs} runs. To see them: {tool.view}")
    if any(tool.problem for tool in told):
        raise typer.Exit(FAILED)


def _is_input_closed() -> bool:
    """Return whether the process that started this one has ended, or has closed its end of the pipe."""
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)
