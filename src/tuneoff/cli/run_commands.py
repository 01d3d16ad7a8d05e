"""The commands that read the records of a run."""

from pathlib import Path
from typing import Annotated

import typer

from tuneoff.cli.application import FAILED, RunArgument, app, format_examples
from tuneoff.errors import RunError
from tuneoff.report.escape import escape_control


@app.command(epilog=format_examples("report runs/demo", "report runs/fair --against runs/shared-rate"))
def report(
    run: RunArgument,
    against: Annotated[
        Path | None, typer.Option(help="Another run, to show its results next to this run's.", metavar="RUN")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="The folder to write to.", metavar="FOLDER", show_default="RUN/report")
    ] = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave test examples and predictions out of the page.")
    ] = False,
) -> None:
    """Write the report of a run again, from its records.

    The report is a page, with its tables and figures as files.
    """
    from tuneoff import api
    from tuneoff.console.results import print_comparison, print_sweep

    if api.is_sweep(run):
        if against or to or no_text:
            raise RunError(
                f"{run} is a sweep, and --against, --to and --no-text need a single comparison. Choose one of the "
                f"sweep: tuneoff report {run / api.VALUES}/NAME"
            )
        print_sweep(api.report_sweep(run), run)
    else:
        print_comparison(api.report_run(run, against, to, with_text=not no_text), to or run / "report")


@app.command(epilog=format_examples("show runs/demo"))
def show(run: RunArgument) -> None:
    """Print the leaderboard and the verdict of a run.

    They are computed from the records so far, so the run may be unfinished.
    """
    from tuneoff import api
    from tuneoff.console.results import print_comparison, print_sweep

    if api.is_sweep(run):
        print_sweep(api.load_sweep(run), run)
    else:
        print_comparison(api.load_comparison(run), run / "report")


@app.command(epilog=format_examples("calibrate runs/demo", "calibrate runs/a runs/b --seeds 5 --markdown"))
def calibrate(
    runs: Annotated[list[Path], typer.Argument(help="Run directories of comparisons or sweeps.", metavar="RUN")],
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of each method in an artificial comparison.")] = 3,
    comparisons: Annotated[int, typer.Option(min=2, help="Artificial comparisons for each run and metric.")] = 1000,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Measure how often the verdict is wrong.

    This judges artificial comparisons of all methods, made from the records of the runs. First, no method is better
    than another, so every difference that the verdict finds is false. Then one method is given a known advantage, which
    the verdict should find.
    """
    from tuneoff import api
    from tuneoff.console.results import print_calibrations

    print_calibrations(api.calibrate(*runs, seeds=seeds, comparisons=comparisons), markdown=markdown)


@app.command(epilog=format_examples("verify runs/demo"))
def verify(run: RunArgument) -> None:
    """Check every file of a run against its checksum.

    One line for each file that is missing, foreign, damaged, or of a newer version. Nothing is changed. The exit code
    is 1 if there is such a file.
    """
    from tuneoff import api

    found = api.verify(run)
    for problem in found.problems:
        print(escape_control(f"{problem.kind:<8} {problem.file}: {problem.reason}"))
    if found.problems:
        raise typer.Exit(FAILED)
    print(
        f"{run}: {found.files} files and {found.trials} finished trials. Nothing is missing, foreign, damaged or newer."
    )
