"""`tuneoff calibrate` tests the verdict on the records of a run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import tuneoff
from tests.api.stored_runs import write_run
from tests.report.synthetic import make_synthetic_recipe
from tuneoff.api.sweeps import SWEEP_FILE, VALUES
from tuneoff.cli import main
from tuneoff.errors import RunError

TWO_SEEDS: dict[str, Any] = {"methods": ["base", "lora", "full"], "seeds": [0, 1]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", **TWO_SEEDS)


def test_a_run_has_a_line_for_rouge_and_one_for_the_loss(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(run), "--comparisons", "20"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] for line in lines if "simulated" in line] == [
        ["synthetic", "ROUGE-L", "simulated"],
        ["synthetic", "Loss", "simulated"],
    ]


def test_the_table_fits_a_narrow_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["calibrate", str(run), "--comparisons", "20"])
    out = capsys.readouterr().out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_markdown_output_is_the_table_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(run), "--comparisons", "20", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| Run | Metric |")
    assert len(lines) == 2 + 2
    assert all(line.startswith("| ") for line in lines)


def test_each_finished_run_and_metric_is_reported_on_standard_error(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["calibrate", str(run), "--comparisons", "20"])
    assert "synthetic, ROUGE-L: 40 comparisons judged" in capsys.readouterr().err


def test_seed_effects_come_from_the_records_if_there_are_enough_seeds_for_two_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    four_seeds = write_run(tmp_path / "run", **TWO_SEEDS | {"seeds": [0, 1, 2, 3]})
    assert main(["calibrate", str(four_seeds), "--comparisons", "20", "--seeds", "2", "--markdown"]) == 0
    assert "| records, 3 splits | 3 × 2 × 40 |" in capsys.readouterr().out


def test_a_family_of_one_seed_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(run), "--seeds", "1"]) == 2
    assert "Input should be greater than or equal to 2" in capsys.readouterr().err
    with pytest.raises(ValueError, match="two or more"):
        tuneoff.calibrate(run, seeds=1)


def test_every_comparison_of_a_sweep_is_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tuneoff.recipe.sweep import expand_sweep

    recipe = make_synthetic_recipe(**TWO_SEEDS, sweep={"parameter": "data.sizes.train", "values": [100, 200]})
    for name, part in expand_sweep(recipe).items():
        write_run(tmp_path / VALUES / name, **part.to_dict())
    (tmp_path / SWEEP_FILE).write_text(yaml.safe_dump(recipe.to_dict()))
    assert main(["calibrate", str(tmp_path), "--comparisons", "20", "--markdown"]) == 0
    out = capsys.readouterr().out
    assert f"| {tmp_path} 100 | ROUGE-L |" in out
    assert f"| {tmp_path} 200 | ROUGE-L |" in out


def test_a_run_with_one_seed_is_an_error_that_says_how_to_add_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_seed = write_run(tmp_path / "one-seed", **TWO_SEEDS | {"seeds": [0]})
    assert main(["calibrate", str(one_seed)]) == 2
    err = capsys.readouterr().err
    assert f"No two methods in {one_seed} were scored with two seeds" in err
    assert "seeds=[0, 1, 2]" in err


def test_a_folder_that_is_not_a_run_directory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err


def test_the_python_function_returns_the_same_figures(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tuneoff.analysis.calibration import format_markdown

    main(["calibrate", str(run), "--comparisons", "20", "--markdown"])
    assert format_markdown(tuneoff.calibrate(run, comparisons=20)) == capsys.readouterr().out


def test_the_python_function_refuses_a_run_with_one_seed_before_the_first_result(tmp_path: Path) -> None:
    one_seed = write_run(tmp_path / "one-seed", **TWO_SEEDS | {"seeds": [0]})
    with pytest.raises(RunError, match="two seeds"):
        tuneoff.calibrate(one_seed)
