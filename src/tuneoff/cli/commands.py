"""The commands. Each parses its arguments, calls one function of the library, and prints the result."""

import json
import math
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tuneoff.cli.comparing import add_until_decided, compare_and_print, find_run_name, require_time
from tuneoff.errors import RecipeError, RunError, TuneoffError
from tuneoff.report.escape import escape_control
from tuneoff.system.full_memory import explain_full_memory, is_out_of_memory
from tuneoff.system.terminal import accept_every_character

app = typer.Typer(
    name="tuneoff",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find out which way of fine-tuning a language model is best on your text within your budget.",
    epilog="Start with: tuneoff demo",
)

FAILED, BAD_INPUT, BUDGET_OVER = 1, 2, 3  # exit codes


def format_examples(*commands: str) -> str:
    r"""Return commands as lines for the end of a help text. Typer does not wrap a paragraph that starts with \b."""
    heading = "Examples:" if len(commands) > 1 else "Example:"
    return "\n".join(["\b", heading, *(f"  tuneoff {command}" for command in commands)])


RecipeArgument = Annotated[
    str, typer.Argument(help="A recipe file, or the name of a shipped recipe.", metavar="RECIPE")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Changes to the recipe, as key.key=value.", metavar="KEY=VALUE")
]
RunOption = Annotated[
    Path | None, typer.Option("--run", help="The run directory.", show_default="runs/NAME of the recipe", metavar="RUN")
]
RunArgument = Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")]
Retry = Annotated[bool, typer.Option("--retry", help="Run failed trials again.")]
UntilDecided = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        help="Train one seed after another, and stop training a method once it is shown to be worse than the best one. "
        "The same as until_decided=true.",
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        help="A method to leave out if the budget is too small for two seeds of every method. May be repeated.",
        metavar="METHOD",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Trials that run at the same time, each in a process of its own, on cores or GPUs of this machine, or on "
        "what --engine says.",
        show_default="one after another in one process",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option("--engine", help="What starts the workers: local, manual or slurm.", metavar="NAME"),
]
EngineOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-option",
        help="An option of the engine, such as cpus=8 or sbatch=[--partition=gpu]. May be repeated.",
        metavar="KEY=VALUE",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPU threads of a trial. They decide the last bits, so a run keeps them.",
        show_default="those of the run, else all cores divided by the workers",
    ),
]
Exclusive = Annotated[
    bool,
    typer.Option(
        "--exclusive",
        help="With workers, let each confirmed trial run alone on its machine, so that its times can be compared.",
    ),
]


def format_crew(
    workers: int | None, engine: str, options: list[str], threads: int | None, *, exclusive: bool
) -> list[str]:
    """Return the flags that say who runs the trials."""
    flags = ["--workers", str(workers)] if workers else []
    flags += ["--engine", engine] if engine != "local" else []
    flags += [part for option in options for part in ("--engine-option", option)]
    flags += ["--threads", str(threads)] if threads else []
    return [*flags, *(["--exclusive"] if exclusive else [])]


@app.command(
    epilog=format_examples(
        "compare demo",
        "compare mine.yaml training.epochs=3 methods.lora.rank=16 --run runs/rank-16",
        "compare mine.yaml budget=2h30m",
        "compare mine.yaml --until-decided budget=8h",
        "compare rank",
        "compare papers.csv --model smollm2-135m-instruct",
        "compare mine.yaml --workers 4",
        "compare mine.yaml --engine slurm --workers 32 --engine-option sbatch=[--partition=gpu]",
    )
)
def compare(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    run: RunOption = None,
    retry: Retry = False,
    drop: Drop = None,
    until_decided: UntilDecided = False,
    elsewhere: Annotated[
        bool,
        typer.Option(
            "--elsewhere",
            help="Go on with a run that began on another processor or with other kernels, and mark every new record.",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Compare on data instead of a recipe: RECIPE is a file, a folder or the like.", metavar="NAME"
        ),
    ] = None,
    workers: Workers = None,
    engine: EngineOption = "local",
    engine_option: EngineOptions = None,
    threads: Threads = None,
    exclusive: Exclusive = False,
) -> None:
    """Run a comparison or a sweep, and write its report.

    Trials that the run directory has a record of are not run again, so the same command continues an interrupted run.
    With --model, RECIPE is data, and the recipe is the one that `tuneoff init` would write for them.
    """
    from tuneoff import api
    from tuneoff.recipe.data_argument import is_recipe
    from tuneoff.recipe.loading import load_recipe
    from tuneoff.system import supervisor

    if model and is_recipe(recipe):
        raise RecipeError(f"--model is for data, and {recipe} is a recipe. Write model.name={model} instead.")
    overrides = add_until_decided(recipe, overrides or [], model) if until_decided else list(overrides or ())
    directory = run or api.RUNS / find_run_name(recipe, overrides, model)
    flags = [part for label in drop or () for part in ("--drop", label)] + (["--model", model] if model else [])
    flags += ["--elsewhere"] if elsewhere else []
    options = engine_option or []
    flags += format_crew(workers, engine, options, threads, exclusive=exclusive)
    arguments = ["compare", recipe, *overrides, *(["--run", str(run)] if run else []), *flags]
    if not supervisor.is_worker():
        if model is None:
            require_time(load_recipe(recipe, overrides), directory)
        raise typer.Exit(supervisor.supervise(arguments, directory, first_only=["--retry"] if retry else []))
    crew: dict[str, Any] = {"workers": workers, "threads": threads, "exclusive": exclusive}
    crew["engine"] = api.build_engine(engine, *options) if options else engine
    loaded = api.build_recipe(recipe, *overrides, model=model) if model else load_recipe(recipe, overrides)
    try:
        comparisons = compare_and_print(loaded, directory, drop or [], retry=retry, elsewhere=elsewhere, **crew)
    except KeyboardInterrupt as stopped:
        command = shlex.join(["tuneoff", *arguments])
        print(f"\nStopped. Finished work is saved in {directory}. To continue: {command}", file=sys.stderr)
        raise typer.Exit(128 + getattr(signal, str(stopped), signal.SIGINT)) from None
    if any(record.status == "failed" for comparison in comparisons for record in comparison.run.records):
        print("Some trials failed. The report has the reasons. To run them again, add --retry.", file=sys.stderr)
        raise typer.Exit(FAILED)
    if any(comparison.partial for comparison in comparisons):
        print("The budget is used up. To continue, run the same command with a larger budget.", file=sys.stderr)
        raise typer.Exit(BUDGET_OVER)


@app.command(epilog=format_examples("demo", "demo training.epochs=1 --run runs/quick-demo"))
def demo(overrides: Overrides = None, run: RunOption = None, retry: Retry = False, drop: Drop = None) -> None:
    """Compare the base model and four methods offline.

    The demo uses real weights and real text, and needs no network.
    """
    compare("demo", overrides, run, retry, drop)


@app.command(
    epilog=format_examples(
        "plan demo training.epochs=3",
        "plan mine.yaml --probe --price 2.50",
        "plan demo --probe --run runs/demo",
        "plan mine.yaml --like runs/fair --difference 1",
    )
)
def plan(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure each method for a moment, and estimate the cost on this machine.")
    ] = False,
    price: Annotated[
        float | None, typer.Option(min=0, help="Price of an hour of this machine, to estimate the cost in money.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Save the measurements in this run directory, for the report.", metavar="RUN"),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            help="A run or sweep on similar data, to learn from how scores vary.",
            metavar="RUN",
            show_default="runs/NAME of the recipe, if it has records",
        ),
    ] = None,
    difference: Annotated[
        list[float] | None,
        typer.Option(
            "--difference",
            help="A difference between methods to plan seeds and test examples for. May be repeated.",
            show_default="the smallest that matters, and a round one",
        ),
    ] = None,
) -> None:
    """Show what a comparison will run, can show and will cost.

    For each method, this lists the trainable parameters, and by stage the trials, steps and tokens. It then says which
    difference between methods the recipe can show, and what a smaller one needs. With --probe, it also estimates time,
    memory, disk space and money.
    """
    if not all(0 < size < math.inf for size in difference or ()):
        raise RecipeError("--difference must be a number above zero, in the unit of the metric, such as 1.")
    from tuneoff import api
    from tuneoff.console.plan import print_cost_estimate, print_plan, print_sensitivity

    recipes = api.expand(recipe, *(overrides or ()))
    if run and (len(recipes) > 1 or not probe):
        raise RunError(
            "--run saves what --probe measures, and needs a single comparison. Add --probe, or leave --run out."
        )
    for name, single in recipes.items():
        planned = api.plan(single, probe=probe, run=run, like=like, differences=difference or ())
        print_plan(planned, single.name if len(recipes) == 1 else f"{single.name}: {name}")
        if planned.cost_estimate:
            print_cost_estimate(planned, price)
        print_sensitivity(planned)


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


@app.command(epilog=format_examples("methods", "methods --model EleutherAI/gpt-neo-125m", "methods --recipe mine.yaml"))
def methods(
    model: Annotated[
        str, typer.Option(help="A model id on the hub, a folder, a GGUF file, or the name of a built-in model.")
    ] = "smollm2-135m-instruct",
    recipe: Annotated[str | None, typer.Option(help="Show the methods and the model of this recipe instead.")] = None,
) -> None:
    """Show which parameters each method trains in a model.

    For each method, this lists the number of trainable parameters, their share of all, and their modules.
    """
    from tuneoff.console.listings import print_groups, print_methods
    from tuneoff.methods import GROUPS
    from tuneoff.recipe.loading import load_recipe
    from tuneoff.runner import inspect

    if recipe is None:
        print_methods(inspect.inspect_methods(model))
        print_groups(GROUPS)
    else:
        loaded = load_recipe(recipe)
        print_methods(inspect.inspect_methods(loaded.model, loaded.methods))


@app.command(epilog=format_examples("recipes", "recipes demo mine.yaml"))
def recipes(
    name: Annotated[
        str | None, typer.Argument(help="The recipe to copy. Without it, all are listed.", metavar="NAME")
    ] = None,
    to: Annotated[
        Path | None, typer.Argument(help="The file to write.", metavar="FILE", show_default="NAME.yaml")
    ] = None,
) -> None:
    """List the shipped recipes, or copy one to change it."""
    from tuneoff.console.listings import print_recipes
    from tuneoff.recipe.shipped_recipes import copy_recipe, read_shipped_recipes

    if name is None:
        print_recipes(read_shipped_recipes())
    else:
        print(f"Written to {copy_recipe(name, to or Path(f'{name}.yaml'))}")


@app.command(epilog=format_examples("schema > recipe.schema.json"))
def schema() -> None:
    """Print the JSON schema of a recipe.

    An editor uses it to complete and check the keys of a recipe file that begins with the line
    # yaml-language-server: $schema=recipe.schema.json
    """
    from tuneoff.recipe.schema import format_schema

    print(format_schema())


@app.command(epilog=format_examples("env", "env --json"))
def env(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the versions, machine and cache for an issue report.

    The output holds no secret and no user name.
    """
    from tuneoff.console.installation import format_installation
    from tuneoff.system.environment import describe_installation

    description = describe_installation()
    print(json.dumps(description, indent=2) if as_json else format_installation(description))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: success. 1: a trial failed. 2: bad input. 3: the budget is used up. A comparison that was stopped ends with 130
    for Ctrl-C, 143 for SIGTERM, or 129 for a closed terminal. The same command continues it.
    """
    accept_every_character()
    try:
        app(arguments)
    except TuneoffError as error:
        print(f"tuneoff: {escape_control(str(error))}", file=sys.stderr)  # the error may quote data
        return BAD_INPUT
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if is_out_of_memory(error):
            print(f"tuneoff: {escape_control(explain_full_memory(error))}", file=sys.stderr)
            return BAD_INPUT
        if not isinstance(error, OSError):
            raise
        advice = "Check that the path exists, and that there is disk space and permission to write."
        print(f"tuneoff: {error}. {advice}", file=sys.stderr)
        return BAD_INPUT
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of libraries in Rust, which no common type catches
            raise
        print(f"tuneoff: A library failed on a file: {escape_control(str(error))}", file=sys.stderr)
        return BAD_INPUT
    return 0
