"""Progress in words, on a terminal and in a log, and an outcome that fits a narrow one."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.report.synthetic import synthetic_comparison
from tuneoff import terminal
from tuneoff.progress import Progress
from tuneoff.terminal import _Lines, _Screen, print_outcome
from tuneoff.trial import Trial


@pytest.fixture
def trial() -> Trial:
    return synthetic_comparison().rows[0].records[0].trial


def test_a_log_gets_a_line_for_every_tenth_of_a_phase(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    tell = _Lines().trial(trial)
    for step in range(1, 1001):
        tell(Progress(phase="training", done=step, of=1000, epoch=1, epochs=1, loss=2.5))
    lines = capsys.readouterr().err.splitlines()
    assert 10 <= len(lines) <= 12
    assert "epoch 1 of 1, 1000 of 1000 · loss 2.500" in lines[-1]


def test_the_screen_shows_the_trial_its_epoch_loss_speed_memory_and_the_time_left(trial: Trial) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    screen = _Screen(console)
    screen.begin([trial, trial], missing=2)
    screen._start -= 60
    tell = screen.trial(trial)
    tell(Progress(phase="training", done=9, of=10, epoch=2, epochs=2, loss=1.25, tokens_per_second=1234.0))
    console.print(screen.render())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("trial 1 of 2", "epoch 2 of 2, 9 of 10", "loss 1.250", "1,234 tokens/s", "resident", "left"):
        assert part in shown


def test_the_outcome_fits_eighty_columns_and_names_every_method_and_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(terminal, "Console", lambda: Console(file=screen, width=80))
    comparison = synthetic_comparison()
    print_outcome(comparison, tmp_path)
    table, _, rest = screen.getvalue().partition("\n\n")
    assert all(len(line) <= 80 for line in screen.getvalue().splitlines()[:10])
    for row in comparison.rows:
        assert f" {row.label}" in screen.getvalue()
    assert "…" not in table
    assert str(tmp_path / "report" / "index.html") in rest


def test_what_a_failure_says_cannot_steer_the_terminal(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    from tuneoff.trial import Record

    _Lines().end(Record(trial=trial, status="failed", reason="bad \x1b[2J\x07 news"))
    assert "\x1b" not in capsys.readouterr().err
