"""The documentation site builds without a warning, loads nothing from outside, and a broken link fails it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tuneoff

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    return tmp_path


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_the_site_is_whole_and_loads_nothing_from_outside(folder: Path) -> None:
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [page for page in (folder / "site").rglob("*.html") if page.parent.name != "demo"]
    api = (folder / "site" / "reference" / "api.html").read_text("utf-8")
    assert [name for name in tuneoff.__all__ if f'id="tuneoff.{name}"' not in api] == ["TuneoffError"]  # tuneoff.errors
    outside = re.compile(r"""(?:\bsrc|<link[^>]*\bhref)\s*=\s*["'](?:https?:)?//[^"']+""")
    assert not [
        found for page in pages for found in outside.findall(page.read_text("utf-8")) if "canonical" not in found
    ]


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["[a page](nowhere.md)", "::: tuneoff.api.nothing", "[tuneoff.api.nothing][]"])
def test_a_broken_reference_fails_the_build(folder: Path, broken: str) -> None:
    with (folder / "docs" / "reference" / "api.md").open("a") as page:
        page.write(f"\n{broken}\n")
    assert build(folder).returncode != 0
