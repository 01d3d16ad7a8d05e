"""`tuneoff calibrate`: the verdict tested on the records of a run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import tuneoff
from tests.report.synthetic import synthetic_recipe, synthetic_run
from tuneoff.api import SWEEP, VALUES
from tuneoff.cli.commands import main
from tuneoff.errors import RunError
from tuneoff.runner.plan import plan_trials
from tuneoff.runs import RunDirectory

TWO_SEEDS: dict[str, Any] = {"methods": ["base", "lora", "full"], "seeds": [0, 1]}


def written(path: Path, **recipe: Any) -> Path:
    """A run directory as `tuneoff compare` would have left it."""
    run, directory = synthetic_run(**recipe), RunDirectory(path)
    directory.begin(run.recipe, run.environment, run.data)
    trials = {(t.label, t.seed): t for t in plan_trials(run.recipe, run.records[0].trial.setting, {})}
    for record in run.records:
        directory.write_record(record.model_copy(update={"trial": trials[record.trial.label, record.trial.seed]}))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return written(tmp_path / "run", **TWO_SEEDS)


def test_every_trained_method_has_a_line_for_rouge_and_one_for_the_loss(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(run), "--comparisons", "20"]) == 0
    lines = [line.split()[:5] for line in capsys.readouterr().out.splitlines()]
    made = [line for line in lines if "simulated" in line]
    assert sorted(line[:2] for line in made) == [
        ["full", "Loss"],
        ["full", "ROUGE-L"],
        ["lora", "Loss"],
        ["lora", "ROUGE-L"],
    ]


def test_the_table_fits_a_narrow_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["calibrate", str(run), "--comparisons", "20"])
    out = capsys.readouterr().out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_in_markdown_there_is_the_table_alone_for_a_document(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(run), "--comparisons", "20", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| Method | Metric |")
    assert len(lines) == 2 + 4
    assert all(line.startswith("| ") for line in lines)


def test_each_method_and_metric_that_is_done_is_said_on_standard_error(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["calibrate", str(run), "--comparisons", "20"])
    assert "lora, ROUGE-L: 40 comparisons judged" in capsys.readouterr().err


def test_seeds_are_those_of_each_side_and_come_from_the_records_where_there_are_enough(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(run), "--comparisons", "20", "--seeds", "1", "--markdown"]) == 0
    assert "| records | 1 × 40 |" in capsys.readouterr().out


def test_a_study_is_calibrated_comparison_by_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tuneoff.recipe.sweep import expand_sweep

    recipe = synthetic_recipe(**TWO_SEEDS, sweep={"knob": "data.sizes.train", "values": [100, 200]})
    for name, part in expand_sweep(recipe).items():
        written(tmp_path / VALUES / name, **part.to_dict())
    (tmp_path / SWEEP).write_text(yaml.safe_dump(recipe.to_dict()))
    assert main(["calibrate", str(tmp_path), "--comparisons", "20", "--markdown"]) == 0
    out = capsys.readouterr().out
    assert f"| {tmp_path} 100: lora | ROUGE-L |" in out
    assert f"| {tmp_path} 200: lora | ROUGE-L |" in out


def test_a_run_with_one_seed_gets_a_clear_error_with_its_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = written(tmp_path / "alone", **TWO_SEEDS | {"seeds": [0]})
    assert main(["calibrate", str(alone)]) == 2
    err = capsys.readouterr().err
    assert f"No method in {alone} was scored with two seeds" in err
    assert "seeds=[0, 1, 2]" in err


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(tmp_path)]) == 2
    assert "is no run directory" in capsys.readouterr().err


def test_from_python_it_is_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tuneoff.analysis.calibration import format_markdown

    main(["calibrate", str(run), "--comparisons", "20", "--markdown"])
    assert format_markdown(tuneoff.calibrate(run, comparisons=20)) == capsys.readouterr().out


def test_from_python_a_run_that_will_not_do_is_refused_at_once(tmp_path: Path) -> None:
    alone = written(tmp_path / "alone", **TWO_SEEDS | {"seeds": [0]})
    with pytest.raises(RunError, match="two seeds"):
        tuneoff.calibrate(alone)
