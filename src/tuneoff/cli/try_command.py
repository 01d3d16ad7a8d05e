"""The command that asks all models of a run the same."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tuneoff.cli.application import RunArgument, app, format_examples
from tuneoff.errors import RunError

if TYPE_CHECKING:
    from rich.console import Console

    from tuneoff.runner.arms import Answer, Arms


@app.command(
    name="try",
    epilog=format_examples(
        'try runs/fair "The text to summarize."',
        "try runs/fair --arms base,lora < question.txt",
        "try runs/fair --example 3",
        "try runs/fair",
    ),
)
def try_(
    run: RunArgument,
    prompt: Annotated[
        str | None, typer.Argument(help="What to ask.", metavar="PROMPT", show_default="standard input")
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(help="Methods, as the recipe labels them.", metavar="A,B", show_default="all with a model"),
    ] = None,
    example: Annotated[
        int | None, typer.Option(help="Show this test example, from 1, with its reference and what the run wrote.")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of an answer.", show_default="as in the run")
    ] = None,
) -> None:
    """Ask all models of a run, and show their answers side by side.

    The prompt is put into the run's prompt template. Without a prompt, it is read from standard input; in a terminal
    you are asked for one after another, and an empty line ends.
    """
    from rich.console import Console

    from tuneoff import api
    from tuneoff.console.answers import print_answers, print_block

    console, labels = Console(highlight=False), [name.strip() for name in arms.split(",")] if arms else None
    if example is not None:
        if prompt is not None:
            raise RunError("--example has a prompt of its own. Leave PROMPT or --example out.")
        found, answers = api.recall(run, example, labels)
        print_block("prompt", found.source, console)
        print_block("reference", found.reference, console)
        print_answers(answers, console)
        return
    opened = api.open_arms(run, labels)
    for text in [prompt] if prompt is not None else _read_prompts(console):
        print_answers(list(_show_progress(opened, text, max_new_tokens)), console)


def _read_prompts(console: "Console") -> Iterator[str]:
    """Yield what stands in standard input as one prompt, or in a terminal each line until an empty one."""
    if not sys.stdin.isatty():
        text = sys.stdin.read()
        if not text.strip():
            raise RunError("There is no prompt: standard input is empty. Give one as an argument.")
        yield text.rstrip("\n")
        return
    while True:
        try:
            line = console.input("> ")
        except EOFError:
            return
        if not line.strip():
            return
        yield line


def _show_progress(arms: "Arms", text: str, max_new_tokens: int | None) -> Iterator["Answer"]:
    """Yield the answers, and name the model that is writing."""
    from rich.console import Console

    labels = [record.trial.label for record in arms.records]
    with Console(stderr=True).status("") as status:
        answers = arms.ask(text, max_new_tokens=max_new_tokens)
        for number, label in enumerate(labels, 1):
            status.update(f"{label} answers, {number} of {len(labels)}")
            yield next(answers)
