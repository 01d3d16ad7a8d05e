"""The commands that run a comparison, or show what it would run."""

import math
from pathlib import Path
from typing import Annotated

import typer

from tuneoff.cli.application import Overrides, RecipeArgument, RunOption, app, format_examples
from tuneoff.cli.comparing import (
    add_until_decided,
    compare_and_print,
    explain_end,
    explain_stop,
    find_run_name,
    format_flags,
    require_time,
)
from tuneoff.errors import RecipeError, RunError

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
Elsewhere = Annotated[
    bool,
    typer.Option(
        "--elsewhere",
        help="Go on with a run that began on another processor or with other kernels, and mark every new record.",
    ),
]
DataModel = Annotated[
    str | None,
    typer.Option(help="Compare on data instead of a recipe: RECIPE is a file, a folder or the like.", metavar="NAME"),
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
    typer.Option("--engine", help="What starts the workers: local, manual, ray or slurm.", metavar="NAME"),
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
Share = Annotated[
    str | None,
    typer.Option(
        "--share",
        help="A URL, such as s3://bucket/mine, through which workers join that share no folder with this machine: "
        "`tuneoff work URL`. Keys come from the environment. What is there is removed at the end.",
        metavar="URL",
        show_default="the run directory",
    ),
]


@app.command(
    epilog=format_examples(
        "compare demo",
        "compare mine.yaml training.epochs=3 methods.lora.rank=16 --run runs/rank-16",
        "compare mine.yaml budget=2h30m",
        "compare mine.yaml --until-decided budget=8h",
        "compare rank",
        "compare papers.csv --model smollm2-135m-instruct",
        "compare mine.yaml --workers 4",
        "compare mine.yaml --engine manual --share s3://bucket/mine",
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
    elsewhere: Elsewhere = False,
    model: DataModel = None,
    workers: Workers = None,
    engine: EngineOption = "local",
    engine_option: EngineOptions = None,
    threads: Threads = None,
    exclusive: Exclusive = False,
    share: Share = None,
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
    flags = format_flags({
        "--run": run, "--drop": drop, "--model": model, "--elsewhere": elsewhere, "--workers": workers,
        "--engine": None if engine == "local" else engine, "--engine-option": engine_option, "--threads": threads,
        "--exclusive": exclusive, "--share": share,
    })  # fmt: skip
    arguments = ["compare", recipe, *overrides, *flags]
    if not supervisor.is_worker():
        if model is None:
            require_time(load_recipe(recipe, overrides), directory)
        raise typer.Exit(supervisor.supervise(arguments, directory, first_only=["--retry"] if retry else []))
    crew = {
        "workers": workers,
        "engine": api.build_engine(engine, *engine_option) if engine_option else engine,
        "threads": threads,
        "exclusive": exclusive,
        "share": share,
    }
    loaded = api.build_recipe(recipe, *overrides, model=model) if model else load_recipe(recipe, overrides)
    with explain_stop(arguments, directory):
        comparisons = compare_and_print(loaded, directory, drop or [], retry=retry, elsewhere=elsewhere, **crew)
    if code := explain_end(comparisons):
        raise typer.Exit(code)


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
