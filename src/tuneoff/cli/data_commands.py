"""The commands for people who begin with data: look at them, and write a first recipe."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tuneoff.cli.application import Overrides, app, format_examples

DataArgument = Annotated[
    str,
    typer.Argument(help="A file, a folder, a pattern in quotes, or a data set of the hub.", metavar="DATA"),
]
ModelOption = Annotated[
    str | None, typer.Option(help="A model id on the hub, a folder, a GGUF file, or the name of a built-in model.")
]


@app.command(
    epilog=format_examples(
        "look papers.csv",
        "look data/ --model smollm2-135m-instruct --page papers.html",
        "look papers.csv data.fields.source=article data.fields.target=summary",
    )
)
def look(
    data: DataArgument,
    overrides: Overrides = None,
    model: ModelOption = None,
    page: Annotated[Path | None, typer.Option(help="Write a page too.", metavar="FILE")] = None,
) -> None:
    """Show what data are, before anything is trained.

    This lists files, columns, languages, lengths in tokens, repetitions, possible groups, and rows that are no
    examples. Three examples are shown as the model reads them, with what training scores in color.
    """
    from tuneoff import api
    from tuneoff.console.overview import print_overview
    from tuneoff.report.overview import write_overview_page

    overview = api.look(data, *(overrides or ()), model=model)
    print_overview(overview, data)
    if page:
        write_overview_page(overview, data, page)
        print(f"Written to {page}")


@app.command(
    epilog=format_examples("init papers.csv", "init data/ --model EleutherAI/gpt-neo-125m --to mine.yaml --force")
)
def init(
    data: DataArgument,
    overrides: Overrides = None,
    model: ModelOption = None,
    to: Annotated[
        Path | None, typer.Option(help="The file to write.", metavar="FILE", show_default="NAME.yaml of the data")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented recipe for data.

    Sizes and limits follow the data. Changes can be given for the keys of data and model.
    """
    from tuneoff import api
    from tuneoff.recipe.data_argument import name_recipe

    path = api.init(data, *(overrides or ()), model=model, to=to or Path(f"{name_recipe(data)}.yaml"), force=force)
    print(f"Written to {path}. To see what it would run: tuneoff plan {shlex.quote(str(path))}")
