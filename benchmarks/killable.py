"""A comparison under its supervisor, in processes that can be killed.

A fork server imports everything once, so that processes start fast.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import altair  # noqa: F401, the fork server imports what a comparison would import later
import datasets  # noqa: F401
import optuna  # noqa: F401
import peft  # noqa: F401
import scipy.stats  # noqa: F401
import torch
import transformers.models.gpt_neo.modeling_gpt_neo
import transformers.trainer_pt_utils  # noqa: F401

import tuneoff
import tuneoff.api
import tuneoff.budget.limit
import tuneoff.runner.local_engine
import tuneoff.runner.prepare
from tuneoff.evaluation import latency
from tuneoff.report import page
from tuneoff.runner.listener import SilentListener
from tuneoff.system import supervisor
from tuneoff.training import checkpoint

Victim = Literal["worker", "supervisor", "group"]


def start_supervised(recipe: Mapping[str, Any], run: Path, *, report: bool, often: bool) -> BaseProcess:
    """Start a comparison, or continue it. The process is the supervisor.

    Args:
        often: whether checkpoints are written after every few steps instead of at the real interval.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["benchmarks.killable"])
    _get_worker_file(run).unlink(missing_ok=True)
    process = server.Process(target=_supervise, args=(recipe, run, report, often))
    process.start()
    return process


def _supervise(recipe: Mapping[str, Any], run: Path, report: bool, often: bool) -> None:
    """Supervise a comparison as the command does, with workers that are forked and so have their imports already."""

    def run_worker(_arguments: object, _start: object, name: str) -> tuple[int, bool]:
        read_end, write_end = os.pipe()
        if worker := os.fork():
            os.close(read_end)
            run.parent.mkdir(parents=True, exist_ok=True)
            _get_worker_file(run).write_text(str(worker))
            code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
            os.close(write_end)
            return code, False
        os.close(write_end)
        os.dup2(read_end, 0)  # it closes when the supervisor ends
        os.environ[supervisor.WORKER_VARIABLE] = name
        supervisor.stop_with_parent()
        code = 1
        try:
            compare_quickly(recipe, run, report=report, often=often)
            code = 0
        except KeyboardInterrupt:
            code = 128 + signal.SIGTERM
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)

    supervisor._run_worker = run_worker
    supervisor.OUTLIVE_SECONDS = 0.2
    raise SystemExit(supervisor.supervise([], run))


def compare_quickly(recipe: Mapping[str, Any], run: Path, *, report: bool, often: bool) -> None:
    """Run a comparison as a worker does, in one thread.

    Args:
        report: whether to write the page, which takes longer than everything else.
        often: as for `start_supervised`.
    """
    torch.set_num_threads(1)
    with contextlib.ExitStack() as changes:
        changes.enter_context(mock.patch.multiple(latency, REPEATS=1, NEW_TOKENS=2))
        if often:
            changes.enter_context(mock.patch.multiple(checkpoint, MIN_INTERVAL_SECONDS=0.0, MIN_INTERVAL_WRITES=3))
        if not report:
            changes.enter_context(mock.patch.object(page, "write_report"))
        tuneoff.compare(recipe, run=run, listener=SilentListener(), retry=True)


def kill_at(is_moment: Callable[[], bool], victim: Victim, process: BaseProcess, run: Path) -> bool:
    """Kill the victim at the moment. Return False if the comparison ended before."""
    while not is_moment():
        if not process.is_alive():
            return False
        time.sleep(0.0005)
    worker = _read_worker(run)
    if worker is None or process.pid is None or not process.is_alive():
        return False
    if victim in {"supervisor", "group"}:
        os.kill(process.pid, signal.SIGKILL)
    if victim in {"worker", "group"}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    return True


def wait(process: BaseProcess, run: Path) -> int | None:
    """Wait for the supervisor and for its worker, which stops when it is left alone. Return the exit code."""
    process.join()
    worker = _read_worker(run)
    while worker is not None and _is_running(worker):
        time.sleep(0.01)
    return process.exitcode


def _read_worker(run: Path) -> int | None:
    try:
        return int(_get_worker_file(run).read_text())
    except (OSError, ValueError):  # not started yet
        return None


def _get_worker_file(run: Path) -> Path:
    return run.with_name(f"{run.name}.worker")


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
