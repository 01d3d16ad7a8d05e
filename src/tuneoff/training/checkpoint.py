"""A training put aside: all that it needs to go on as if it had never stopped, in one safetensors file.

One file, so that one rename puts it in the place of the one before: there is no moment without a whole one. Its
checksum is in it.
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

from tuneoff.records.record import Epoch, Memory
from tuneoff.system.atomic_write import replace_atomically

if TYPE_CHECKING:
    from torch import Tensor

EVERY_SECONDS = 60.0
LEAST_SHARE = 20  # a checkpoint is written at most every so many times what writing one takes
BYTES_PER_SECOND = 200e6  # of a modest disk, until the first was written


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a training stands after some steps, between two of them."""

    steps: int
    micro_batch: int  # examples in one forward pass; other sizes round otherwise
    gradient_checkpointing: bool
    curve: tuple[Epoch, ...]
    sums: dict[str, Any]  # of the steps since the last validation
    best_epoch: float  # 0: none yet
    best_loss: float | None
    schedule: dict[str, Any]  # Any: torch's own state of a schedule
    groups: list[dict[str, Any]]  # the optimizer's parameter groups, without the parameters
    memory: dict[str, Memory]  # the most held so far, by phase
    tensors: dict[str, Tensor] = field(repr=False)  # on the CPU, by "what/which"

    def part(self, what: str) -> dict[str, Tensor]:
        """The tensors of one kind, such as "trained", by what stands after the kind."""
        return {name.removeprefix(f"{what}/"): t for name, t in self.tensors.items() if name.startswith(f"{what}/")}

    def write(self, path: Path) -> None:
        """Put the checkpoint at `path`, whole or not at all; another that was there stays until then.

        Raises:
            OSError: there is no room, or no leave to write.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        state = {name: value for name, value in vars(self).items() if name != "tensors"}
        state["curve"] = [row.model_dump(mode="json") for row in self.curve]
        state["memory"] = {phase: memory.model_dump(mode="json") for phase, memory in self.memory.items()}
        written = json.dumps(state)
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        try:
            with replace_atomically(path) as temporary:
                save_file(tensors, temporary, {"state": written, "sha256": _sha256(written, tensors)})
        except SafetensorError as error:
            raise _as_os_error(error, path) from error


def read_checkpoint(path: Path | None) -> Checkpoint | None:
    """The checkpoint at `path`; None where there is none, and where there is a damaged one, which is set aside."""
    from safetensors import SafetensorError, safe_open

    if path is None or not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
            written, sha256 = file.metadata()["state"], file.metadata()["sha256"]
        if _sha256(written, tensors) != sha256:
            raise ValueError("its checksum is another")
        state = json.loads(written)
        curve = tuple(Epoch.model_validate(row) for row in state.pop("curve"))
        memory = {phase: Memory.model_validate(held) for phase, held in state.pop("memory").items()}
        return Checkpoint(curve=curve, memory=memory, tensors=tensors, **state)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        bad = path.with_name("checkpoint.bad")
        path.replace(bad)
        logging.getLogger(__name__).warning(
            "The checkpoint %s is damaged (%s). It is set aside as %s, and what it held is trained again.",
            path, error, bad.name,
        )  # fmt: skip
        return None


def read_steps(path: Path) -> int:
    """How many steps the checkpoint at `path` has done, from its header alone; 0 where there is none that is whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return int(json.loads(file.metadata()["state"])["steps"])
    except (OSError, ValueError, TypeError, KeyError, SafetensorError):
        return 0


@final
class CheckpointWriter:
    """Writes one training's checkpoints, so often that minutes are lost at most and so seldom that it costs little.

    Args:
        path: where the last one is.
        always_last: whether the end of the training is kept however short it was, for another to go on from it.
    """

    def __init__(self, path: Path, *, always_last: bool = False) -> None:
        self._path, self._always_last = path, always_last
        self._since = time.monotonic()
        self._took: float | None = None

    def is_due(self) -> bool:
        """Whether to write one now, in mid-training."""
        return time.monotonic() - self._since >= max(EVERY_SECONDS, LEAST_SHARE * (self._took or 0))

    def write(self, checkpoint: Checkpoint) -> None:
        """Write it, and count how long that takes."""
        start = time.monotonic()
        checkpoint.write(self._path)
        self._since = time.monotonic()
        self._took = self._since - start

    def write_last(self, checkpoint: Checkpoint) -> None:
        """Write that of the end, if another goes on from it or training it again would take much longer."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in checkpoint.tensors.values())
        took = size / BYTES_PER_SECOND if self._took is None else self._took
        if self._always_last or time.monotonic() - self._since >= LEAST_SHARE * took:
            self.write(checkpoint)


def _sha256(written: str, tensors: Mapping[str, Tensor]) -> str:
    import torch

    sum_of_all = hashlib.sha256(written.encode())
    for name, tensor in sorted(tensors.items()):
        sum_of_all.update(name.encode())
        sum_of_all.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sum_of_all.hexdigest()


def _as_os_error(error: Exception, path: Path) -> OSError:
    """safetensors tells what the system said in words alone."""
    said = re.search(r"os error (\d+)", str(error))
    return OSError(int(said[1]), os.strerror(int(said[1])), str(path)) if said else OSError(str(error))
