"""The further processes of a trial on several devices: one for each device but the first.

The process of the trial, which has the first device, decides everything. A follower waits for a command, carries it out
and answers, so there is only one flow of control: what was not ordered does not happen, and nobody waits for a process
that took another turn. Only sums and weights go from device to device, through a group of torch.distributed, and only
after every process has said that it is ready for it.

A follower ends with the process that started it, however that ends. One that ends too early is noticed at once, since
its end of the connection closes then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from tuneoff.errors import RunError
from tuneoff.runtime.channel import Channel

if TYPE_CHECKING:
    from torch import Tensor

MODULE = "tuneoff.runner.follower"
ANSWER_SECONDS = 1800.0  # for one command, such as a pass through the longest rows on a slow CPU
GROUP_SECONDS = 600.0  # for tensors that every process is ready to exchange
END_SECONDS = 5.0  # for a process whose connection has closed to end
OUT_OF_MEMORY, ERROR = "out_of_memory", "error"  # the keys of an answer that is none
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}  # all processes are on one machine

Values = Mapping[str, Any]  # JSON


@final
class Followers:
    """The followers of this process. They start with the first command, and serve one trial after another.

    Args:
        devices: of a trial, this process's own included; with 1 there are no followers, and commands do nothing.
        device_type: "cpu" or "cuda".
        in_step: whether each device holds a part of the model, so that every pass is one of all devices.
    """

    _active: ClassVar[weakref.ref[Followers] | None] = None  # a process can be in one group of torch.distributed only

    def __init__(self, devices: int = 1, device_type: str = "cpu", *, in_step: bool = False) -> None:
        self.devices, self.in_step, self._device_type = devices, in_step, device_type
        self._processes: list[subprocess.Popen[bytes]] = []
        self._channels: list[Channel] = []
        self._end: Callable[[], object] = lambda: None
        self._command, self._unanswered = 0, False

    @property
    def is_idle(self) -> bool:
        """Whether they run and wait for a command."""
        return bool(self._processes) and not self._unanswered

    def send(
        self, command: str, values: Values | None = None, shares: Sequence[Mapping[str, Tensor]] | None = None
    ) -> None:
        """Tell every follower what to do. `receive` waits until it is done.

        Args:
            values: the same for all, JSON.
            shares: tensors on the CPU for each follower.

        Raises:
            RunError: a follower has ended.
        """
        if self.devices > 1 and not self._processes:
            self._start()
        self._command += 1
        self._unanswered = True
        for i in range(len(self._channels)):
            message = {**(values or {}), "command": command, "number": self._command, "in_step": self.in_step}
            self._send_to(i, message, shares[i] if shares else None)

    def receive(self) -> list[dict[str, Any]]:
        """Wait for the answer of every follower.

        Raises:
            MemoryError: one ran out of memory. All wait for the next command.
            RunError: one failed, ended, or does not answer. All are ended.
        """
        answers = [self._receive_from(i) for i in range(len(self._channels))]
        self._unanswered = False
        for i, answer in enumerate(answers):
            if ERROR in answer:
                self.close()
                raise RunError(f"Device {i + 1} of {self.devices} failed: {answer[ERROR]}")
        for i, answer in enumerate(answers):
            if OUT_OF_MEMORY in answer:
                raise MemoryError(f"device {i + 1} of {self.devices}: {answer[OUT_OF_MEMORY]}")
        return answers

    def ask(self, command: str, values: Values | None = None) -> list[dict[str, Any]]:
        """Tell every follower what to do, and wait for the answers."""
        self.send(command, values)
        return self.receive()

    @contextlib.contextmanager
    def passing(
        self, command: str, values: Values | None = None, shares: Sequence[Mapping[str, Tensor]] | None = None
    ) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """Tell every follower to run passes through the model, and run this process's own in the block.

        Yields:
            `receive`, to be called at the end of the block.

        Raises:
            RunError: a follower failed or ended; or memory ran out, or this process failed, in a pass of all devices.
        """
        self.send(command, values, shares)
        try:
            yield self.receive
        except (RuntimeError, MemoryError) as error:
            if not self.in_step or isinstance(error, RunError):
                raise
            raise self._give_up(error) from error

    @contextlib.contextmanager
    def exchanging(self, command: str, values: Values | None = None) -> Iterator[None]:
        """Tell every follower to exchange tensors, and do this process's part in the block.

        Raises:
            RunError: a follower failed or ended meanwhile.
        """
        self.send(command, values)
        try:
            yield
            self.receive()
        except RunError:
            raise
        except (RuntimeError, MemoryError) as error:  # of torch.distributed, whose types differ between devices
            raise self._give_up(error) from error

    def close(self) -> None:
        """End the followers. The next command starts new ones."""
        self._end()
        self._processes, self._channels, self._unanswered = [], [], False
        self._end = lambda: None

    def _start(self) -> None:
        import torch.distributed as dist

        if others := Followers._active and Followers._active():
            others.close()  # of an earlier comparison or plan of this process
        if dist.is_initialized():
            raise RunError(
                "This process is part of a group of torch.distributed already, so it cannot make one for its devices. "
                "Start tuneoff itself with `tuneoff compare`, not with torchrun or accelerate launch: training.devices "
                "starts the other processes."
            )
        self._command = 0
        folder = tempfile.mkdtemp(prefix="tuneoff-devices-")  # for this user alone: no port is open for the rendezvous
        for rank in range(1, self.devices):
            process, channel = _start_process(_choose_environment(rank, self._device_type))
            self._processes.append(process)
            self._channels.append(channel)
        finalizer = weakref.finalize(self, _end_all, tuple(self._processes), tuple(self._channels), folder)
        self._end, Followers._active = finalizer, weakref.ref(self)
        try:
            self._join(str(Path(folder, "store")))
        except BaseException:
            self.close()
            raise

    def _join(self, file: str) -> None:
        """Wait until all followers have started, and make one group of them and this process."""
        self.receive()
        backend = "cpu:gloo,cuda:nccl" if self._device_type == "cuda" else "gloo"
        self._command += 1
        for i in range(len(self._channels)):
            place = {"file": file, "size": self.devices, "backend": backend, "rank": i + 1}
            self._send_to(i, {"command": "join", "number": self._command, **place})
        join_group(file, self.devices, backend, 0)
        self.receive()

    def _send_to(self, i: int, message: Values, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Send a message to a follower.

        Raises:
            RunError: it has ended.
        """
        try:
            self._channels[i].send(message, tensors)
        except OSError:
            raise self._fail(i) from None

    def _receive_from(self, i: int) -> dict[str, Any]:
        """Return a follower's answer to the last command. Those to earlier ones, which nobody waited for, are dropped.

        Raises:
            RunError: it has ended, or does not answer.
        """
        while True:
            try:
                answer, _ = self._channels[i].receive()
            except TimeoutError:
                self.close()
                raise RunError(
                    f"The process of device {i + 1} of {self.devices} has not answered for {ANSWER_SECONDS / 60:.0f} "
                    "minutes, so all were ended. Run the same command with --retry."
                ) from None
            except (EOFError, OSError):
                raise self._fail(i) from None
            if answer["number"] == self._command:
                return answer

    def _give_up(self, error: Exception) -> RunError:
        """End the followers, who may wait for this process's tensors. Return an error with what each says about it."""
        from tuneoff.runtime.micro_batch import is_out_of_memory

        reasons, is_full = [" ".join(str(error).split())], is_out_of_memory(error)
        for i, channel in enumerate(self._channels):
            with contextlib.suppress(EOFError, OSError):
                answer, _ = channel.receive(END_SECONDS)
                is_full |= OUT_OF_MEMORY in answer
                reasons += [f"device {i + 1}: {answer[key]}" for key in (ERROR, OUT_OF_MEMORY) if key in answer]
        self.close()
        cure = " Write a smaller training.batch_size, with a larger training.accumulation." if is_full else ""
        return RunError(f"The {self.devices} devices could not go on together: {'; '.join(reasons)}.{cure}")

    def _fail(self, i: int) -> RunError:
        """End all followers because one has ended, and return an error that says how."""
        process = self._processes[i]
        try:
            code = process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        self.close()
        return RunError(
            f"The process of device {i + 1} of {self.devices} ended in the middle of its work{_describe_end(code)} "
            "Run the same command with --retry, or with training.devices: 1."
        )


def join_group(file: str, size: int, backend: str, rank: int) -> None:
    """Join the group of torch.distributed whose processes find each other in a file of this machine."""
    import torch.distributed as dist

    before = {name: os.environ.get(name) for name in LOOPBACK}
    os.environ.update({name: os.environ.get(name, value) for name, value in LOOPBACK.items()})
    try:
        store = dist.FileStore(file, size)  # type: ignore[attr-defined]  # exported, but not for type checkers
        timeout = timedelta(seconds=GROUP_SECONDS)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]


def _choose_environment(rank: int, device_type: str) -> Mapping[str, str]:
    """Return the variables that give a follower its device as the only one."""
    if device_type != "cuda":
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[rank] if visible else str(rank)}


def _start_process(environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start a follower. Its standard input closes when this process ends, and then it ends too."""
    own, its = socket.socketpair()
    own.settimeout(ANSWER_SECONDS)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, str(its.fileno())],
            stdin=subprocess.PIPE, env={**os.environ, **environment}, pass_fds=[its.fileno()],
        )  # fmt: skip
    return process, Channel(own)


def _end_all(processes: Sequence[subprocess.Popen[bytes]], channels: Sequence[Channel], folder: str) -> None:
    """End processes, which may hang, and leave the group of this one."""
    import torch.distributed as dist

    for process, channel in zip(processes, channels, strict=True):
        channel.close()
        process.kill()
        with process:  # waits, and closes its input
            pass
    if dist.is_initialized():
        dist.destroy_process_group()
    shutil.rmtree(folder, ignore_errors=True)


def _describe_end(code: int | None) -> str:
    if code is None or code >= 0:
        return "." if code is None else f", with exit code {code}."
    likely_cause = " This usually means that memory ran out." if code == -signal.SIGKILL else ""
    return f": {signal.strsignal(-code) or -code}.{likely_cause}"
