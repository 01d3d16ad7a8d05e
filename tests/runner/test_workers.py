"""A comparison whose trials are run by workers. Here one worker is a thread; `test_faults.py` has processes."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener, dump_reproducible, read_records_by_id, read_records_by_label
from tests.samples import make_setting
from tuneoff.api.crew import choose_crew
from tuneoff.engines import ENGINES, Engine, local
from tuneoff.engines.engine import read_threads
from tuneoff.engines.local import LocalEngine, LocalLauncher, assign_gpus
from tuneoff.errors import RecipeError, RunError
from tuneoff.records.record import Record
from tuneoff.runner import attempt, driver, prepare, worker
from tuneoff.runner.listener import SilentListener
from tuneoff.runs import leases
from tuneoff.runs.compatibility import adopt_setting_of_run
from tuneoff.runs.leases import Watcher, keep_beating
from tuneoff.runs.work import DRIVER, Work
from tuneoff.runs.work_folder import WorkFolder
from tuneoff.system.interrupts import StopRequest

pytestmark = pytest.mark.usefixtures("quick_comparisons")


class ThreadLauncher:
    """Runs one worker in a thread of this process."""

    def __init__(self, before: Callable[[Path], None]) -> None:
        self._before, self._error = before, None

    def start(self, place: Work) -> None:
        def work() -> None:
            try:
                tuneoff.work(place.address, listener=SilentListener())
            except RunError as error:
                self._error = error

        self._before(place.home)
        self._thread = threading.Thread(target=work)
        self._thread.start()

    def check(self) -> None:
        if self._error:
            raise self._error

    def stop(self) -> None:
        pass


class ThreadEngine(Engine):
    name: ClassVar[str] = "thread"
    before: Callable[[Path], None] = lambda _: None  # called with the run before the worker starts

    def choose_threads(self) -> int | None:
        return None

    def build(self, *, on_gpu: bool, threads: int | None, devices: int = 1) -> ThreadLauncher:
        return ThreadLauncher(self.before)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(driver, "POLL_SECONDS", 0.02)
    yield
    wait_for_workers()


def wait_for_workers() -> None:
    """Wait until the threads of workers have ended: filters of warnings hold for all threads of a process."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(timeout=60)


def test_the_records_are_those_of_one_process_also_of_a_search_with_rungs(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    recipe |= {"methods": ["base", "lora"], "search": {"configurations": 4, "rungs": 2}, "seeds": [1]}
    tuneoff.compare(recipe, run=tmp_path / "alone")
    listener = RecordingListener()
    tuneoff.compare(recipe, run=tmp_path / "led", engine=ThreadEngine(), listener=listener)
    alone, led = read_records_by_id(tmp_path / "alone"), read_records_by_id(tmp_path / "led")
    assert list(map(dump_reproducible, alone.values())) == list(map(dump_reproducible, led.values()))
    assert len(listener.started) == len(listener.ended) == len(led)
    assert not (tmp_path / "led" / "work").exists()
    assert {r.costs.beside for r in led.values() if r.costs} == {0}


def test_a_comparison_that_is_stopped_closes_its_trials_and_one_process_goes_on_from_there(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    class StoppingListener(SilentListener):
        def on_trial_end(self, *_: Any) -> None:
            raise KeyboardInterrupt

    recipe["methods"] = ["base", "lora"]
    with pytest.raises(KeyboardInterrupt):
        tuneoff.compare(recipe, run=tmp_path / "run", engine=ThreadEngine(), listener=StoppingListener())
    assert WorkFolder(tmp_path / "run").list_open() == {}
    wait_for_workers()
    tuneoff.compare(recipe, run=tmp_path / "run")
    tuneoff.compare(recipe, run=tmp_path / "undisturbed")
    finished, undisturbed = (read_records_by_label(tmp_path / name) for name in ("run", "undisturbed"))
    assert {label: dump_reproducible(r) for label, r in finished.items()} == {
        label: dump_reproducible(r) for label, r in undisturbed.items()
    }
    assert not (tmp_path / "run" / "work").exists()


def test_a_trial_that_fails_on_a_worker_is_recorded_with_its_reason(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.methods.lora.LoRA.save", lambda *_: 1 / 0)
    tuneoff.compare(recipe, "methods=[base,lora]", run=tmp_path / "run", engine=ThreadEngine())
    assert read_records_by_label(tmp_path / "run")["lora"].reason == "ZeroDivisionError: division by zero"


def test_a_record_says_how_many_trials_ran_beside_it(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_another(run: Path) -> None:
        folder = WorkFolder(run).machine.folder
        folder.mkdir(parents=True)
        (folder / "5.999999.beside").touch()

    monkeypatch.setattr("tuneoff.runs.machine.has_ended", lambda *_: False)
    recipe["methods"] = ["base"]
    tuneoff.compare(recipe, run=tmp_path / "run", engine=ThreadEngine(before=run_another))
    (record,) = read_records_by_label(tmp_path / "run").values()
    assert record.costs is not None
    assert record.costs.beside == 1


def test_an_exclusive_trial_waits_until_its_machine_is_free(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[Path] = []
    ended: list[int] = []

    def run_another(run: Path) -> None:
        notes.append(WorkFolder(run).machine.folder / "5.999999.beside")
        notes[0].parent.mkdir(parents=True)
        notes[0].touch()
        threading.Timer(0.5, lambda: ended.append(1)).start()

    def run_only_alone(*arguments: Any) -> Record:
        assert ended
        return original(*arguments)

    original = attempt.run_trial
    monkeypatch.setattr(attempt, "run_trial", run_only_alone)
    monkeypatch.setattr("tuneoff.runs.machine.has_ended", lambda *_: bool(ended))
    recipe["methods"] = ["base"]
    tuneoff.compare(recipe, run=tmp_path / "run", engine=ThreadEngine(before=run_another), exclusive=True)
    (record,) = read_records_by_label(tmp_path / "run").values()
    assert record.costs is not None
    assert (record.status, record.costs.beside) == ("done", 0)


def test_a_worker_on_an_unlike_machine_refuses_and_names_what_differs(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = ThreadEngine(before=lambda _: monkeypatch.setattr(prepare, "get_kernel_level", lambda: "OTHER"))
    with pytest.raises(RunError, match=r"cannot run trials of .*: kernels is OTHER here and .+ there\. Use like"):
        tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run", engine=move)
    assert read_records_by_id(tmp_path / "run") == {}


def test_every_difference_between_two_machines_is_named_with_both_values(tmp_path: Path) -> None:
    wanted = make_setting()
    own = wanted.model_copy(update={"versions": {"torch": "2.12.0", "peft": "0.21"}, "device": "another"})
    with pytest.raises(RunError) as told:
        adopt_setting_of_run("mine", own, wanted, elsewhere=False)
    for part in ("device is another here and a processor there", "versions.torch is 2.12.0 here and 2.13.0 there",
                 "versions.peft is 0.21 here and None there"):  # fmt: skip
        assert part in str(told.value)
    moved = wanted.model_copy(update={"device": "another"})
    assert adopt_setting_of_run("mine", moved, wanted, elsewhere=True) == {"device": "another"}
    with pytest.raises(RunError, match="versions"):
        adopt_setting_of_run("mine", own, wanted, elsewhere=True)


def test_a_second_comparison_that_leads_the_same_run_is_refused_as_long_as_the_first_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE_SECONDS", 0.5)
    work = WorkFolder(tmp_path)
    first = Watcher(work.leases).claim(DRIVER, 0)
    assert first is not None
    with keep_beating(first, lambda: None), pytest.raises(RunError, match=r"in use by process \d+ on .*leads its"):
        driver._claim_lead(work, StopRequest())
    assert driver._claim_lead(work, StopRequest()).attempt == 2  # now it is dead
    assert not first.is_ours()


def test_a_run_keeps_the_threads_that_it_began_with(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run", threads=2)
    tuneoff.compare(recipe, "methods=[base,lora]", run=tmp_path / "run")
    devices = {record.trial.setting.device for record in read_records_by_id(tmp_path / "run").values()}
    assert [read_threads(device) for device in devices] == [2]
    with pytest.raises(RunError, match="made elsewhere"):
        tuneoff.compare(recipe, "methods=[base,full]", run=tmp_path / "run", threads=1)


def test_the_cores_are_divided_among_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "count_cores", lambda: 16)
    assert [LocalEngine(workers=n).choose_threads() for n in (1, 4, 5, 64)] == [16, 4, 3, 1]


def test_each_worker_gets_a_gpu_of_its_own_and_more_workers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-uuid")
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in assign_gpus(2)] == ["3", "GPU-uuid"]
    with pytest.raises(RunError, match=r"has 2 GPUs for 3 workers.*--workers 2"):
        assign_gpus(3)


def test_a_worker_of_trials_on_several_devices_gets_as_many_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in assign_gpus(2, 2)] == ["0,1", "2,3"]
    with pytest.raises(RunError, match=r"has 5 GPUs for 3 workers with 2 devices each.*--workers 2"):
        assign_gpus(3, 2)
    with pytest.raises(RunError, match=r"has 5 GPUs for 1 workers with 8 devices each.*training.devices: 5"):
        assign_gpus(1, 8)


def test_workers_that_all_refuse_end_the_comparison(tmp_path: Path) -> None:
    launcher = LocalLauncher([{}, {}])
    launcher.start(WorkFolder(tmp_path / "not-there"))
    assert launcher.wait() == [2, 2]
    with pytest.raises(RunError, match=r"No worker of .* runs any more; they ended with 2, 2"):
        launcher.check()


def test_a_worker_says_what_to_do_where_there_is_nothing_to_work_on(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not there\. On another machine, the folder must be shared"):
        tuneoff.work(tmp_path / "not-there")
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="has no open trials"):
        tuneoff.work(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "lokal", "workers": 2}, RunError, "no engine 'lokal'. Did you mean 'local'"),
        ({"engine": "local", "workers": 0}, RecipeError, "engine local.workers"),
        ({"engine": "local", "workers": None, "exclusive": True}, RunError, "exclusive is for several workers"),
        ({"engine": "local", "workers": 2, "threads": 0}, RunError, "0 threads are none"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        choose_crew(**{"threads": None, **options})


def test_every_engine_of_the_table_is_named_as_it_calls_itself() -> None:
    assert {name: engine.name for name, engine in ENGINES.items()} == {name: name for name in ENGINES}
