"""The outputs of a model's frozen part for a split, computed once and stored on disk.

They are the same at every step of a training. For a method that trains only the head, they are the head's inputs at the
scored positions; for one that trains the last blocks, the inputs of the first of those at every position. The file is
memory-mapped and shared by all epochs, learning rates and seeds. It includes the seconds that computing it took, which
count for every training that uses it, so that each training's cost is what it would cost alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tuneoff.data.batches import collate, make_evaluation_batches
from tuneoff.data.statistics import compute_fingerprint, count_scored, count_tokens
from tuneoff.models.frozen_prefix import TrunkOutputs
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.probe import can_reuse_trunk
from tuneoff.runtime.progress import Progress
from tuneoff.system.atomic_write import replace_atomically
from tuneoff.system.cache import HIDDEN_STATES_MAX_BYTES, get_cache_folder

if TYPE_CHECKING:
    from datasets import Dataset

    from tuneoff.runtime.context import TrialContext

BATCH_SIZE = 16  # examples in one forward pass


@dataclass(frozen=True)
class TrunkCache:
    """The stored outputs of one model's trunk.

    Args:
        key: everything that determines them besides the split: weights, precision, device, versions.
        max_bytes: on disk.
    """

    key: str
    max_bytes: int = HIDDEN_STATES_MAX_BYTES
    folder: Path = field(default_factory=lambda: get_cache_folder() / "trunk")

    def get_outputs(
        self, model: LanguageModel, split: Dataset, loss_on: str, context: TrialContext
    ) -> TrunkOutputs | None:
        """Return the split's outputs; None where training changes them, or where they exceed `max_bytes`.

        None too where each device holds a part of the model: here the whole of it may not fit onto one.
        """
        frozen_blocks = model.frozen_blocks
        if not frozen_blocks or context.followers.in_step or not self._can_be_used(model, context):
            return None
        positions = _count_positions(model, split, loss_on)
        key = json.dumps([self.key, frozen_blocks, positions, compute_fingerprint({"train": split})])
        path = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
        outputs = _read(path, key)
        if outputs is None:
            if sum(positions) * model.width * 4 > self.max_bytes:
                return None
            outputs = _compute(model, split, loss_on, context)
            _write(outputs, path, key)
            _evict(self.folder, self.max_bytes, keep=path)
        return outputs

    @staticmethod
    def _can_be_used(model: LanguageModel, context: TrialContext) -> bool:
        with context.accelerator.autocast():
            return can_reuse_trunk(model)


def _count_positions(model: LanguageModel, split: Dataset, loss_on: str) -> list[int]:
    """Return how many positions of each row are stored: for the head the scored ones, for blocks all."""
    lengths = count_tokens(split)
    if model.frozen_blocks < len(model.blocks):
        return lengths
    return count_scored(split) if loss_on == "target" else [length - 1 for length in lengths]


@torch.no_grad()
def _compute(model: LanguageModel, split: Dataset, loss_on: str, context: TrialContext) -> TrunkOutputs:
    by_row: dict[int, Tensor] = {}
    positions = _count_positions(model, split, loss_on)
    model.eval()
    context.on_progress(Progress(phase="trunk", of=len(split)))
    start = time.perf_counter()
    with context.meter.phase("training"), context.accelerator.autocast():
        for rows in make_evaluation_batches(count_tokens(split), BATCH_SIZE):
            batch = collate(split, rows, model.tokenizer.pad_token_id, loss_on, context.device)
            hidden_ND = model.trunk(batch.tokens_BT, batch.attention_BT, batch.scored_BT).cpu()
            by_row.update(zip(rows, torch.split(hidden_ND, [positions[row] for row in rows]), strict=True))
            context.on_progress(Progress(phase="trunk", done=len(by_row), of=len(split)))
    seconds = time.perf_counter() - start
    in_order = [by_row[row] for row in range(len(split))]
    return TrunkOutputs(torch.cat(in_order), list(accumulate(map(len, in_order))), seconds)


def _write(outputs: TrunkOutputs, path: Path, key: str) -> None:
    from safetensors.torch import save_file

    tensors = {"hidden": outputs.hidden_ND, "ends": torch.tensor(outputs.ends)}
    with replace_atomically(path) as temporary:
        save_file(tensors, temporary, {"seconds": repr(outputs.seconds), "sha256": _compute_sha256(outputs, key)})


def _read(path: Path, key: str) -> TrunkOutputs | None:
    """Return the stored outputs, memory-mapped; None without a file.

    A file that is damaged, or that another key belongs to, is removed with a warning.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            outputs = TrunkOutputs(
                file.get_tensor("hidden"), file.get_tensor("ends").tolist(), float(file.metadata()["seconds"])
            )
            is_intact = file.metadata()["sha256"] == _compute_sha256(outputs, key)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        is_intact = False
    if not is_intact:
        logging.getLogger(__name__).warning("%s is damaged. It was removed, and its content is computed again.", path)
        path.unlink(missing_ok=True)
        return None
    path.touch()
    return outputs


def _compute_sha256(outputs: TrunkOutputs, key: str) -> str:
    digest = hashlib.sha256(key.encode())
    digest.update(outputs.hidden_ND.contiguous().view(torch.uint8).numpy().data)
    digest.update(repr((list(outputs.ends), outputs.seconds)).encode())
    return digest.hexdigest()


def _evict(folder: Path, max_bytes: int, keep: Path) -> None:
    """Remove the least recently used files until the others fit into `max_bytes`."""
    files = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file, total_bytes in zip(files, accumulate(file.stat().st_size for file in files), strict=True):
        if total_bytes > max_bytes and file != keep:
            file.unlink(missing_ok=True)
