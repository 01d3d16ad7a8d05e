"""The application that the commands belong to, with the arguments that several of them take."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tuneoff.errors import TuneoffError
from tuneoff.report.escape import escape_control
from tuneoff.system.full_memory import explain_full_memory, is_out_of_memory
from tuneoff.system.panics import is_panic
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


def format_examples(*commands: str) -> str:
    r"""Return commands as lines for the end of a help text. Typer does not wrap a paragraph that starts with \b."""
    heading = "Examples:" if len(commands) > 1 else "Example:"
    return "\n".join(["\b", heading, *(f"  tuneoff {command}" for command in commands)])


def get_stop_code(stopped: KeyboardInterrupt) -> int:
    """Return the exit code of a command that a signal stopped, as a shell counts it."""
    return 128 + getattr(signal, str(stopped), signal.SIGINT)


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
        if not is_panic(error):
            raise
        print(f"tuneoff: A library failed on a file: {escape_control(str(error))}", file=sys.stderr)
        return BAD_INPUT
    return 0
