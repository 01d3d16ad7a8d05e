"""Lose a node of a Ray cluster in the middle of a comparison: `python -m benchmarks.ray_nodes`.

Two network namespaces of this machine, joined by a link, are the two nodes; each has process ids, a host name and a
/tmp/ray of its own. The comparison runs on the first. The second one loses its raylet (`raylet`), or its link without a
word (`cut`). A cut also stops the worker there, as a shared folder behind the link would; after two minutes both go on.
Printed are the seconds until the second node's trial went on elsewhere, and whether the records are those of a
comparison in one process. Needs Linux, root, iproute2, util-linux and Ray.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.kills import make_tiny_recipe, read_results
from tuneoff.engines.ray import SETTINGS
from tuneoff.runs.leases import Watcher
from tuneoff.runs.work_folder import DRIVER, WorkFolder

NODES = {"tuneoff-a": "10.77.0.1", "tuneoff-b": "10.77.0.2"}
HEAD, OTHER = NODES
PORT = 6399
HEALTH = {
    "RAY_health_check_period_ms": "3000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}
CUT_SECONDS = 120.0
# the first process of a node: what Ray leaves behind must not stay as a zombie, which Ray takes for alive
WAIT = "import signal, time; signal.signal(signal.SIGCHLD, signal.SIG_IGN); time.sleep(1e6)"
MOST_TRIES = 10  # until the node that is lost has a trial
LONGEST_SECONDS = 900.0  # of anything that is waited for


@dataclass(frozen=True)
class Node:
    """A node: a process that holds its namespaces open."""

    name: str
    holder: subprocess.Popen[bytes]

    @property
    def _first(self) -> int:
        (first,) = psutil.Process(self.holder.pid).children()
        return int(first.pid)

    def wrap(self, *command: str) -> list[str]:
        """Return a command as it is started on this node."""
        return ["nsenter", "--target", str(self._first), "--net", "--uts", "--pid", "--mount", *command]

    def list_processes(self, *words: str) -> list[psutil.Process]:
        """Return the processes of this node whose command contains all words."""
        found, own = [], os.readlink(f"/proc/{self._first}/ns/net")
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if os.readlink(f"/proc/{process.pid}/ns/net") == own:
                    line = " ".join(process.cmdline())
                    found += [process] if all(word in line for word in words) else []
        return found


@contextlib.contextmanager
def open_nodes() -> Iterator[dict[str, Node]]:
    """Make the two nodes and the link between them, and remove everything afterwards."""
    nodes: dict[str, Node] = {}
    try:
        for name in NODES:
            _call("ip", "netns", "add", name)
        _call("ip", "link", "add", HEAD, "netns", HEAD, "type", "veth", "peer", "name", OTHER, "netns", OTHER)
        for name, address in NODES.items():
            for words in (["addr", "add", f"{address}/24", "dev", name], ["link", "set", name, "up"],
                          ["link", "set", "lo", "up"]):  # fmt: skip
                _call("ip", "-n", name, *words)
            setup = f"hostname {name}; mkdir -p /tmp/ray; mount -t tmpfs none /tmp/ray"
            wait = f"exec {sys.executable} -c '{WAIT}'"
            spaces = ["unshare", "--uts", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child"]
            nodes[name] = Node(
                name, subprocess.Popen(["ip", "netns", "exec", name, *spaces, "sh", "-c", f"{setup}; {wait}"])
            )
        time.sleep(1)
        yield nodes
    finally:
        for node in nodes.values():
            for process in node.list_processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            node.holder.kill()
            node.holder.wait()
        for name in NODES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def start_cluster(nodes: Mapping[str, Node], environment: Mapping[str, str]) -> None:
    """Start Ray on both nodes; the first has room for two workers."""
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--object-store-memory", "100000000"]
    head = ["--head", "--port", str(PORT), "--num-cpus", "2", "--include-dashboard", "false"]
    other = ["--address", f"{NODES[HEAD]}:{PORT}", "--num-cpus", "1"]
    for name, words in ((HEAD, head), (OTHER, other)):
        command = nodes[name].wrap(*ray, *words, "--node-ip-address", NODES[name])
        done = subprocess.run(command, env={**environment, **HEALTH}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"Ray did not start on {name}: {done.stderr}")


def lose_node(fault: str, recipe: Path, run: Path, environment: Mapping[str, str]) -> tuple[float, float, str] | None:
    """Run a comparison of two trials by three workers on two nodes, of which one is lost after its first checkpoint.

    Returns:
        The seconds until its trial went on elsewhere, those of the whole comparison, and where the trial went on; None
        if the other node's worker was the one without a trial.
    """
    with open_nodes() as nodes:
        start_cluster(nodes, environment)
        words = ["compare", str(recipe), "--run", str(run), "--threads", "1", "--engine", "ray", "--workers", "3"]
        words += ["--engine-option", f"address={NODES[HEAD]}:{PORT}", "--engine-option", "cpus=1"]
        started = time.monotonic()
        command = nodes[HEAD].wrap(sys.executable, "-m", "tuneoff.cli", *words)
        with (run.parent / f"{run.name}.log").open("wb") as log:
            comparison = subprocess.Popen(command, env=dict(environment), stdout=log, stderr=log)
        watcher = Watcher(WorkFolder(run).leases)
        held = _wait_for(lambda: _list_held(watcher, 2), comparison)
        if OTHER not in held.values():
            comparison.terminate()
            comparison.wait(LONGEST_SECONDS)
            return None
        id = next(id for id, host in held.items() if host == OTHER)
        _wait_for(lambda: any((run / "work/attempts").glob(f"{id}.*/checkpoint.*")), comparison)
        lost_at, attempt = time.monotonic(), watcher.list_attempts()[id]
        workers = nodes[OTHER].list_processes("tuneoff.cli", "work", str(run))
        if fault == "raylet":
            for process in nodes[OTHER].list_processes("raylet/raylet"):
                process.kill()
        else:
            _call("ip", "-n", OTHER, "link", "set", OTHER, "down")
            for process in workers:
                process.suspend()
        _wait_for(lambda: watcher.list_attempts().get(id, 0) > attempt, comparison)
        recovered = time.monotonic() - lost_at
        where = str(watcher.read(id, attempt + 1)[1].get("host"))
        if fault == "cut":
            time.sleep(max(0.0, CUT_SECONDS - recovered))
            _call("ip", "-n", OTHER, "link", "set", OTHER, "up")
            for process in workers:
                with contextlib.suppress(psutil.Error):
                    process.resume()
        if code := comparison.wait(LONGEST_SECONDS):
            raise RuntimeError(f"the comparison ended with {code}: {Path(log.name).read_text()[-3000:]}")
        return recovered, time.monotonic() - started, where


def _list_held(watcher: Watcher, count: int) -> dict[str, str]:
    """Return the hosts that work on trials, by trial id; nothing before there are so many."""
    held = {}
    for id, attempt in watcher.list_attempts().items():
        state, content = watcher.read(id, attempt)
        if id != DRIVER and state == "held":
            held[id] = str(content["host"])
    return held if len(held) == count else {}


def _wait_for(find: Any, comparison: subprocess.Popen[bytes]) -> Any:
    end = time.monotonic() + LONGEST_SECONDS
    while not (found := find()):
        if comparison.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the comparison ended, or nothing happened for long; use more --epochs")
        time.sleep(0.2)
    return found


def _call(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    """Disturb one comparison for each fault, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", nargs="+", choices=["raylet", "cut"], default=["raylet", "cut"])
    parser.add_argument("--epochs", type=int, default=3000, help="of a trial, which has to last over a minute")
    parser.add_argument("--folder", type=Path, help="for the runs, which both nodes see; not in /tmp/ray")
    options = parser.parse_args()
    environment = {**os.environ, **SETTINGS, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        environment["TUNEOFF_CACHE"] = str(root / "cache")
        recipe = root / "recipe.yaml"
        training = {"epochs": options.epochs, "batch_size": 2}
        recipe.write_text(yaml.safe_dump(make_tiny_recipe(root) | {"methods": ["lora"], "training": training}))
        alone = [sys.executable, "-m", "tuneoff.cli", "compare", str(recipe), "--run", str(root / "alone")]
        subprocess.run([*alone, "--threads", "1"], check=True, env=environment, capture_output=True)
        wanted = read_results(root / "alone")
        print("| fault | went on after | on | whole comparison | records |\n| --- | ---: | --- | ---: | --- |")
        for fault in options.faults:
            runs = (root / f"{fault}-{number}" for number in range(MOST_TRIES))
            lost = ((run, outcome) for run in runs if (outcome := lose_node(fault, recipe, run, environment)))
            run, (recovered, whole, where) = next(lost)
            equal = "equal to the last bit" if read_results(run) == wanted else "DIFFERENT"
            print(f"| {fault} | {recovered:.0f} s | {where} | {whole:.0f} s | {equal} |", flush=True)


if __name__ == "__main__":
    main()
