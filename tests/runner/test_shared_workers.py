"""A comparison whose workers share no folder with it, but a URL."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import dump_reproducible, read_records_by_id
from tests.runner.test_workers import ThreadEngine, wait_for_workers
from tests.s3_server import S3Server
from tuneoff.cli import main
from tuneoff.errors import RunError
from tuneoff.records.trial import Trial
from tuneoff.runner import driver, worker
from tuneoff.runner.listener import SilentListener
from tuneoff.runs import attempt_files, lease_objects, shared_work
from tuneoff.runs import store as stores
from tuneoff.runs.live import read_workers
from tuneoff.runs.store import open_store
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.supervisor import WORKER_VARIABLE

pytestmark = pytest.mark.usefixtures("quick_comparisons")
SHARES = pytest.mark.parametrize("share_url", ["file", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lease_objects, "BEAT_SECONDS", 0.5)
    monkeypatch.setattr(attempt_files, "KEEP_SECONDS", 0.3)
    for module in (shared_work, worker, driver):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.2)
    yield
    wait_for_workers()


def list_objects(url: str) -> list[str]:
    store = open_store(url)
    return [f"{folder}/{name}" for folder in store.list_names("") for name in store.list_names(folder)]


@SHARES
def test_the_records_are_those_of_one_process_also_of_a_search_with_rungs(
    recipe: dict[str, Any], tmp_path: Path, share_url: str
) -> None:
    recipe |= {"methods": ["lora"], "search": {"configurations": 2, "rungs": 2}, "seeds": [1]}
    tuneoff.compare(recipe, run=tmp_path / "alone")
    tuneoff.compare(recipe, run=tmp_path / "led", engine=ThreadEngine(), share=share_url, listener=SilentListener())
    alone, led = read_records_by_id(tmp_path / "alone"), read_records_by_id(tmp_path / "led")
    assert list(map(dump_reproducible, alone.values())) == list(map(dump_reproducible, led.values()))
    assert not list(tmp_path.glob("led/trials/*/checkpoint*"))
    wait_for_workers()
    assert list_objects(share_url) == []
    assert not (tmp_path / "led" / "share.json").exists()
    events = [event.kind for process in read_workers(tmp_path / "led") for event in process.events]
    assert events.count("end") == len(led)


def test_a_comparison_that_is_stopped_goes_on_through_the_same_url(recipe: dict[str, Any], tmp_path: Path) -> None:
    class StoppingListener(SilentListener):
        def on_trial_end(self, *_: Any) -> None:
            raise KeyboardInterrupt

    recipe["methods"] = ["base", "lora"]
    url = f"file://{tmp_path}/share"
    options: dict[str, Any] = {"run": tmp_path / "run", "engine": ThreadEngine(), "share": url}
    with pytest.raises(KeyboardInterrupt):
        tuneoff.compare(recipe, listener=StoppingListener(), **options)
    wait_for_workers()
    tuneoff.compare(recipe, **options)
    tuneoff.compare(recipe, run=tmp_path / "undisturbed")
    finished, undisturbed = read_records_by_id(tmp_path / "run"), read_records_by_id(tmp_path / "undisturbed")
    assert list(map(dump_reproducible, finished.values())) == list(map(dump_reproducible, undisturbed.values()))
    wait_for_workers()
    assert list_objects(url) == []


@pytest.mark.parametrize("share", [None, "share"])
def test_a_decision_reaches_a_worker_whether_or_not_it_sees_the_run_directory(
    share: str | None, recipe: dict[str, Any], tmp_path: Path
) -> None:
    class DecidingListener(SilentListener):
        def on_trial_start(self, trial: Trial) -> OnProgress:
            def decide(_: Progress) -> None:
                if trial.label == "lora" and not (tmp_path / "run" / "decisions.jsonl").exists():
                    tuneoff.decide(tmp_path / "run", stop=trial.id, by="me")

            return decide

    recipe["training"] = {"epochs": 3000, "batch_size": 2}
    tuneoff.compare(
        recipe, "methods=[base,lora]", run=tmp_path / "run", engine=ThreadEngine(), share=share and f"file://{tmp_path}/share",
        listener=DecidingListener(),
    )  # fmt: skip
    (lora,) = [record for record in read_records_by_id(tmp_path / "run").values() if record.trial.label == "lora"]
    assert "stopped by me" in (lora.reason or "")


def test_a_worker_whose_store_fails_keeps_its_checkpoint_and_says_why(
    recipe: dict[str, Any], tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "RETRY_SECONDS", 0.5)
    recipe |= {"methods": ["lora"], "training": {"epochs": 3000, "batch_size": 2}}

    class FailingListener(SilentListener):
        def on_trial_start(self, trial: Trial) -> OnProgress:
            def fail(progress: Progress) -> None:
                s3.is_down = progress.phase == "training"

            return fail

    engine = ThreadEngine()
    with pytest.raises(RunError, match=r"s3://tests/mine/.*Check the address"):
        tuneoff.compare(
            recipe, run=tmp_path / "run", engine=engine, share="s3://tests/mine", listener=FailingListener()
        )
    wait_for_workers()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": "s3://tests/mine"}, "share is for workers, and one process needs none"),
        ({"share": "s3://a:b@tests/mine", "workers": 1}, "given with a password"),
        ({"share": "s3://none/mine", "workers": 1}, "Create the bucket first"),
    ],
)
def test_a_share_that_does_not_fit_is_refused_before_anything_is_loaded(
    options: dict[str, Any], message: str, recipe: dict[str, Any], tmp_path: Path, s3: S3Server
) -> None:
    with pytest.raises(RunError, match=message):
        tuneoff.compare(recipe, run=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_worker_at_a_url_where_nothing_is_open_says_what_to_do(
    s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["work", "s3://tests/mine"]) == 2
    assert "s3://tests/mine has no open trials. `tuneoff compare RECIPE" in capsys.readouterr().err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, list[str]], subprocess.Popen[bytes]]]:
    """A function that starts a command on a machine: a process with a cache of its own. All are ended afterwards."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_on(machine: str, command: list[str]) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if name != WORKER_VARIABLE}
        environment = {**inherited, "TUNEOFF_CACHE": str(tmp_path / machine), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tuneoff.cli", *command]
        processes.append(subprocess.Popen(command, env=environment, start_new_session=True))
        return processes[-1]

    yield start_on
    for process in processes:
        lose(process)


def lose(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started at once, as when a machine is lost."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_machines_without_a_shared_folder_make_the_records_of_one_process_though_two_are_lost(
    recipe_file: str, tmp_path: Path, s3: S3Server, start: Callable[[str, list[str]], subprocess.Popen[bytes]]
) -> None:
    changes = ["methods=[lora]", "training.epochs=20", "search={configurations: 2, rungs: 2}"]
    tuneoff.compare(recipe_file, *changes, run=tmp_path / "alone", threads=1)
    lead = ["compare", recipe_file, *changes, "--run", str(tmp_path / "led"), "--engine", "manual", "--threads", "1",
            "--share", "s3://tests/mine"]  # fmt: skip
    work = ["work", "s3://tests/mine", "--quiet"]
    store = open_store("s3://tests/mine")
    comparison = start("lead", lead)
    wait_for(lambda: store.read("session.json"))
    lost, worker = start("a", work), start("b", work)
    wait_for(lambda: store.list_names("published"))
    lose(lost)
    lose(comparison)
    comparison = start("lead", lead)
    worker.wait(timeout=240)  # with what was open, or to the end
    again = start("a", work) if comparison.poll() is None else None
    assert comparison.wait(timeout=240) == 0
    assert again is None or again.wait(timeout=60) in {0, 2}  # 2: the comparison had ended meanwhile
    alone, led = read_records_by_id(tmp_path / "alone"), read_records_by_id(tmp_path / "led")
    assert list(map(dump_reproducible, alone.values())) == list(map(dump_reproducible, led.values()))
    assert list_objects("s3://tests/mine") == []
    assert not list(tmp_path.glob("*/shares/*/work/attempts/*"))


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_no_thread_of_a_store_outlives_it(tmp_path: Path, s3: S3Server) -> None:
    before = set(threading.enumerate())
    list_objects("s3://tests/mine")
    # fsspec has one thread for the connections of a process, for as long as it lives; the others are the server's
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert {name for name in names if "process_request_thread" not in name} <= {"fsspecIO"}
