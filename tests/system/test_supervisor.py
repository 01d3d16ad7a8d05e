"""A comparison survives the death of its worker process and stops together with its supervisor."""

import contextlib
import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tuneoff.runs import RunDirectory
from tuneoff.system import supervisor


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def start_compare(recipe_file: str, run: Path, output: IO[str] | int) -> subprocess.Popen[str]:
    """Start `tuneoff compare` as a process of its own, with a supervisor."""
    command = [sys.executable, "-c", "import sys; from tuneoff.cli import main; sys.exit(main())",
               "compare", recipe_file, "methods=[base, lora]", "training.epochs=200", "--run", str(run)]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != supervisor.WORKER_VARIABLE}
    environment["PYTHONUNBUFFERED"] = "1"
    return subprocess.Popen(command, stdout=output, stderr=output, text=True, env=environment)


@contextlib.contextmanager
def compare_in_training(recipe_file: str, run: Path) -> Iterator[subprocess.Popen[str]]:
    """Start `tuneoff compare`, wait until it trains, and yield the supervisor. Its output goes to a file."""
    with get_output_file(run).open("w") as file, start_compare(recipe_file, run, file) as process:
        while "lora, seed 0: epoch" not in get_output_file(run).read_text():
            assert process.poll() is None
            time.sleep(0.05)
        yield process


def get_output_file(run: Path) -> Path:
    return run.with_name("output")


def read_worker_id(run: Path) -> int:
    """Return the id of the process that holds the lock of a run."""
    return int((run / ".lock").read_text().split()[1])


@pytest.mark.slow
def test_no_result_is_lost_if_the_worker_is_killed(recipe_file: str, run: Path) -> None:
    with compare_in_training(recipe_file, run) as process:
        assert read_worker_id(run) != process.pid
        os.kill(read_worker_id(run), signal.SIGKILL)
        assert process.wait(timeout=200) == 0
    assert (
        "died: Killed. This usually means that memory ran out. Restarting it from its last checkpoint."
        in get_output_file(run).read_text()
    )
    assert {r.trial.label: r.status for r in RunDirectory(run).read().records} == {"base": "done", "lora": "done"}


def test_a_worker_imports_no_module_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert supervisor.supervise(["recipes"], tmp_path) == 0


@pytest.mark.slow
def test_a_worker_stops_if_its_supervisor_is_killed(recipe_file: str, run: Path) -> None:
    with compare_in_training(recipe_file, run) as process:
        process.kill()
    with (run / ".lock").open() as lock:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.1)
        else:
            pytest.fail("the worker still holds the lock")
    assert list(run.glob("trials/*/checkpoint.safetensors"))


def test_a_worker_without_progress_is_not_restarted_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    starts: list[list[str]] = []

    def die(arguments: list[str], *_: object) -> tuple[int, bool]:
        starts.append(arguments)
        if len(starts) == 2:
            (tmp_path / "record.json").touch()  # progress, once
        return -signal.SIGSEGV, False

    monkeypatch.setattr(supervisor, "OUTLIVE_SECONDS", 0.0)
    monkeypatch.setattr(supervisor, "_run_worker", die)
    assert supervisor.supervise(["compare", "demo"], tmp_path, first_only=["--retry"]) == 128 + signal.SIGSEGV
    first, later = ["compare", "demo", "--retry"], ["compare", "demo"]
    assert starts == [first, first, *[later] * supervisor.MAX_STARTS_WITHOUT_PROGRESS]
    message = f"It died {supervisor.MAX_STARTS_WITHOUT_PROGRESS} times in a row without progress."
    assert message in capfd.readouterr().err


def test_the_supervisor_notes_in_the_running_trial_that_only_its_worker_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = iter([(-signal.SIGKILL, False), (0, False)])
    monkeypatch.setattr(supervisor, "OUTLIVE_SECONDS", 0.0)
    monkeypatch.setattr(supervisor, "_run_worker", lambda *_: next(ends))
    (tmp_path / "attempts.json").write_text('{"steps": 3, "supervised": true}')
    assert supervisor.supervise(["compare", "demo"], tmp_path) == 0
    assert json.loads((tmp_path / "attempts.json").read_text()) == {"steps": 3, "supervised": True, "died": True}


@pytest.mark.slow
def test_a_closed_terminal_stops_the_run_in_order(recipe_file: str, run: Path) -> None:
    our_end, its_end = pty.openpty()
    with start_compare(recipe_file, run, its_end) as process:
        os.close(its_end)
        while not list(run.glob("trials/*/attempts.json")):
            os.read(our_end, 1024)
        os.close(our_end)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == 129


def test_a_hangup_stops_the_run_in_order(recipe_file: str, run: Path) -> None:
    with compare_in_training(recipe_file, run) as process:
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == 129
    assert list(run.glob("trials/*/checkpoint.safetensors"))


@pytest.mark.parametrize(("end", "code"), [((2, False), 2), ((143, True), 143), ((-signal.SIGINT, True), 130)])
def test_a_worker_that_exits_or_was_told_to_stop_is_not_restarted(
    end: tuple[int, bool], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = iter([end])
    monkeypatch.setattr(supervisor, "_run_worker", lambda *_: next(ends))
    assert supervisor.supervise(["compare", "demo"], tmp_path) == code


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(2)", 2),
        ("pass", 0),
        ("import ctypes; ctypes.CDLL(None).exit(1)", -signal.SIGABRT),  # as OpenBLAS does when it gets no memory
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_an_end_that_a_library_makes_is_told_from_one_of_python(
    code: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker"
    worker.write_text(f"#!{sys.executable}\nfrom tuneoff.system.supervisor import note_end\nnote_end()\n{code}\n")
    worker.chmod(0o700)
    monkeypatch.setattr(supervisor.sys, "executable", str(worker))
    assert supervisor._run_worker([], 0.0, "a") == (expected, False)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**9, 10**9))
    assert "memory ran out" in supervisor._describe_signal(signal.SIGABRT)
