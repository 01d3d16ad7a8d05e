"""Progress in a terminal and in a log."""

import io

import pytest
from rich.console import Console

from tests.report.synthetic import make_synthetic_comparison
from tuneoff.console.progress import LogListener, ScreenListener
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Tally
from tuneoff.runtime.progress import Progress


@pytest.fixture
def trial() -> Trial:
    return make_synthetic_comparison().rows[0].records[0].trial


def test_a_log_gets_a_line_for_every_tenth_of_a_phase(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    on_progress = LogListener().on_trial_start(trial)
    for step in range(1, 1001):
        on_progress(Progress(phase="training", done=step, of=1000, epoch=1, epochs=1, loss=2.5))
    lines = capsys.readouterr().err.splitlines()
    assert 10 <= len(lines) <= 12
    assert "epoch 1 of 1, 1000 of 1000 · loss 2.500" in lines[-1]


def test_the_screen_shows_the_stages_the_running_trial_and_the_time_left(trial: Trial) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    screen = ScreenListener(console)
    screen.on_start({"search": Tally(done=4, of=9), "confirm": Tally(done=0, of=2)})
    screen._start -= 60
    on_progress = screen.on_trial_start(trial)
    on_progress(Progress(phase="training", done=9, of=10, epoch=2, epochs=2, loss=1.25, tokens_per_second=1234.0))
    console.print(screen.render())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        "4 of 9",
        "0 of 2",
        "lora, seed 0",
        "epoch 2 of 2, 9 of 10",
        "loss 1.250",
        "1,234 tokens/s",
        "of memory",
        "left",
    ):
        assert part in shown


def test_the_screen_shows_every_trial_that_runs_beside_another(trial: Trial) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    screen, other = ScreenListener(console), trial.model_copy(update={"seed": 7})
    screen.on_start({"confirm": Tally(done=0, of=2)})
    screen.on_trial_start(trial)(Progress(phase="training", done=3, of=10, epoch=1, epochs=2))
    screen.on_trial_start(other)(Progress(phase="training", done=8, of=10, epoch=2, epochs=2))
    console.print(screen.render())
    screen.on_trial_end(Record(trial=trial, status="failed", reason="r"), {"confirm": Tally(done=1, of=2)})
    console.print(screen.render())
    before, after = console.file.getvalue().split("✗")  # type: ignore[attr-defined]
    assert all(
        part in before for part in ("lora, seed 0", "epoch 1 of 2, 3 of 10", "lora, seed 7", "epoch 2 of 2, 8 of")
    )
    assert after.count("seed 0") == 1
    assert "lora, seed 7" in after


def test_a_trial_of_a_search_is_named_by_its_learning_rate_and_its_rung(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    searching = trial.model_copy(
        update={"stage": "search", "rungs": (0.25, 0.5), "hyperparameters": {"learning_rate": 5e-4}}
    )
    ended = Record(trial=searching, status="done", scores={"validation/loss": 2.5})
    LogListener().on_trial_end(ended, {"search": Tally(done=3, of=8), "confirm": Tally(done=0, of=6)})
    assert (
        capsys.readouterr().err
        == "✓ lora, rate 5e-4, to 50.0 %: validation loss 2.500 (search 3 of 8, confirm 0 of 6)\n"
    )


def test_the_reason_of_a_failure_cannot_control_the_terminal(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    LogListener().on_trial_end(
        Record(trial=trial, status="failed", reason="bad \x1b[2J\x07 news"), {"test": Tally(done=1, of=2)}
    )
    assert "\x1b" not in capsys.readouterr().err
