"""Every example runs, on a tiny model and a small file, and prints what it promises."""

import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import tuneoff

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run_example(name: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """The run that the first example makes."""
    from tests.conftest import save_rows

    folder = tmp_path_factory.mktemp("example")
    save_rows(folder / "text.jsonl")
    options = {"--model": model_folder("llama"), "--max-tokens": 96, "--run": folder / "run"}
    printed = run_example("compare_two_methods.py", folder / "text.jsonl", *chain.from_iterable(options.items()))
    assert "| Method | ROUGE-L |" in printed
    assert "Best by test ROUGE-L: " in printed
    return folder / "run"


@pytest.mark.slow
def test_a_comparison_from_python_leaves_a_page(finished: Path) -> None:
    assert (finished / "report" / "index.html").is_file()


@pytest.mark.slow
def test_records_are_read_back(finished: Path) -> None:
    printed = run_example("read_a_run.py", finished, "lora", "soft-prompt")
    assert "lora, seed 0, done: test/" in printed
    assert printed.count("reference:") >= 1


@pytest.mark.slow
@pytest.mark.parametrize("label", ["lora", "soft-prompt"])
def test_the_trained_adapter_answers(finished: Path, label: str) -> None:
    printed = run_example("use_the_winner.py", finished, "A storm closed", "--label", label, "--max-new-tokens", 8)
    assert printed.strip()


def test_the_data_of_three_tasks_come_with_recipes_that_are_valid(tmp_path: Path) -> None:
    run_example("three_tasks.py", tmp_path)
    for name in ("labels", "answers", "code"):
        assert tuneoff.load_recipe(tmp_path / f"{name}.yaml").data.sizes.train == 120
        assert len((tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines()) > 210


@pytest.mark.slow
def test_the_notebook_shows_the_leaderboard(
    tmp_path: Path, text_file: Path, model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MODEL": model_folder("llama"), "FILE": text_file, "RUN": tmp_path / "run"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(EXAMPLES / "comparison.ipynb", as_version=4)
    NotebookClient(
        notebook, kernel_name="python3", timeout=200, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert max(len(data["text/plain"]) for data in shown) < 200, "records would fill the notebook"
    leaderboards = [data["text/markdown"] for data in shown if "text/markdown" in data]
    assert leaderboards == [tuneoff.format_markdown_table(tuneoff.load_comparison(tmp_path / "run"))]


def test_every_example_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    assert all(f"`{file.name}`" in listed for file in EXAMPLES.iterdir() if file.suffix in {".py", ".ipynb"})
