"""A frame in the terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.watching.conftest import Write
from tests.watching.test_look import STEP
from tuneoff.cli import main
from tuneoff.records.trial import Trial
from tuneoff.watching.reading import RunWatch
from tuneoff.watching.terminal import render
from tuneoff.watching.words import draw_sparkline


def test_one_frame_says_what_runs_where_and_how_fast(
    unfinished: Path, trials: dict[str, Trial], write_events: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events("far-7", "trial", ago=60, trial=trials["lora 1"])
    write_events("far-7", "step", ago=1, trial=trials["lora 1"], epoch=2, done=5, loss=2.5, **STEP)
    assert main(["watch", str(unfinished), "--once"]) == 0
    frame = capsys.readouterr().out
    for text in ("run · running", "lora, seed 1 epoch 2 of 4, 5 of 10", "812 tokens/s", "1.07 GB", "far 7", "✓▶"):
        assert text in frame
    assert "Not decided yet." in frame


def test_without_a_terminal_one_frame_is_printed(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(finished)]) == 0
    assert "finished" in capsys.readouterr().out


def test_hostile_labels_and_reasons_move_no_cursor(
    unfinished: Path, trials: dict[str, Trial], write_events: Write
) -> None:
    write_events("far-7", "trial", trial=trials["lora 1"], label="\x1b[31mred")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render(RunWatch(unfinished).look(), 100))
    assert "\x1b[31mred" not in console.export_text()


def test_a_sparkline_has_its_lowest_block_at_the_lowest_value() -> None:
    assert draw_sparkline(((0, 3.0), (1, 2.0), (2, 1.0)), 10) == "█▅▁"
    assert draw_sparkline(((0, 1.0),), 10) == "▁"
    assert draw_sparkline((), 10) == ""
