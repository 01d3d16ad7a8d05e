"""A training put aside: all that it needs to go on as if it had never stopped, as safetensors and JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.errors import RunError
from tuneoff.trial import Epoch

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a training stands after some steps, between two of them."""

    steps: int
    curve: tuple[Epoch, ...]
    best_epoch: float  # 0: none yet
    best_loss: float | None
    schedule: dict[str, Any]  # Any: torch's own state of a schedule
    groups: list[dict[str, Any]]  # the optimizer's parameter groups, without the parameters
    tensors: dict[str, Tensor] = field(repr=False)  # on the CPU, by "what/which"

    def part(self, what: str) -> dict[str, Tensor]:
        """The tensors of one kind, such as "trained", by what stands after the kind."""
        return {name.removeprefix(f"{what}/"): t for name, t in self.tensors.items() if name.startswith(f"{what}/")}

    def write(self, folder: Path) -> None:
        """Put the checkpoint at `folder`, whole or not at all; another that was there is replaced."""
        from safetensors.torch import save_file

        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, unfinished / TENSORS)
        state = {name: value for name, value in vars(self).items() if name not in {"tensors", "curve"}}
        state["curve"] = [row.model_dump(mode="json") for row in self.curve]
        (unfinished / STATE).write_text(json.dumps(state), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint at `folder`; None where there is none.

    Raises:
        RunError: there is one, and it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not folder.is_dir():
        return None
    try:
        state = json.loads((folder / STATE).read_text("utf-8"))
        curve = tuple(Epoch.model_validate(row) for row in state.pop("curve"))
        return Checkpoint(curve=curve, tensors=load_file(folder / TENSORS), **state)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise RunError(
            f"The checkpoint {folder} cannot be read: {error}. Remove it, and its training begins anew."
        ) from error
