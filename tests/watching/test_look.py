"""What a look at a run directory finds."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.watching.conftest import Write, read_record
from tuneoff.errors import RunError
from tuneoff.records.trial import Trial
from tuneoff.runs.live import get_host
from tuneoff.watching.reading import RunWatch
from tuneoff.watching.words import describe_state, describe_time

STEP: dict[str, Any] = {"phase": "training", "epochs": 4, "of": 10, "tokens_per_second": 812.5, "memory_bytes": 2**30}


def list_files(run: Path) -> dict[str, str]:
    """Every file by a hash of its content, and every folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(run.rglob("*"))
    }


def test_looking_writes_and_locks_nothing(unfinished: Path, trials: dict[str, Trial], write_events: Write) -> None:
    write_events("far-7", "trial", trial=trials["lora 1"])
    before = list_files(unfinished)
    RunWatch(unfinished).look()
    assert list_files(unfinished) == before


def test_a_running_trial_shows_its_curve_speed_and_memory(
    unfinished: Path, trials: dict[str, Trial], write_events: Write
) -> None:
    write_events("far-7", "trial", ago=60, trial=trials["lora 1"])
    for epoch, done, loss in ((1, 5, 3.0), (2, 5, 2.5)):
        write_events("far-7", "step", ago=1, trial=trials["lora 1"], epoch=epoch, done=done, loss=loss, **STEP)
    view = RunWatch(unfinished).look()
    (trial,) = view.running
    assert view.state == "running"
    assert trial.train_loss == ((0.5, 3.0), (1.5, 2.5))
    assert trial.last is not None
    assert (trial.last.tokens_per_second, trial.last.memory_bytes) == (812.5, 2**30)
    assert trial.spans[0].worker == "far 7"


def test_a_resumed_curve_has_each_place_once(unfinished: Path, trials: dict[str, Trial], write_events: Write) -> None:
    for worker, losses in (("far-7", (3.0, 2.9)), ("far-8", (2.8, 2.7))):
        write_events(worker, "trial", ago=9, trial=trials["lora 1"])
        for done, loss in enumerate(losses, start=4 if worker == "far-7" else 5):
            write_events(worker, "step", ago=8, trial=trials["lora 1"], epoch=1, done=done, loss=loss, **STEP)
    (trial,) = RunWatch(unfinished).look().running
    assert trial.train_loss == ((0.4, 3.0), (0.5, 2.8), (0.6, 2.7))
    assert len(trial.spans) == 2


def test_a_finished_trial_shows_the_curve_of_its_record(
    finished: Path, trials: dict[str, Trial], write_events: Write
) -> None:
    write_events("far-7", "trial", ago=60, trial=trials["lora 0"])
    write_events("far-7", "step", ago=50, trial=trials["lora 0"], epoch=1, done=5, loss=9.0, **STEP)
    write_events("far-7", "end", ago=40, trial=trials["lora 0"], status="done")
    write_events("far-7", "over", ago=30)
    view = RunWatch(finished).look()
    trial = next(trial for trial in view.trials if trial.id == trials["lora 0"].id)
    curve = read_record(finished, "lora", 0).curve
    assert trial.state == "done"
    assert trial.train_loss == tuple((row.epoch, row.train_loss) for row in curve if row.steps)
    assert trial.validation_loss == tuple((row.epoch, row.validation_loss) for row in curve)


def test_a_run_that_died_on_this_machine_is_noticed_at_once(
    unfinished: Path, trials: dict[str, Trial], write_events: Write
) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    write_events(f"{get_host()}-{child}", "trial", ago=20, trial=trials["lora 1"])
    view = RunWatch(unfinished).look()
    assert view.state == "silent"
    assert view.running == ()
    assert "nothing has moved since" in describe_state(view)


def test_a_process_of_this_machine_that_runs_is_not_dead_however_silent(
    unfinished: Path, trials: dict[str, Trial], write_events: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = time.time() - psutil.Process().create_time()
    write_events(f"{get_host()}-{os.getpid()}", "trial", ago=long_ago, trial=trials["lora 1"])
    monkeypatch.setattr("tuneoff.watching.view.STALL_SECONDS", 0.0)
    assert RunWatch(unfinished).look().state == "running"


def test_a_run_that_died_elsewhere_is_noticed_by_its_silence(
    unfinished: Path, trials: dict[str, Trial], write_events: Write
) -> None:
    write_events("far-7", "trial", ago=3600, trial=trials["lora 1"])
    view = RunWatch(unfinished).look()
    assert view.state == "silent"
    assert view.last_moved == pytest.approx(view.now - 3600, abs=60)


def test_a_run_that_was_stopped_says_so(unfinished: Path, trials: dict[str, Trial], write_events: Write) -> None:
    write_events("far-7", "trial", ago=3600, trial=trials["lora 1"])
    write_events("far-7", "over", ago=3500)
    view = RunWatch(unfinished).look()
    assert view.state == "stopped"
    assert view.trials[-1].state == "interrupted"


def test_a_half_written_line_is_skipped(unfinished: Path, trials: dict[str, Trial], write_events: Write) -> None:
    write_events("far-7", "trial", trial=trials["lora 1"])
    with next((unfinished / "live").iterdir()).open("a") as stream:
        stream.write('{"at": 1')
    assert len(RunWatch(unfinished).look().running) == 1


def test_a_run_of_an_early_version_is_shown_from_its_records(finished: Path) -> None:
    view = RunWatch(finished).look()
    assert view.state == "finished"
    assert {trial.state for trial in view.trials} == {"done"}
    assert view.plan["confirm"].done == view.plan["confirm"].of == 2


def test_a_record_that_is_being_written_is_read_at_the_next_look(finished: Path) -> None:
    watch, file = RunWatch(finished), next(finished.glob("trials/*/record.json"))
    content = file.read_text()
    file.write_text(content[:100])
    assert len(watch.look().trials) == 2
    file.write_text(content)
    assert len(watch.look().trials) == 3


def test_money_is_that_of_the_seconds_spent(finished: Path) -> None:
    (finished / "spent.json").write_text(json.dumps({"seconds": 1800.0, "trials": {}}))
    view = RunWatch(finished, price_per_hour=3.0).look()
    assert view.money == 1.5
    assert "1.50 spent" in describe_time(view)


def test_nothing_is_decided_before_every_trial_is_done(unfinished: Path) -> None:
    verdict = RunWatch(unfinished).look().verdict
    assert not verdict.is_decided
    assert verdict.lines[0] == "Not decided yet."
    assert "lora" not in " ".join(verdict.lines)


def test_a_finished_comparison_shows_its_verdict(finished: Path) -> None:
    verdict = RunWatch(finished).look().verdict
    assert verdict.is_decided
    assert "lora" in verdict.lines[0].casefold()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        RunWatch(tmp_path)


def test_the_time_left_is_that_of_what_waits_and_of_the_rest_of_what_runs(
    unfinished: Path, trials: dict[str, Trial], write_events: Write
) -> None:
    plan = {"confirm": {"done": 1, "of": 3}}
    write_events("far-7", "plan", ago=61, plan=plan)
    write_events("far-7", "trial", ago=60, trial=trials["lora 1"])
    spent = {trials["lora 0"].id: {"confirm": 100.0}, trials["lora 1"].id: {"confirm": 60.0}}
    (unfinished / "spent.json").write_text(json.dumps({"seconds": 200.0, "trials": spent}))
    view = RunWatch(unfinished).look()
    assert view.left_seconds == 140  # one that waits, and 40 seconds of the one that runs
    assert "about 2 min 20 s left" in describe_time(view)
