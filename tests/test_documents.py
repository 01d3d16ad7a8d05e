"""The documents say what the program says. To renew them: `python -m tests.test_documents`."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tuneoff.cli.commands import app
from tuneoff.recipe.recipe import Recipe

ROOT = Path(__file__).parent.parent
COMMANDS = ROOT / "docs" / "commands.md"
NAMES = ("compare", "demo", "plan", "show", "report", "calibrate", "methods", "recipes", "schema")
CODES = """Exit codes: 0; 1 where trials failed; 2 for bad input; 3 for a budget that is over; 130 after Ctrl-C, 143
after SIGTERM and 129 after the terminal was closed, which stop a comparison after the step that it is in: the same
command goes on (docs/survival.md)."""


def commands() -> str:
    """Every command's `--help`, as a document."""
    runner = CliRunner()
    helps = [runner.invoke(app, [*name, "--help"], env={"COLUMNS": "100"}).output for name in ((), *zip(NAMES))]
    blocks = [
        f"## tuneoff {name}\n\n```text\n{text.strip()}\n```\n" for name, text in zip(("", *NAMES), helps, strict=True)
    ]
    intro = f"# Commands\n\nWhat `--help` prints, one command after the other.\n\n{CODES}\n\n"
    return intro + "\n".join(blocks).replace("## tuneoff \n", "## tuneoff\n")


def test_the_commands_document_is_what_help_prints() -> None:
    assert COMMANDS.read_text() == commands()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_recipe_in_the_readme_is_valid(block: str) -> None:
    """The first is a whole recipe, the others are written into it."""
    assert Recipe.read({**yaml.safe_load(blocks("yaml")[0]), **yaml.safe_load(block)})


@pytest.mark.parametrize("block", blocks("python"))
def test_every_python_block_of_the_readme_compiles_and_uses_public_names(block: str) -> None:
    import tuneoff

    compile(block, "README.md", "exec")
    assert set(re.findall(r"tuneoff\.(\w+)", block)) <= set(tuneoff.__all__)


if __name__ == "__main__":
    COMMANDS.write_text(commands())
