"""From a trainer to a checkpoint and back, exact to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing, uses_gradient_checkpointing
from tuneoff.records.record import Epoch
from tuneoff.training import rng_state
from tuneoff.training.best_epoch import BestEpoch
from tuneoff.training.checkpoint import Checkpoint
from tuneoff.training.running_sums import RunningSums
from tuneoff.training.trainer import Trainer


def build_checkpoint(trial: str, trainer: Trainer, curve: Sequence[Epoch], best: BestEpoch) -> Checkpoint:
    """Return everything the next step of a trial depends on, and the results so far."""
    optimizer = trainer.devices.read_optimizer()
    tensors = {f"trained/{i}": weight for i, weight in enumerate(trainer.devices.read_weights())}
    state = dict(_flatten(optimizer["state"], "optimizer"))
    tensors |= {path: value for path, value in state.items() if isinstance(value, Tensor)}
    if best.epoch != trainer.completed_epochs:  # otherwise they are the trained ones
        tensors |= {f"best/{i}": weight for i, weight in enumerate(best.weights)}
    tensors |= {f"random/{name}": state for name, state in rng_state.get_states(trainer.context.device).items()}
    return Checkpoint(
        trial=trial,
        steps=trainer.completed_steps,
        micro_batch=trainer.micro_batch.size,
        gradient_checkpointing=uses_gradient_checkpointing(trainer.language_model.base),
        curve=tuple(curve),
        sums=trainer.sums.to_dict(),
        memory=trainer.context.meter.get_peaks(),
        best_epoch=best.epoch,
        best_loss=best.loss if best.epoch else None,
        groups=[{k: v for k, v in group.items() if k != "params"} for group in optimizer["param_groups"]],
        values={path: value for path, value in state.items() if path not in tensors},
        tensors=_separate({name: tensor.cpu() for name, tensor in tensors.items()}),
    )


def restore_checkpoint(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Put a new trainer, and every random number generator, into the state at the checkpoint."""
    trainer.completed_steps = checkpoint.steps
    trainer.sums = RunningSums(**{"part_steps": trainer.sums.part_steps} | checkpoint.sums)
    trainer.micro_batch.size = checkpoint.micro_batch
    if checkpoint.gradient_checkpointing:
        set_gradient_checkpointing(trainer.language_model.base, True)
    trainer.context.meter.include_peaks(checkpoint.memory)
    weights = checkpoint.select_tensors("trained")
    trainer.devices.write_weights([weights[str(i)] for i in range(len(weights))])
    _restore_optimizer(trainer, checkpoint)
    rng_state.restore_states(checkpoint.select_tensors("random"), trainer.context.device)


def _restore_optimizer(trainer: Trainer, checkpoint: Checkpoint) -> None:
    state: dict[int | str, dict[str, Any]] = {}
    tensors = {path: tensor for path, tensor in checkpoint.tensors.items() if path.startswith("optimizer/")}
    for path, value in {**checkpoint.values, **tensors}.items():
        _, key, *parents, name = path.split("/")
        inner = state.setdefault(int(key) if key.isdecimal() else key, {})
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = value
    groups = [
        {**stored, "params": group["params"]}
        for stored, group in zip(checkpoint.groups, trainer.optimizer.state_dict()["param_groups"], strict=True)
    ]
    trainer.devices.write_optimizer({"state": state, "param_groups": groups})


def _flatten(state: Mapping[Any, Any], path: str) -> Iterator[tuple[str, Any]]:  # Any: an optimizer's own types
    """Yield the values of nested mappings, each with its keys as a path."""
    for key, value in state.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{path}/{key}")
        else:
            yield f"{path}/{key}", value


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give each tensor memory of its own, without which safetensors would not write it."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if tensor.numel() and address in seen else tensor
        seen.add(address)
    return separate
