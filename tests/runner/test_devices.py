"""Whole trials on two devices, here two processes on the CPU."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml

import tuneoff
from tests.runner.recorded_runs import read_records_by_id
from tests.tiny_run import make_run
from tuneoff.errors import RecipeError
from tuneoff.records.record import Memory, Record
from tuneoff.runner import devices
from tuneoff.runtime.meter import add_memories
from tuneoff.system.processes import read_start
from tuneoff.system.supervisor import WORKER_VARIABLE

TRAINING = {"epochs": 2, "batch_size": 4}


@pytest.mark.slow
@pytest.mark.parametrize("shard", [False, True], ids=["whole", "divided"])
def test_a_comparison_on_two_devices_has_the_scores_of_one(
    shard: bool, tmp_path: Path, model_folder: Callable[[str], Path]
) -> None:
    """Its trials have other ids, since times, memory and last bits differ."""
    methods = {"base": {}, "lora": {}, "last-layer": {}}  # the last one trains on stored outputs of the trunk if it can
    one, two = dict[str, Record](), dict[str, Record]()
    for records, training in ((one, TRAINING), (two, {**TRAINING, "devices": 2, "shard": shard})):
        folder = tmp_path / f"{len(training)}"
        folder.mkdir()
        records |= read_by_label(make_run(folder, model_folder("llama"), methods, training=training))
    for label, record in two.items():
        assert record.status == "done", record.reason
        assert record.scores["test/loss"] == pytest.approx(one[label].scores["test/loss"], rel=1e-4)
        assert record.trial.id != one[label].trial.id
        assert record.costs is not None
        assert record.costs.devices == (1 if label == "base" else 2)
        assert record.costs.device_seconds == record.costs.devices * record.costs.train_seconds
    assert not find_followers(), "they end with the comparison"


def start_long_comparison(recipe: dict[str, Any], folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a comparison on two devices that would go on for long, in a group of processes of its own."""
    training = {"epochs": 10_000, "batch_size": 4, "devices": 2}
    file, inherited = folder / "recipe.yaml", {k: v for k, v in os.environ.items() if k != WORKER_VARIABLE}
    file.write_text(yaml.safe_dump({**recipe, "methods": ["lora"], "training": training}))
    command = [sys.executable, "-m", "tuneoff.cli", "compare", str(file), "--run", str(folder / "run")]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, env={**inherited, **environment}, start_new_session=True
    )  # fmt: skip


@pytest.mark.slow
def test_a_stop_of_all_processes_ends_in_a_checkpoint(recipe: dict[str, Any], tmp_path: Path) -> None:
    """Ctrl-C reaches every process of a terminal, followers too. They leave the stop to the process of the trial."""
    with start_long_comparison(recipe, tmp_path) as process:
        wait_for(lambda: "training" in "".join(f.read_text() for f in tmp_path.glob("run/trials/*/attempts.json")))
        followers = find_followers(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(120) == 128 + signal.SIGINT
    assert followers
    assert list(tmp_path.glob("run/trials/*/checkpoint.safetensors"))
    wait_for(lambda: not any(follower.is_running() for follower in followers))


@pytest.mark.slow
def test_followers_end_with_a_process_that_is_killed(recipe: dict[str, Any], tmp_path: Path) -> None:
    with start_long_comparison(recipe, tmp_path, **{WORKER_VARIABLE: "1"}) as process:
        followers = wait_for(lambda: find_followers(process.pid))
        starts = {follower.pid: read_start(follower.pid) for follower in followers}
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: all(read_start(pid) != start for pid, start in starts.items()))


def test_more_devices_than_cores_are_refused(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "count_cores", lambda: 2)
    with pytest.raises(RecipeError, match=r"devices is 3, but this process may use 2 cores. Write training.devices: 2"):
        tuneoff.compare(recipe, "training.devices=3", run=tmp_path / "run")


def test_what_cannot_be_divided_is_refused_with_the_cure(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["training"] = {"epochs": 1, "batch_size": 4, "devices": 2, "shard": True}
    recipe["strict"] = True
    for method, reason in (
        ({"lora": {"optimizer": "adafactor"}}, "adafactor needs it whole. Write optimizer: adamw"),
        ({"eva": {}}, "reads rows of train with the whole model first"),
    ):
        with pytest.raises(RecipeError, match=reason):
            tuneoff.compare({**recipe, "methods": method}, run=tmp_path / "run")


def test_a_model_that_does_not_fit_onto_one_device_to_be_evaluated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "get_memory_bytes", lambda _: 10**9)
    cpu = torch.device("cpu")
    devices.require_room_to_evaluate([10**8, 4 * 10**8], "bf16", cpu)
    with pytest.raises(RecipeError, match=r"takes 1.6 GB in float32, and one device has 1.0 GB.*larger GPU"):
        devices.require_room_to_evaluate([10**8, 4 * 10**8], "float32", cpu)


def test_processes_on_a_cpu_need_their_memory_together_and_gpus_each_their_own() -> None:
    resident = [Memory(resident_bytes=5), Memory(resident_bytes=3, reset=False)]
    assert add_memories(resident[0], resident[1:]) == Memory(resident_bytes=8, reset=False)
    allocated = [Memory(allocated_bytes=n, reserved_bytes=9) for n in (5, 7, 6)]
    assert add_memories(allocated[0], allocated[1:]) == allocated[1]


def read_by_label(run: Path) -> dict[str, Record]:
    return {record.trial.label: record for record in read_records_by_id(run).values()}


def find_followers(parent: int | None = None) -> list[psutil.Process]:
    children = psutil.Process(parent).children(recursive=True)
    return [child for child in children if "tuneoff.runner.follower" in child.cmdline()]


def wait_for(find: Callable[[], Any]) -> Any:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come")
