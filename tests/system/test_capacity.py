"""The memory that this process may use."""

from pathlib import Path

import pytest
import torch

from tuneoff.system import capacity

GIB = 2**30


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups, and the file that says which of them this process is in."""
    monkeypatch.setattr(capacity, "CONTROL_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(capacity, "OWN_GROUPS", tmp_path / "own")
    return tmp_path


def limit(groups: Path, file: str, text: str) -> None:
    (groups / "cgroup" / file).parent.mkdir(parents=True, exist_ok=True)
    (groups / "cgroup" / file).write_text(text)


def test_the_limit_of_a_job_around_the_own_group_is_seen(groups: Path) -> None:
    (groups / "own").write_text("0::/slurm/job_7/step_0\n")
    limit(groups, "slurm/job_7/memory.max", f"{GIB}\n")
    limit(groups, "slurm/job_7/step_0/memory.max", "max\n")
    limit(groups, "slurm/job_8/memory.max", "4096\n")  # another job
    assert capacity.get_memory_bytes(torch.device("cpu")) == GIB


def test_the_limit_of_a_container_is_seen_without_a_list_of_groups(groups: Path) -> None:
    limit(groups, "memory.max", str(GIB))
    assert capacity.get_memory_bytes(torch.device("cpu")) == GIB


def test_a_limit_of_cgroups_v1_is_seen(groups: Path) -> None:
    (groups / "own").write_text("5:cpu,cpuacct:/other\n4:memory:/slurm/uid_1/job_7\n")
    limit(groups, "memory/slurm/uid_1/memory.limit_in_bytes", str(GIB))
    assert capacity.get_memory_bytes(torch.device("cpu")) == GIB


def test_a_group_outside_of_what_is_visible_is_no_error(groups: Path) -> None:
    (groups / "own").write_text("0::/../../elsewhere\n")
    assert capacity.get_memory_bytes(torch.device("cpu")) > 0


def test_a_limit_on_the_address_space_is_one_on_memory(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (GIB, GIB))
    assert capacity.get_memory_bytes(torch.device("cpu")) == GIB
