"""The checkpoint file: everything an interrupted training needs to continue exactly, in safetensors format.

It is a single file, so that one rename replaces the previous checkpoint: a complete one exists at all times. It
contains its own checksum.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tuneoff.errors import RunError
from tuneoff.records.record import Epoch, Memory
from tuneoff.system.atomic_write import replace_atomically

if TYPE_CHECKING:
    from torch import Tensor

UNUSABLE = (OSError, ValueError, TypeError, KeyError)  # raised by a file that is damaged or of another trial
MIN_INTERVAL_SECONDS = 60.0  # between two checkpoints
MIN_INTERVAL_WRITES = 20  # the same, as a multiple of the seconds that writing one takes
BYTES_PER_SECOND = 200e6  # assumed writing speed before the first checkpoint; a slow disk's


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a training between two steps."""

    trial: str  # the id of the trial that it belongs to
    steps: int
    micro_batch: int  # examples in one forward pass; another size rounds differently
    gradient_checkpointing: bool
    curve: tuple[Epoch, ...]
    sums: dict[str, Any]  # `RunningSums` since the last validation
    best_epoch: float  # 0: none yet
    best_loss: float | None
    groups: list[dict[str, Any]]  # the optimizer's parameter groups, without the parameters; Any: their options
    memory: dict[str, Memory]  # peaks so far, by phase
    values: dict[str, Any] = field(default_factory=dict)  # of the optimizer's state what is no tensor; Any: JSON
    tensors: dict[str, Tensor] = field(repr=False)  # on the CPU, named "kind/name"

    def select_tensors(self, kind: str) -> dict[str, Tensor]:
        """Return the tensors of one kind, such as "trained", by the rest of their names."""
        prefix = f"{kind}/"
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

    def write(self, path: Path) -> None:
        """Write the checkpoint to `path` atomically; a previous one stays until this one is complete.

        Raises:
            OSError: the disk is full, or writing is not permitted.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        state = {name: value for name, value in vars(self).items() if name != "tensors"}
        state["curve"] = [row.model_dump(mode="json") for row in self.curve]
        state["memory"] = {phase: memory.model_dump(mode="json") for phase, memory in self.memory.items()}
        header = json.dumps(state)
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        try:
            with replace_atomically(path) as temporary:
                save_file(tensors, temporary, {"state": header, "sha256": _compute_sha256(header, tensors)})
        except SafetensorError as error:
            raise _to_os_error(error, path) from error


def read_checkpoint(path: Path | None, trial: str) -> Checkpoint | None:
    """Return the checkpoint of a trial at `path`, or None if there is none.

    A damaged one, or one of another trial, is set aside with a warning.

    Args:
        trial: the id of the trial.
    """
    if path is None or not path.exists():
        return None
    try:
        return load_checkpoint(path, trial)
    except UNUSABLE as error:
        damaged = path.with_name("checkpoint.bad")
        path.replace(damaged)
        logging.getLogger(__name__).warning(
            "The checkpoint %s cannot be used (%s). It was renamed to %s, and its steps are trained again.",
            path, error, damaged.name,
        )  # fmt: skip
        return None


def load_checkpoint(path: Path, trial: str) -> Checkpoint:
    """Return the checkpoint of a trial at `path`.

    Raises:
        ValueError, or another of UNUSABLE: it cannot be read, is damaged or belongs to another trial.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
            header, sha256 = file.metadata()["state"], file.metadata()["sha256"]
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if _compute_sha256(header, tensors) != sha256:
        raise ValueError("its checksum does not match")
    state = json.loads(header)
    if state.get("trial") != trial:
        raise ValueError(f"it belongs to the trial {state.get('trial', 'of an earlier version')} and not to {trial}")
    curve = tuple(Epoch.model_validate(row) for row in state.pop("curve"))
    memory = {phase: Memory.model_validate(peak) for phase, peak in state.pop("memory").items()}
    return Checkpoint(curve=curve, memory=memory, tensors=tensors, **state)


def read_steps(path: Path) -> int:
    """Return how many steps the checkpoint at `path` has completed, from its header; 0 without a readable one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return int(json.loads(file.metadata()["state"])["steps"])
    except (OSError, ValueError, TypeError, KeyError, SafetensorError):
        return 0


@final
class CheckpointWriter:
    """Writes the checkpoints of one training, often enough to lose only minutes and rarely enough to cost little.

    Args:
        path: the checkpoint, which each new one replaces.
        trial: the id of the trial that it belongs to.
        always_last: whether to write one at the end even of a short training, for a later rung to continue from.
    """

    def __init__(self, path: Path, trial: str, *, always_last: bool = False) -> None:
        self.trial, self._path, self._always_last = trial, path, always_last
        self._last_write = time.monotonic()
        self._write_seconds: float | None = None

    def is_due(self) -> bool:
        """Return whether to write a checkpoint now, in the middle of the training."""
        interval = max(MIN_INTERVAL_SECONDS, MIN_INTERVAL_WRITES * (self._write_seconds or 0))
        return time.monotonic() - self._last_write >= interval

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, and measure how long that takes.

        Raises:
            RunError: its folder is gone. A new one would be apart from the rest of the run.
        """
        start = time.monotonic()
        if not self._path.parent.is_dir():
            raise RunError(f"{self._path.parent} was moved or removed while the trial was running in it.")
        checkpoint.write(self._path)
        self._last_write = time.monotonic()
        self._write_seconds = self._last_write - start

    def write_last(self, checkpoint: Checkpoint) -> None:
        """Write the final checkpoint if a later rung needs it or repeating the training would take much longer."""
        size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in checkpoint.tensors.values())
        seconds = size_bytes / BYTES_PER_SECOND if self._write_seconds is None else self._write_seconds
        if self._always_last or time.monotonic() - self._last_write >= MIN_INTERVAL_WRITES * seconds:
            self.write(checkpoint)


def _compute_sha256(header: str, tensors: Mapping[str, Tensor]) -> str:
    import torch

    digest = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _to_os_error(error: Exception, path: Path) -> OSError:
    """Return the OSError behind an error of safetensors, which has the error number only in its message."""
    match = re.search(r"os error (\d+)", str(error))
    return OSError(int(match[1]), os.strerror(int(match[1])), str(path)) if match else OSError(str(error))
