"""`tuneoff try`: all models of a run answer the same prompt."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.tiny_run import make_run
from tuneoff.cli import main
from tuneoff.runs import RunDirectory

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Any) -> Path:
    """A run of the base model, LoRA and the base model with another prompt."""
    methods = {"base": None, "lora": {"learning_rate": 1e-2}, "base-prompt": {"prompt": "{source}\nShort: "}}
    return make_run(tmp_path_factory.mktemp("tried"), model_folder("llama"), methods, data={"max_tokens": 96})


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def find_prediction(run: Path, label: str) -> str:
    (record,) = (r for r in RunDirectory(run).read_records() if r.trial.label == label)
    return min(record.predictions, key=lambda p: p.row).prediction or ""


def get_words(out: str) -> str:
    return "".join(out.split())


def test_all_models_answer_side_by_side_as_loaded_ones_do(
    run: Path, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", str(run), "A storm closed the harbour."]) == 0
    out = capsys.readouterr().out
    heading = next(line for line in out.splitlines() if "lora" in line)
    assert "base" in heading
    for label in ("lora", "base-prompt"):
        (answer,) = tuneoff.load(run, label).generate(["A storm closed the harbour."])
        assert all(word in get_words(out) for word in get_words(answer).split("\n"))


def test_answers_stand_one_below_another_in_a_narrow_terminal(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["try", str(run), "A storm"]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith(("base", "lora"))]
    assert len(headings) == 3


def test_a_test_example_is_shown_with_its_reference_and_what_the_run_wrote(
    run: Path, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", str(run), "--example", "1", "--arms", "lora"]) == 0
    out = capsys.readouterr().out
    example = min(RunDirectory(run).read_records()[0].predictions, key=lambda p: p.row)
    assert get_words(example.reference) in get_words(out)
    assert get_words(find_prediction(run, "lora")) in get_words(out)
    assert "base" not in out


def test_the_prompt_comes_from_standard_input(
    run: Path, wide: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["try", str(run), "A storm\nclosed", "--arms", "lora"])
    given = capsys.readouterr().out.split("\n", 2)[2]  # the heading has the seconds
    monkeypatch.setattr(sys, "stdin", io.StringIO("A storm\nclosed\n"))
    assert main(["try", str(run), "--arms", "lora"]) == 0
    assert capsys.readouterr().out.split("\n", 2)[2] == given


def test_a_terminal_asks_for_one_prompt_after_another(
    run: Path, wide: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    lines = iter(["A storm", "The river", ""])
    monkeypatch.setattr("rich.console.Console.input", lambda *_: next(lines))
    assert main(["try", str(run), "--arms", "lora"]) == 0
    assert sum("lora" in line for line in capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hello", "--arms", "lorra"], "Did you mean 'lora'"),
        (["hello", "--example", "1"], "Leave PROMPT or --example out"),
        (["--example", "9"], "The run has 1 to 3"),
        ([], "standard input is empty"),
    ],
)
def test_bad_input_is_refused_with_the_cure(
    run: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" \n"))
    assert main(["try", str(run), *arguments]) == 2
    assert message in capsys.readouterr().err
