"""Workers as tasks of Ray: what needs no Ray, and, where Ray is installed, a Ray of this machine."""

import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import tuneoff
from tests.runner.recorded_runs import dump_reproducible, read_records_by_id
from tuneoff.api import build_engine
from tuneoff.engines import ray_cluster
from tuneoff.engines.ray import RayEngine
from tuneoff.engines.ray_cluster import count_room, find_faults, inspect_node, require_answer, require_room
from tuneoff.errors import RecipeError, RunError
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import SilentListener
from tuneoff.runtime.progress import OnProgress, Progress

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'tuneoff[ray]'")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_options_are_written_as_key_and_value() -> None:
    engine = build_engine("ray", "address=auto", "cpus=2", "gpus=0.5", "resources={a100: 1}")
    assert engine == RayEngine(address="auto", cpus=2, gpus=0.5, resources={"a100": 1})
    with pytest.raises(RecipeError, match=r"engine ray.gpus: Input should be less than or equal to 1"):
        build_engine("ray", "gpus=2")


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "http://head:8265", ""])
def test_an_address_of_another_kind_is_refused_with_what_to_write(address: str) -> None:
    with pytest.raises(RecipeError, match=r"is not local, auto, or HOST:PORT.*with address=auto"):
        RayEngine.read({"address": address}, "engine ray")


def test_without_ray_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"pip install 'tuneoff\[ray\]'"):
        RayEngine().build(on_gpu=False, threads=1)


def test_a_share_of_a_gpu_is_refused_where_trials_run_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", sys)  # anything that can be imported
    with pytest.raises(RunError, match=r"gpus=0.5 was asked for, but the trials are trained on the CPU"):
        RayEngine(gpus=0.5).build(on_gpu=False, threads=1)


def test_a_trial_on_several_devices_asks_for_as_many_gpus_of_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", sys)
    assert RayEngine(cpus=4).build(on_gpu=True, threads=None, devices=2)._get_options()["num_gpus"] == 2
    assert RayEngine(cpus=4).build(on_gpu=False, threads=4, devices=2)._get_options()["num_gpus"] == 0
    with pytest.raises(RunError, match=r"gpus=0.5 is a share of one GPU, but training.devices is 2.*Leave gpus out"):
        RayEngine(gpus=0.5).build(on_gpu=True, threads=None, devices=2)


def test_workers_have_room_where_every_resource_suffices() -> None:
    nodes = [{"CPU": 8, "GPU": 2}, {"CPU": 3, "GPU": 4}, {"CPU": 16}]
    assert count_room(nodes, {"CPU": 2}) == 4 + 1 + 8
    assert count_room(nodes, {"CPU": 2, "GPU": 1}) == 2 + 1
    assert count_room(nodes, {"CPU": 1, "GPU": 0.4}) == 4 + 3  # two on each GPU; five would be spread over three
    assert count_room(nodes, {"CPU": 1, "GPU": 2}) == 1 + 2
    assert count_room(nodes, {"CPU": 1, "GPU": 3}) == 0 + 1  # all GPUs of a worker are on one node
    assert count_room(nodes, {"CPU": 1, "a100": 1}) == 0


def test_workers_without_room_are_refused_with_what_the_nodes_have() -> None:
    with pytest.raises(RunError, match=r"room for 2 of 3 workers.*1 GPU.*--workers 2, or autoscaling=true"):
        require_room([{"CPU": 8, "GPU": 2}], {"CPU": 4, "GPU": 1}, 3)
    with pytest.raises(RunError, match=r"room for 0 of 1 workers, each with 1 CPU, 1 GPU.*nodes have 8 CPU, 0 GPU"):
        require_room([{"CPU": 8}], {"CPU": 1, "GPU": 1}, 1)


def test_nodes_that_cannot_work_on_the_run_are_named_with_what_differs() -> None:
    own = {"python": "3.12", "torch": "2.13.0", "probe": "a1"}
    seen: dict[str, Any] = {
        "alike": own,
        "old": own | {"torch": "2.12.0"},
        "apart": own | {"probe": None},
        "bare": "ModuleNotFoundError, No module named 'tuneoff'",
    }
    faults = list(find_faults(seen, own, Path("/shared/mine")))
    assert [fault.split()[0] for fault in faults] == ["old", "apart", "bare"]
    assert "torch 2.12.0 (here 2.13.0)" in faults[0]
    assert "does not see /shared/mine: the folder must be shared under this path" in faults[1]
    assert "No module named 'tuneoff'" in faults[2]


def test_nodes_need_not_see_a_run_whose_work_is_shared_through_a_url() -> None:
    own = inspect_node(None)
    assert list(find_faults({"alike": dict(own), "old": own | {"torch": "1.0"}}, own, None)) == [
        f"old has other versions: torch 1.0 (here {own['torch']}). Install those of this machine there."
    ]


def test_an_address_where_nothing_listens_is_refused_with_what_was_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RunError, match=rf"answers at 127.0.0.1:{port}. Tried a connection to 127.0.0.1, port {port}"):
        require_answer(f"127.0.0.1:{port}")


@needs_ray
def test_an_address_that_says_nothing_is_given_up(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "ANSWER_SECONDS", 0.02)
    assert ray_cluster.CONNECT_SECONDS + 14.0 < 20
    with pytest.raises(RunError, match=r"and `ray health-check` for \d seconds: no answer"):
        require_answer(f"127.0.0.1:{silent_port}")


def read_documented(beginning: str) -> Any:
    """Read the documented file that begins so."""
    text = Path("docs/how-to/many-machines.md").read_text()
    (file,) = (block.partition("```")[0] for block in text.split("```text\n") if block.startswith(beginning))
    return yaml.safe_load(file)


@needs_ray
def test_the_documented_cluster_passes_rays_own_check() -> None:
    from ray.autoscaler._private.util import validate_config

    validate_config(read_documented("cluster_name") | {"cluster_synced_files": []})  # which Ray adds itself


@needs_ray
def test_the_documented_cluster_of_kuberay_is_what_ray_reads() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    read = _derive_autoscaling_config_from_ray_cr(read_documented("apiVersion: ray.io/v1"))  # and it validates
    assert read["available_node_types"]["gpu"]["resources"] == {"CPU": 8, "GPU": 1, "memory": 32 * 2**30}
    assert read["max_workers"] == 8


@needs_ray
@pytest.mark.slow
@pytest.mark.model
@pytest.mark.usefixtures("quick_comparisons")
def test_a_worker_that_is_lost_is_replaced_and_the_records_are_those_of_one_process(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    lost: list[str] = []

    class LosingListener(SilentListener):
        def on_trial_start(self, trial: Trial) -> OnProgress:
            def lose_once(progress: Progress) -> None:
                if progress.phase == "training" and not lost:
                    lost.append(trial.id)
                    for task in psutil.Process().children(recursive=True):
                        if task.name().startswith("ray::run_worker"):
                            os.kill(task.pid, signal.SIGKILL)

            return lose_once

    recipe |= {"methods": ["lora"], "training": {"epochs": 60, "batch_size": 2}, "seeds": [1, 2]}
    tuneoff.compare(recipe, run=tmp_path / "alone")
    engine = RayEngine(cpus=1, workers=2)
    handler = signal.getsignal(signal.SIGTERM)
    tuneoff.compare(recipe, run=tmp_path / "tasks", engine=engine, threads=1, listener=LosingListener())
    alone, tasks = read_records_by_id(tmp_path / "alone"), read_records_by_id(tmp_path / "tasks")
    assert list(map(dump_reproducible, alone.values())) == list(map(dump_reproducible, tasks.values()))
    assert lost
    assert signal.getsignal(signal.SIGTERM) is handler
