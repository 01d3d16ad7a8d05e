"""The documents say what the program says: generated pages are up to date, and names in written ones exist."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import tuneoff
from scripts.reference import FOLDER, PAGES
from tuneoff.recipe.recipe import Recipe

ROOT = Path(__file__).parent.parent
WRITTEN = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text("utf-8"), re.DOTALL)


def blocks_of_all(language: str) -> list[tuple[str, str]]:
    return [(str(document.relative_to(ROOT)), block) for document in WRITTEN for block in blocks(document, language)]


@pytest.mark.parametrize(("name", "write"), PAGES.items(), ids=PAGES)
def test_a_generated_page_is_up_to_date(name: str, write: Callable[[], str]) -> None:
    assert (FOLDER / name).read_text("utf-8") == write(), "run `make reference`"


@pytest.mark.parametrize(("document", "block"), blocks_of_all("yaml"))
def test_every_recipe_in_a_document_is_valid(document: str, block: str) -> None:
    """The README's first is a whole recipe; a part of one is written into it."""
    whole = yaml.safe_load(blocks(ROOT / "README.md", "yaml")[0])
    assert Recipe.read({**whole, **yaml.safe_load(block)})


@pytest.mark.parametrize(("document", "block"), blocks_of_all("python"))
def test_every_python_block_compiles_and_uses_public_names(document: str, block: str) -> None:
    compile(block, document, "exec")
    assert set(re.findall(r"tuneoff\.(\w+)", block)) <= set(tuneoff.__all__)


@pytest.mark.parametrize("document", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    """Links to files, and paths of modules, tests and scripts in backquotes."""
    text = document.read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:src/tuneoff|tests|benchmarks|scripts|examples)/[\w./-]+\.\w+)`", text)
    missing = [link for link in links if link and not (document.parent / link).exists()]
    assert not missing + [path for path in named if not (ROOT / path).exists()]
