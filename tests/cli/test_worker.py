"""On the command line a comparison outlives its worker, and ends with the process that looks after that."""

import contextlib
import fcntl
import os
import pty
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


def start(recipe_file: str, run: Path, output: IO[str] | int) -> subprocess.Popen[str]:
    """`tuneoff compare` on the command line."""
    command = [sys.executable, "-c", "import sys; from tuneoff.cli import main; sys.exit(main())",
               "compare", recipe_file, "methods=[base, lora]", "training.epochs=200", "--run", str(run)]  # fmt: skip
    own = {name: value for name, value in os.environ.items() if name != supervisor.MARK} | {"PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=output, stderr=output, text=True, env=own)


@contextlib.contextmanager
def compare(recipe_file: str, run: Path) -> Iterator[subprocess.Popen[str]]:
    """The same, when its training has begun; what it says is in a file."""
    with said_in(run).open("w") as file, start(recipe_file, run, file) as going:
        while "lora, seed 0: epoch" not in said_in(run).read_text():
            assert going.poll() is None
            time.sleep(0.05)
        yield going


def said_in(run: Path) -> Path:
    return run.with_name("said")


def worker_of(run: Path) -> int:
    """The process that holds a run."""
    return int((run / ".lock").read_text().split()[1])


def test_a_worker_that_is_killed_takes_nothing_with_it(recipe_file: str, run: Path) -> None:
    with compare(recipe_file, run) as going:
        assert worker_of(run) != going.pid
        os.kill(worker_of(run), signal.SIGKILL)
        assert going.wait(timeout=200) == 0
    assert "died: Killed. Most often memory has run out. Going on from what it left." in said_in(run).read_text()
    assert {r.trial.label: r.status for r in RunDirectory(run).read().records} == {"base": "done", "lora": "done"}


def test_a_worker_takes_no_module_from_the_folder_that_it_is_called_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "datasets.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert supervisor.supervise(["methods"], tmp_path) == 0


def test_a_worker_ends_with_the_process_that_looks_after_it(recipe_file: str, run: Path) -> None:
    with compare(recipe_file, run) as going:
        going.kill()
    with (run / ".lock").open() as lock:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.1)
        else:
            pytest.fail("the worker still holds the run")
    assert list(run.glob("trials/*/checkpoint.safetensors"))


def test_a_worker_that_gets_nowhere_is_not_begun_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    starts: list[list[str]] = []

    def dies(arguments: list[str]) -> tuple[int, bool]:
        starts.append(arguments)
        if len(starts) == 2:
            (tmp_path / "record.json").touch()  # it got on once
        return -signal.SIGSEGV, False

    monkeypatch.setattr(supervisor, "_run_worker", dies)
    assert supervisor.supervise(["compare", "demo"], tmp_path, once=["--retry"]) == 128 + signal.SIGSEGV
    asked = ["compare", "demo", "--retry"]
    assert starts == [asked, asked, *[asked[:2]] * supervisor.IN_VAIN]
    assert f"So it did {supervisor.IN_VAIN} times without getting on." in capfd.readouterr().err


def test_a_closed_terminal_stops_it_in_order(recipe_file: str, run: Path) -> None:
    terminal, its_end = pty.openpty()
    with start(recipe_file, run, its_end) as going:
        os.close(its_end)
        while not list(run.glob("trials/*/attempts.json")):
            os.read(terminal, 1024)
        os.close(terminal)
        going.send_signal(signal.SIGHUP)
        assert going.wait(timeout=60) == 129


def test_a_hangup_stops_it_in_order(recipe_file: str, run: Path) -> None:
    with compare(recipe_file, run) as going:
        going.send_signal(signal.SIGHUP)
        assert going.wait(timeout=60) == 129
    assert list(run.glob("trials/*/checkpoint.safetensors"))


@pytest.mark.parametrize(("end", "code"), [((2, False), 2), ((143, True), 143), ((-signal.SIGINT, True), 130)])
def test_a_worker_that_ends_in_order_or_was_asked_to_is_not_begun_again(
    end: tuple[int, bool], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = iter([end])
    monkeypatch.setattr(supervisor, "_run_worker", lambda _: next(ends))
    assert supervisor.supervise(["compare", "demo"], tmp_path) == code
