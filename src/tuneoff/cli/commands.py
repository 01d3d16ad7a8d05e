"""The command line: read, call, print. Whatever it does, Python can do with the same words."""

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tuneoff.errors import RunError, TuneoffError
from tuneoff.report.escape import escape_control

app = typer.Typer(
    name="tuneoff",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find out which way of fine-tuning a language model is best on your text within your budget.",
    epilog="Start with: tuneoff demo",
)

FAILED, BAD_INPUT, BUDGET_OVER = 1, 2, 3

RecipeArgument = Annotated[str, typer.Argument(help="A recipe's file, or a shipped recipe's name.", metavar="RECIPE")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Changes to the recipe, as key.key=value.", metavar="KEY=VALUE")
]
RunOption = Annotated[
    Path | None, typer.Option("--run", help="The run directory.", show_default="runs/NAME of the recipe")
]
RunArgument = Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")]
Retry = Annotated[bool, typer.Option("--retry", help="Run failed trials again.")]


@app.command(
    epilog="Examples: tuneoff compare demo · tuneoff compare mine.yaml training.epochs=3 methods.lora.rank=16 --run r16"
    " · tuneoff compare rank · tuneoff compare mine.yaml budget=2h30m"
)
def compare(recipe: RecipeArgument, overrides: Overrides = None, run: RunOption = None, retry: Retry = False) -> None:
    """Run what is missing of a comparison or a study, and write its report."""
    from tuneoff import api
    from tuneoff.recipe.loading import load_recipe
    from tuneoff.system import supervisor

    whole = load_recipe(recipe, overrides or ())
    directory = run or api.RUNS / whole.name
    arguments = ["compare", recipe, *(overrides or ()), *(["--run", str(run)] if run else [])]
    if not supervisor.is_worker():
        raise typer.Exit(supervisor.supervise(arguments, directory, once=["--retry"] if retry else []))
    from tuneoff.console.tables import print_comparison, print_sweep

    try:
        if whole.sweep:
            sweep = api.sweep(whole, run=directory, retry=retry)
            print_sweep(sweep, directory)
            comparisons = list(sweep.comparisons.values())
        else:
            comparisons = [api.compare(whole, run=directory, retry=retry)]
            print_comparison(comparisons[0], directory / "report")
    except KeyboardInterrupt as stopped:
        again = shlex.join(["tuneoff", *arguments])
        print(f"\nStopped. What was finished is kept in {directory}; to go on: {again}", file=sys.stderr)
        raise typer.Exit(128 + getattr(signal, str(stopped), signal.SIGINT)) from None
    if any(record.status == "failed" for comparison in comparisons for record in comparison.run.records):
        print("Some trials failed; their reasons are on the page. To try them again: --retry", file=sys.stderr)
        raise typer.Exit(FAILED)
    if any(comparison.partial for comparison in comparisons):
        print("The budget is over. The same command with a larger one goes on from here.", file=sys.stderr)
        raise typer.Exit(BUDGET_OVER)


@app.command(epilog="Example: tuneoff demo training.epochs=1 --run runs/quick-demo")
def demo(overrides: Overrides = None, run: RunOption = None, retry: Retry = False) -> None:
    """Compare the untouched model and four ways of tuning it, offline, with real weights and real text."""
    compare("demo", overrides, run, retry)


@app.command(
    epilog="Examples: tuneoff plan demo training.epochs=3 · tuneoff plan mine.yaml --probe --price 2.50"
    " · tuneoff plan demo --probe --run runs/demo"
)
def plan(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure each method for a moment, and say what all will cost here.")
    ] = False,
    price: Annotated[float | None, typer.Option(min=0, help="Of an hour of this machine, to see money too.")] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Keep what the probe found in this run directory, for the report.", metavar="RUN"),
    ] = None,
) -> None:
    """Show what each method trains and goes through, stage by stage in trainings, steps and tokens; with a probe also
    in seconds, memory, disk and money."""
    from tuneoff import api
    from tuneoff.console.tables import print_cost_estimate, print_plan

    parts = api.expand(recipe, *(overrides or ()))
    if run and (len(parts) > 1 or not probe):
        raise RunError("--run keeps what --probe found of one comparison. Add --probe, or leave --run out.")
    for name, part in parts.items():
        planned = api.plan(part, probe=probe, run=run)
        print_plan(planned, name)
        if planned.cost_estimate:
            print_cost_estimate(planned, price)


@app.command(epilog="Examples: tuneoff report runs/demo · tuneoff report runs/fair --against runs/shared-rate")
def report(
    run: RunArgument,
    against: Annotated[
        Path | None, typer.Option(help="Another run, whose conclusions are set beside this one's.", metavar="RUN")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="The folder to write into.", metavar="FOLDER", show_default="RUN/report")
    ] = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave test examples and predictions off the page, to share it.")
    ] = False,
) -> None:
    """Judge a run's records and write its page, tables and figures again."""
    from tuneoff import api
    from tuneoff.console.tables import print_comparison, print_sweep

    if api.is_sweep(run):
        if against or to or no_text:
            raise RunError(
                f"{run} is a study, whose page has links into it and no text. Report one of its comparisons so: "
                f"tuneoff report {run / api.VALUES}/NAME"
            )
        print_sweep(api.report_sweep(run), run)
    else:
        print_comparison(api.report_run(run, against, to, with_text=not no_text), to or run / "report")


@app.command(epilog="Example: tuneoff show runs/demo")
def show(run: RunArgument) -> None:
    """Print a run's verdict and leaderboard, from its records as they are now."""
    from tuneoff import api
    from tuneoff.console.tables import print_comparison, print_sweep

    if api.is_sweep(run):
        print_sweep(api.load_sweep(run), run)
    else:
        print_comparison(api.load_comparison(run), run / "report")


@app.command(epilog="Examples: tuneoff calibrate runs/demo · tuneoff calibrate runs/a runs/b --seeds 5 --markdown")
def calibrate(
    runs: Annotated[list[Path], typer.Argument(help="Run directories, of comparisons or studies.", metavar="RUN")],
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each side.")] = 3,
    comparisons: Annotated[int, typer.Option(min=2, help="How many to judge for each method and metric.")] = 1000,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
) -> None:
    """Test the verdict on stored answers: how often it sees a difference between two halves of one method's seeds, and
    how often it finds a difference that was put there."""
    from tuneoff import api
    from tuneoff.console.tables import print_calibrations

    print_calibrations(api.calibrate(*runs, seeds=seeds, comparisons=comparisons), markdown=markdown)


@app.command(epilog="Examples: tuneoff methods · tuneoff methods --model EleutherAI/gpt-neo-125m")
def methods(
    model: Annotated[str, typer.Option(help="A hub id, a folder, a GGUF file or a built-in name.")] = (
        "smollm2-135m-instruct"
    ),
    recipe: Annotated[str | None, typer.Option(help="Take the methods and the model of this recipe.")] = None,
) -> None:
    """Show which modules each method trains in a model, how many parameters, and what share."""
    from tuneoff.console.tables import print_methods
    from tuneoff.recipe.loading import load_recipe
    from tuneoff.runner import inspect

    if recipe is None:
        print_methods(inspect.inspect_methods(model))
    else:
        whole = load_recipe(recipe)
        print_methods(inspect.inspect_methods(whole.model, whole.methods))


@app.command(epilog="Examples: tuneoff recipes · tuneoff recipes demo mine.yaml")
def recipes(
    name: Annotated[str | None, typer.Argument(help="The recipe to copy; all are listed without it.")] = None,
    to: Annotated[Path | None, typer.Argument(help="The file to copy it to.", show_default="NAME.yaml")] = None,
) -> None:
    """List the shipped recipes, or copy one to change it."""
    from tuneoff.console.tables import print_recipes
    from tuneoff.recipe.shipped_recipes import copy_recipe, read_shipped_recipes

    if name is None:
        print_recipes(read_shipped_recipes())
    else:
        print(f"Written to {copy_recipe(name, to or Path(f'{name}.yaml'))}")


@app.command(epilog="Example: tuneoff schema > recipe.schema.json")
def schema() -> None:
    """Print the JSON schema of a recipe, with which an editor completes and checks its keys."""
    from tuneoff.recipe.schema import format_schema

    print(format_schema())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0, or 1 for failed trials, 2 for bad input, 3 for a budget that is over; 130 when Ctrl-C stopped it, 143 when
    SIGTERM did, 129 when its terminal was closed: the same command goes on from there.
    """
    try:
        app(arguments)
    except TuneoffError as error:
        print(f"tuneoff: {escape_control(str(error))}", file=sys.stderr)  # it may quote data
        return BAD_INPUT
    except OSError as error:
        print(
            f"tuneoff: {error}. Check that the path exists, and that there is room and leave to write.", file=sys.stderr
        )
        return BAD_INPUT
    except SystemExit as end:
        return int(end.code or 0)
    return 0
