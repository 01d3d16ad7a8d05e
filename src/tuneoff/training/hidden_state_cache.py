"""What the frozen part of a model makes of a split, computed once: in a training it never changes.

For a method that trains the head alone that is what the head is given at the scored positions; for one that trains the
uppermost blocks, what enters the lowest of them at every position. Kept on disk, memory-mapped, and shared by all
epochs, rates and seeds. What computing it took is kept with it and charged to every training that uses it, so that a
cost stays what one training alone would cost.
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
from tuneoff.data.statistics import compute_fingerprint, count_tokens
from tuneoff.models.frozen_prefix import TrunkOutputs
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.probe import can_reuse_trunk
from tuneoff.runtime.progress import Progress
from tuneoff.system.atomic_write import replace_atomically
from tuneoff.system.cache import get_cache_folder

if TYPE_CHECKING:
    from datasets import Dataset

    from tuneoff.runtime.context import TrialContext

LIMIT = 4 * 2**30  # bytes of all that is kept; what was used longest ago goes first
BATCH = 16  # examples in one pass


@dataclass(frozen=True)
class TrunkCache:
    """Finds or makes the outputs of one trunk.

    Args:
        key: all that decides them besides the split: weights, precision, device, versions.
        limit: bytes on disk.
        folder: where they are kept.
    """

    key: str
    limit: int = LIMIT
    folder: Path = field(default_factory=lambda: get_cache_folder() / "trunk")

    def outputs(self, model: LanguageModel, split: Dataset, loss_on: str, context: TrialContext) -> TrunkOutputs | None:
        """The split's outputs; None where they change in training, or would not fit under the limit."""
        frozen = model.frozen_blocks
        if not frozen or not self._is_enough(model, context):
            return None
        positions = _count_positions(model, split, loss_on)
        whole = hashlib.sha256(
            json.dumps([self.key, frozen, positions, compute_fingerprint({"train": split})]).encode()
        )
        path = self.folder / f"{whole.hexdigest()[:32]}.safetensors"
        found = _read(path)
        if found is None:
            if sum(positions) * model.width * 4 > self.limit:
                return None
            found = _compute(model, split, loss_on, context)
            _write(found, path)
            _evict(self.folder, self.limit, path)
        return found

    @staticmethod
    def _is_enough(model: LanguageModel, context: TrialContext) -> bool:
        with context.accelerator.autocast():
            return can_reuse_trunk(model)


def _count_positions(model: LanguageModel, split: Dataset, loss_on: str) -> list[int]:
    """How many positions of each row are kept: the scored ones for the head, else all."""
    lengths = count_tokens(split)
    if model.frozen_blocks < len(model.blocks):
        return lengths
    unscored = split["prompt_tokens"] if loss_on == "target" else [1] * len(lengths)
    return [length - before for length, before in zip(lengths, unscored, strict=True)]


@torch.no_grad()
def _compute(model: LanguageModel, split: Dataset, loss_on: str, context: TrialContext) -> TrunkOutputs:
    by_row: dict[int, Tensor] = {}
    positions = _count_positions(model, split, loss_on)
    model.eval()
    start = time.perf_counter()
    with context.meter.phase("training"), context.accelerator.autocast():
        for rows in make_evaluation_batches(count_tokens(split), BATCH):
            batch = collate(split, rows, model.tokenizer.pad_token_id, loss_on, context.device)
            hidden_ND = model.trunk(batch.tokens_BT, batch.attention_BT, batch.scored_BT).cpu()
            of_rows = torch.split(hidden_ND, [positions[row] for row in rows])
            by_row.update(zip(rows, of_rows, strict=True))
            context.on_progress(Progress(phase="trunk", done=len(by_row), of=len(split)))
    seconds = time.perf_counter() - start
    in_order = [by_row[row] for row in range(len(split))]
    return TrunkOutputs(torch.cat(in_order), list(accumulate(map(len, in_order))), seconds)


def _write(outputs: TrunkOutputs, path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {"hidden": outputs.hidden_ND, "ends": torch.tensor(outputs.ends)}
    with replace_atomically(path) as temporary:
        save_file(tensors, temporary, {"seconds": repr(outputs.seconds), "sha256": _digest(outputs)})


def _read(path: Path) -> TrunkOutputs | None:
    """What was written, mapped; None where there is nothing. A damaged file is removed, with a message."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            found = TrunkOutputs(
                file.get_tensor("hidden"), file.get_tensor("ends").tolist(), float(file.metadata()["seconds"])
            )
            whole = file.metadata()["sha256"] == _digest(found)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        logging.getLogger(__name__).warning("%s is damaged: it is removed, and its content computed again.", path)
        path.unlink(missing_ok=True)
        return None
    path.touch()
    return found


def _digest(outputs: TrunkOutputs) -> str:
    digest = hashlib.sha256(outputs.hidden_ND.contiguous().view(torch.uint8).numpy().data)
    digest.update(repr(list(outputs.ends)).encode())
    return digest.hexdigest()


def _evict(folder: Path, limit: int, but: Path) -> None:
    """Remove what was used longest ago, until the rest is within the limit."""
    files = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file, bytes_so_far in zip(files, accumulate(file.stat().st_size for file in files), strict=True):
        if bytes_so_far > limit and file != but:
            file.unlink(missing_ok=True)
