"""The command that measures what serving the models costs."""

from typing import Annotated

import typer

from tuneoff.cli.application import RunArgument, app, format_examples
from tuneoff.errors import RunError


@app.command(
    epilog=format_examples(
        "measure runs/fair",
        "measure runs/fair --arms lora,soft-prompt --batches 1,8",
        "measure runs/fair --batches 1 --prompt-tokens 64 --repeats 3",
    )
)
def measure(
    run: RunArgument,
    arms: Annotated[
        str | None,
        typer.Option(help="Methods, as the recipe labels them.", metavar="A,B", show_default="all with a model"),
    ] = None,
    batches: Annotated[str, typer.Option(help="Rows at a time.", metavar="N,N")] = "1,8,32",
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a prompt.")] = 128,
    new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer after the first.")] = 16,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats that are counted.")] = 5,
) -> None:
    """Measure what the models of a run cost when they are served.

    For each model this measures, against the base model, the time to the first token and of each further one, merged
    and not merged; the swap of merged LoRA; the memory of all weights; and what the length of a soft prompt costs. The
    result is stored in the run directory, and the page of the run gets a section about it.
    """
    from tuneoff import api
    from tuneoff.console.progress import print_line
    from tuneoff.report.measured import describe_measured
    from tuneoff.runner.measuring import MeasureOptions

    options = MeasureOptions(
        batches=_read_batches(batches), prompt_tokens=prompt_tokens, new_tokens=new_tokens, repeats=repeats
    )
    labels = [name.strip() for name in arms.split(",")] if arms else None
    measured = api.measure(run, labels, options, report=print_line)
    print("\n".join(describe_measured(measured)))
    api.report_run(run)
    print(f"Stored in {run}, and shown on the page: {run / 'report' / 'index.html'}")


def _read_batches(text: str) -> tuple[int, ...]:
    try:
        batches = tuple(int(part) for part in text.split(","))
    except ValueError:
        batches = ()
    if not batches or min(batches) < 1:
        raise RunError(f"--batches is {text!r}. Write numbers of rows, such as 1,8,32.")
    return batches
