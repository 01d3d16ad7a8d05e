"""A model that the devices of a training share: how they get the same numbers, and who holds what."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tuneoff.errors import RunError
from tuneoff.models.language_model import LanguageModel
from tuneoff.optimizers import ParameterGroups
from tuneoff.runtime.context import TrialContext
from tuneoff.training.exchange import copy_from_first
from tuneoff.training.sharding import find_groups, name_groups, shard_model
from tuneoff.training.spec import TrainingSpec


def list_state(model: LanguageModel) -> list[Tensor]:
    """Return all tensors that decide what a model computes, in an order that is the same on every device."""
    return [*model.parameters(), *model.buffers()]


def list_trained(model: LanguageModel) -> list[nn.Parameter]:
    """Return the trainable parameters, in an order that is the same on every device."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def identify_state(model: LanguageModel) -> str:
    """Return the same for models whose tensors have the same shapes and are trained alike."""
    described = [(tuple(t.shape), str(t.dtype), t.requires_grad) for t in list_state(model)]
    return hashlib.sha256(repr(described).encode()).hexdigest()


@dataclass(frozen=True)
class Trained:
    """A model as it is trained, with its trainable parameters by multiple of the learning rate."""

    model: LanguageModel
    groups: ParameterGroups


@contextlib.contextmanager
def share_model(
    model: LanguageModel, groups: ParameterGroups, spec: TrainingSpec, context: TrialContext
) -> Iterator[Trained]:
    """Yield what this process trains: the model, or its part of a copy that is divided among the devices.

    The followers were told to build the model already. Here they get the same numbers to the last bit, whatever a
    method draws or computes, and each process has its part of the CPU threads.

    Raises:
        RunError: a follower has built another model.
    """
    followers = context.followers
    if followers.devices == 1:
        yield Trained(model, groups)
        return
    threads = torch.get_num_threads()
    own = max(1, threads // followers.devices)
    torch.set_num_threads(own)
    try:
        followers.receive()  # they have built it
        built = followers.ask("describe", {"threads": own, "blocks_return_tuples": model.blocks_return_tuples})
        if any(answer["state"] != identify_state(model) for answer in built):
            followers.close()
            raise RunError(
                "The devices have built models of different shapes, so they cannot train one. The method depends on "
                "something that differs between processes: train it with training.devices: 1."
            )
        with followers.exchanging("copy", {"all": True}):
            copy_from_first(list_state(model))
        yield _divide(model, groups, spec, context) if followers.in_step else Trained(model, groups)
        followers.ask("rest")
    finally:
        torch.set_num_threads(threads)


def _divide(model: LanguageModel, groups: ParameterGroups, spec: TrainingSpec, context: TrialContext) -> Trained:
    """Divide a copy of a model among the devices."""
    named = name_groups(groups, model)
    values = {
        "groups": named, "optimizer": spec.optimizer.name, "rate": spec.learning_rate, "decay": spec.weight_decay,
    }  # fmt: skip
    with context.followers.exchanging("shard", values):
        sharded = shard_model(copy.deepcopy(model), context.device)
    return Trained(sharded, find_groups(named, sharded))
