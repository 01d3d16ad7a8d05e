"""`tuneoff work`: a worker of a comparison that another process leads."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tuneoff.cli.application import app, format_examples, get_stop_code
from tuneoff.errors import RecipeError


@app.command(
    epilog=format_examples(
        "work runs/mine",
        "work runs/mine --slots 4",
        "work /shared/runs/mine --idle 10m",
        "work s3://bucket/mine",
    )
)
def work(
    run: Annotated[
        str, typer.Argument(help="A run directory, or the URL that the comparison has as --share.", metavar="RUN")
    ],
    slots: Annotated[
        int, typer.Option(min=1, help="Trials that run at the same time on this machine; on GPUs, each on its own.")
    ] = 1,
    idle: Annotated[
        str | None,
        typer.Option(
            help="End after this long with nothing to do, such as 10m.",
            metavar="DURATION",
            show_default="when the comparison ends",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Run open trials of a comparison, here or on another machine that shares its folder or its URL.

    A comparison opens trials with `tuneoff compare RECIPE --workers N`, or with --engine. Any number of workers may run
    this at the same time. A worker that dies loses nothing: another one goes on from its last checkpoint. Ctrl-C,
    SIGTERM and SIGUSR1 stop a worker after its step, with a checkpoint. Through a URL, a worker keeps its files in
    TUNEOFF_CACHE/shares until they are there; keys come from the environment.
    """
    from tuneoff.config.budget import parse_duration
    from tuneoff.runs.share_url import get_scratch_folder, is_url, read_url
    from tuneoff.system import supervisor

    try:
        idle_seconds = None if idle is None else parse_duration(idle)
    except ValueError as error:
        raise RecipeError(f"--idle: {error}") from None
    arguments = [*(["--idle", idle] if idle is not None else []), *(["--quiet"] if quiet else [])]
    if slots > 1:
        raise typer.Exit(_work_in_slots(run, slots, arguments))
    if not supervisor.is_worker():
        home = get_scratch_folder(read_url(run)) if is_url(run) else Path(run)
        raise typer.Exit(supervisor.supervise(["work", run, *arguments], home))
    from tuneoff import api
    from tuneoff.runner.listener import SilentListener

    try:
        count = api.work(run, listener=SilentListener() if quiet else None, idle_seconds=idle_seconds)
    except KeyboardInterrupt as stopped:
        if not quiet:
            print(f"\nStopped. The trial keeps its checkpoint in {run}, and others may go on with it.", file=sys.stderr)
        raise typer.Exit(get_stop_code(stopped)) from None
    if not quiet:
        print(f"Nothing is open any more. This worker finished {count} trial{'s' if count != 1 else ''}.")


def _work_in_slots(run: str, slots: int, arguments: list[str]) -> int:
    """Start a worker for each slot, and return the highest of their exit codes."""
    from tuneoff.api.working import open_place
    from tuneoff.engines.local import LocalLauncher, assign_gpus
    from tuneoff.system.interrupts import handle_stop_signals

    place = open_place(run)
    session = place.read_session()
    on_gpu, devices = session.threads is None, session.recipe.get("training", {}).get("devices", 1)
    launcher = LocalLauncher(assign_gpus(slots, devices) if on_gpu else [{}] * slots, arguments)
    launcher.start(place)
    with handle_stop_signals(lambda *_: launcher.terminate()):
        return max(launcher.wait())
