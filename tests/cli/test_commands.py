"""The output and exit codes of the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml

from tests.conftest import SENTENCES
from tuneoff.cli import main
from tuneoff.runs import RunDirectory
from tuneoff.system import supervisor
from tuneoff.system.interrupts import Stopped


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_a_comparison_prints_its_leaderboard_and_the_path_of_its_page(
    recipe_file: str, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", recipe_file, "methods=[base, lora]", "--run", str(run)]) == 0
    out, err = capfd.readouterr()
    assert "ROUGE-L" in out
    assert str(run / "report" / "index.html") in out.replace("\n", "")
    assert "lora, seed 0: epoch 2 of 2" in err
    files = {str(f.relative_to(run)) for f in run.rglob("*") if f.is_file()}
    assert {"recipe.yaml", "environment.json", "data.json", "report/index.html", "report/table.md", "report/table.tex",
            "report/results.csv"} <= files  # fmt: skip


def test_a_comparison_of_examples_in_groups_says_over_how_many_its_intervals_are(
    recipe_file: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"source": f"{text} {i}", "target": text[:9], "doc": i // 2} for i, text in enumerate(SENTENCES * 2)]
    file = tmp_path / "grouped.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = [f"data.files={file}", "data.fields.group=doc", "data.sizes.test=4", "methods=[base]"]
    assert main(["plan", recipe_file, *overrides]) == 0
    assert "4 test in 2 groups" in capsys.readouterr().out
    assert main(["compare", recipe_file, *overrides, "--run", str(run)]) == 0
    assert "4 test examples in 2 groups" in (run / "report" / "table.md").read_text()
    (predictions,) = run.glob("trials/*/predictions.jsonl")
    assert len({json.loads(line)["group"] for line in predictions.read_text().splitlines()}) == 2


def test_the_report_is_written_again_from_the_records_alone(
    recipe_file: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", recipe_file, "methods=[base, lora]", "--run", str(run)])
    page = run / "report" / "index.html"
    first = page.read_text()
    page.unlink()
    for weights in run.rglob("*.safetensors"):
        weights.unlink()
    assert main(["report", str(run)]) == 0
    assert page.read_text() == first


def test_a_report_can_be_written_elsewhere_and_without_text_from_the_data(
    recipe_file: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", recipe_file, "methods=[base, lora]", "--run", str(run)])
    assert SENTENCES[0] in (run / "report" / "index.html").read_text()
    capsys.readouterr()
    assert main(["report", str(run), "--to", str(tmp_path / "share"), "--no-text"]) == 0
    page = tmp_path / "share" / "index.html"
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    for text in SENTENCES:
        assert text not in page.read_text()


def test_a_failed_trial_ends_the_command_with_code_one(
    recipe_file: str, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.methods.lora.LoRA.save", lambda *_: 1 / 0)
    assert main(["compare", recipe_file, "methods=[base, lora]", "--run", str(run)]) == 1
    out, err = capsys.readouterr()
    assert "ZeroDivisionError" in err + out
    assert "--retry" in err


BAD: dict[str, tuple[list[str], str]] = {
    "unknown key": (["training.epoch=1"], "Unknown key 'training.epoch'. Did you mean 'epochs'?"),
    "unknown method": (["methods=[base, lorra]"], "No method 'lorra'. Did you mean 'lora'?"),
    "missing column": (["data.fields.source=article"], "article"),
    "empty split": (["data.sizes.test=900"], "test"),
    "max length too small": (["data.max_tokens=12", "data.max_target_tokens=8"], "max_tokens"),
    "no such file": (["data.files=./none.jsonl"], "none.jsonl"),
    "no such model": (["model.name=./none"], "no model folder"),
    "unknown modules": (["methods.lora.modules=[no_such_module]"], "methods.lora does not fit"),
    "more tokens than positions": (["data.max_tokens=500"], "has 256"),
    "missing device": (["model.device=mps"], "model.device"),
}


@pytest.mark.parametrize(("overrides", "message"), BAD.values(), ids=BAD)
def test_bad_input_gets_a_clear_error_exit_code_two_and_no_run_directory(
    overrides: list[str], message: str, recipe_file: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", recipe_file, *overrides, "--run", str(run)]) == 2
    assert message in capsys.readouterr().err
    assert not run.exists()


def test_the_message_names_a_data_file_that_is_not_utf8(
    recipe_file: str, run: Path, text_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = '{"source": "café", "target": "x"}\n'.encode() + b'{"source": "caf\xe9", "target": "x"}\n'
    text_file.write_bytes(text_file.read_bytes() + damaged)
    assert main(["compare", recipe_file, "--run", str(run)]) == 2
    err = capsys.readouterr().err
    assert text_file.name in err
    assert "UTF-8" in err


def test_the_plan_says_which_encoding_was_assumed(
    recipe_file: str, text_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text_file.write_bytes(text_file.read_bytes() + b'{"source": "the caf\xe9", "target": "x"}\n')
    assert main(["plan", recipe_file]) == 0
    assert "is not UTF-8. It was read as cp1252" in " ".join(capsys.readouterr().out.split())


def test_an_unknown_command_ends_with_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comparre"]) == 2


def test_the_plan_shows_what_each_method_trains(recipe_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", recipe_file]) == 0
    out = capsys.readouterr().out
    assert " base  not trained" in out
    assert " soft-prompt  384 trained (1.1 %)" in out  # 12 tokens as wide as the model, 32


def test_the_plan_shows_the_size_of_each_split_and_what_is_truncated(
    recipe_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", recipe_file, "data.max_tokens=24", "data.max_target_tokens=4"]) == 0
    out = capsys.readouterr().out
    assert "Examples: 7 train, 2 validation, 3 test" in out.splitlines()
    assert "  train: 100 % of sources truncated, 100 % of targets truncated" in out


def test_the_plan_of_a_sweep_names_the_sweep_and_the_value(
    recipe_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", recipe_file, "sweep={parameter: data.sizes.train, values: [4, 6]}"]) == 0
    out = capsys.readouterr().out
    assert [line.partition(": ")[2] for line in out.splitlines() if line.startswith("tiny: ")] == ["4", "6"]


def test_the_plan_counts_the_steps_of_every_seed(recipe_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", recipe_file, "seeds=[0, 1]"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "seeds 0, 1" in line]
    assert [row[-4:-2] for row in rows] == [["2", "8"], ["2", "8"]]  # 7 examples in batches of 4, twice, twice


def test_the_plan_shows_each_rung_of_a_search_and_the_total(
    recipe_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", recipe_file, "methods=[base, lora]", "search={configurations: 4}"]) == 0
    lines = [line.strip().partition("  ") for line in capsys.readouterr().out.splitlines()]
    stages = {name: numbers.split()[:2] for name, _, numbers in lines}
    assert stages["search, 0 % to 25.0 % of the training"] == ["2", "2"]  # trials, and steps beyond the previous rung
    assert stages["search, 25.0 % to 50.0 % of the training"] == ["2", "2"]
    assert stages["search, 50.0 % to 100 % of the training"] == ["2", "4"]
    assert stages["search, 0 % to 100 % of the training"] == ["4", "16"]
    assert stages["confirm and test, seeds 1, 2, 3"] == ["3", "12"]
    assert stages["total"] == ["13", "36"]
    assert stages["test"] == ["1"]


def test_the_plan_says_which_differences_the_recipe_can_show(
    recipe_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", recipe_file, "data.sizes.test=8", "seeds=[1, 2, 3]", "--difference", "2"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "80 % chance to see a difference of" in shown
    assert " 2 points: " in shown
    assert "Assumed: a seed moves a score by 1.2 points" in shown


def test_a_difference_to_plan_for_must_be_above_zero(recipe_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", recipe_file, "--difference", "-1"]) == 2
    assert "above zero" in capsys.readouterr().err


def test_methods_lists_what_each_method_trains(recipe_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--recipe", recipe_file]) == 0
    out = capsys.readouterr().out
    assert "base: 0 of" in out
    assert "model.layers.*.self_attn.q_proj.lora_A.weight" in out
    assert "prompt_encoder.embedding.weight" in out


def test_a_method_that_does_not_fit_the_model_is_listed_with_its_reason(
    model_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["methods", "--model", str(model_folder("llama"))]) == 0
    shown = capsys.readouterr().out
    assert "bitfit: does not fit: BitFit trains biases, and this model has none." in shown
    assert "peft: Missing key 'methods.peft.peft_type'." in shown
    assert "prefix: 768 of" in shown


def test_a_shipped_recipe_is_listed_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    assert "gpt-neo-cnn-dailymail" in capsys.readouterr().out
    assert main(["recipes", "demo", str(tmp_path / "mine.yaml")]) == 0
    assert yaml.safe_load((tmp_path / "mine.yaml").read_text())["name"] == "demo"


@pytest.mark.parametrize(("reason", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_each_way_of_stopping_has_its_own_exit_code(
    reason: str, code: int, recipe_file: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.runner.attempt.run_trial", Mock(side_effect=Stopped(reason)))
    assert main(["compare", recipe_file, "--run", str(run)]) == code


def test_a_stopped_comparison_prints_the_command_that_continues_it(recipe_file: str, run: Path) -> None:
    command = [sys.executable, "-c", "import sys; from tuneoff.cli import main; sys.exit(main())",
               "compare", recipe_file, "training.epochs=400", "--run", str(run)]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != supervisor.WORKER_VARIABLE} | {
        "PYTHONUNBUFFERED": "1"
    }
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "lora, seed 0: epoch" in line:
                break
        process.send_signal(signal.SIGTERM)
        message = process.stderr.read()
        assert process.wait(timeout=60) == 143
    assert f"To continue: tuneoff compare {recipe_file} training.epochs=400 --run {run}" in message
    assert [r.trial.label for r in RunDirectory(run).read().records] == ["base"]
    assert not list(run.rglob(".*.json*"))


def test_records_are_plain_json(recipe_file: str, run: Path) -> None:
    main(["compare", recipe_file, "methods=[base]", "--run", str(run)])
    (record,) = run.glob("trials/*/record.json")
    assert json.loads(record.read_text())["trial"]["method"] == "base"


@pytest.mark.parametrize(("written", "planned"), [([], 10), (["until_decided=4"], 4), (["seeds=[1, 2, 3]"], 3)])
def test_the_flag_until_decided_keeps_a_number_that_the_recipe_has(
    written: list[str], planned: int, recipe_file: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = Mock(side_effect=KeyboardInterrupt("SIGINT"))
    monkeypatch.setattr("tuneoff.api.compare", compare)
    main(["compare", recipe_file, *written, "--until-decided", "--run", str(run)])
    (recipe,) = compare.call_args.args
    assert recipe.until_decided == planned


def test_the_worker_gets_every_option_and_retry_in_its_first_start_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], list[str]]] = []
    monkeypatch.setattr(supervisor, "is_worker", lambda: False)
    monkeypatch.setattr(
        supervisor, "supervise", lambda arguments, _, first_only: started.append((arguments, first_only)) or 0
    )
    words = ["compare", "demo", "seeds=[1]"]
    flags = [
        "--run", "runs/mine", "--drop", "lora", "--drop", "full", "--elsewhere", "--workers", "2", "--engine", "slurm",
        "--engine-option", "cpus=2", "--engine-option", "minutes=9", "--threads", "1", "--exclusive",
    ]  # fmt: skip
    assert main([*words, *flags, "--retry"]) == 0
    assert main(words) == 0
    assert started == [([*words, *flags], ["--retry"]), (words, [])]
