"""Workers as jobs of SLURM: what is submitted, and that a job that is preempted goes on where it was."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from submitit.local.local import LocalJob

import tuneoff
from tests.runner.recorded_runs import dump_reproducible, read_records_by_id
from tuneoff.api import build_engine
from tuneoff.engines.slurm import SlurmEngine, SlurmLauncher
from tuneoff.errors import RecipeError, RunError
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import SilentListener
from tuneoff.runs.work_folder import WorkFolder
from tuneoff.runtime.progress import OnProgress, Progress


@pytest.fixture
def slurm_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands that take a job and keep its script; returns the script."""
    script = tmp_path / "submitted"
    commands = {"sbatch": f'cp "$1" {script}; echo Submitted batch job 12', "srun": ":", "sacct": ":", "scancel": ":"}
    (tmp_path / "bin").mkdir()
    for name, command in commands.items():
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{command}\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return script


def submit(engine: SlurmEngine, run: Path, *, on_gpu: bool = False, devices: int = 1) -> None:
    launcher = engine.build(on_gpu=on_gpu, threads=None if on_gpu else engine.cpus, devices=devices)
    launcher.start(WorkFolder(run))
    launcher._jobs.clear()


def test_the_workers_are_one_array_that_is_warned_before_its_end_and_queued_again(
    tmp_path: Path, slurm_commands: Path
) -> None:
    submit(SlurmEngine(workers=3, cpus=8, sbatch=("--partition=gpu", "--exclusive")), tmp_path / "mine")
    lines = slurm_commands.read_text().splitlines()
    for line in ("--array=0-2%3", "--signal=USR2@120", "--requeue", "--cpus-per-task=8", "--partition=gpu",
                 "--exclusive", "--job-name=tuneoff-mine", "--open-mode=append", "--time=1440"):  # fmt: skip
        assert f"#SBATCH {line}" in lines
    assert not any("gpus" in line for line in lines)


def test_a_worker_on_a_gpu_has_one_and_the_users_lines_come_first(tmp_path: Path, slurm_commands: Path) -> None:
    submit(SlurmEngine(workers=2, sbatch=("--time=30", "--gpus-per-node=a100:1")), tmp_path / "mine", on_gpu=True)
    lines = slurm_commands.read_text().splitlines()
    assert [line for line in lines if "--time" in line] == ["#SBATCH --time=30"]
    assert "#SBATCH --gpus-per-node=a100:1" in lines


def test_a_job_for_trials_on_several_devices_has_as_many_gpus_of_one_node(tmp_path: Path, slurm_commands: Path) -> None:
    submit(SlurmEngine(), tmp_path / "mine", on_gpu=True, devices=4)
    assert "#SBATCH --gpus-per-node=4" in slurm_commands.read_text().splitlines()


def test_without_slurm_the_message_says_where_to_run_and_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match=r"no SLURM commands .*login node.*--engine manual"):
        submit(SlurmEngine(), tmp_path / "mine")


def test_after_a_stop_the_jobs_of_this_machine_have_ended(tmp_path: Path) -> None:
    jobs = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    launcher = SlurmEngine(workers=2, cluster="local").build(on_gpu=False, threads=1)
    launcher._work = WorkFolder(tmp_path)
    launcher._jobs = [LocalJob(tmp_path, str(process.pid), process=process) for process in jobs]
    launcher.stop()
    assert [process.returncode for process in jobs] == [-signal.SIGINT, -signal.SIGINT]


def test_options_are_written_as_key_and_value() -> None:
    engine = build_engine("slurm", "cpus=8", "sbatch=[--partition=gpu, --qos=low]")
    assert engine == SlurmEngine(cpus=8, sbatch=("--partition=gpu", "--qos=low"))
    with pytest.raises(RecipeError, match=r"is no option of sbatch: write it as --partition=gpu"):
        build_engine("slurm", "sbatch=[partition]")
    with pytest.raises(RecipeError, match=r"Unknown key 'engine slurm.cpu'.*Did you mean 'cpus'"):
        build_engine("slurm", "cpu=8")


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.usefixtures("quick_comparisons")
def test_a_job_that_is_preempted_is_queued_again_and_goes_on_to_the_same_records(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By submitit's own executor for one machine, which sends the signal and queues again as SLURM does."""
    launchers: list[SlurmLauncher] = []
    interrupted: list[str] = []
    build: Callable[..., SlurmLauncher] = SlurmEngine.build

    def build_and_keep(self: SlurmEngine, **options: Any) -> SlurmLauncher:
        launchers.append(build(self, **options))
        return launchers[0]

    class InterruptingListener(SilentListener):
        def on_trial_start(self, trial: Trial) -> OnProgress:
            def interrupt_once(progress: Progress) -> None:
                if progress.phase == "training" and not interrupted:
                    interrupted.append(trial.id)
                    (task,) = psutil.Process(int(launchers[0]._jobs[0].job_id)).children()
                    task.send_signal(signal.SIGUSR2)

            return interrupt_once

    monkeypatch.setattr(SlurmEngine, "build", build_and_keep)
    recipe |= {"methods": ["lora"], "training": {"epochs": 60, "batch_size": 2}}
    tuneoff.compare(recipe, run=tmp_path / "alone")
    engine = SlurmEngine(cluster="local", cpus=1)
    tuneoff.compare(recipe, run=tmp_path / "jobs", engine=engine, threads=1, listener=InterruptingListener())
    alone, jobs = read_records_by_id(tmp_path / "alone"), read_records_by_id(tmp_path / "jobs")
    assert list(map(dump_reproducible, alone.values())) == list(map(dump_reproducible, jobs.values()))
    assert interrupted == list(jobs)
