"""The model on several devices: the process of the trial has the first, and each of its followers another one.

Every device computes the gradients of its share of a step. They are summed on the first device, which alone has the
optimizer; its new weights are copied to the others. So what a step is, what a checkpoint holds and what a method or an
optimizer may do are the same whatever the number of devices. To sum on one device and to copy from there moves as many
bytes as to sum on all of them, of which PyTorch's DistributedDataParallel consists.

With one device there are no followers, and nothing here does anything.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import final

import torch
from torch import Tensor, nn

from tuneoff.data.batches import Batch, pack_batches
from tuneoff.errors import RunError
from tuneoff.models.gradient_checkpointing import uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Memory
from tuneoff.runtime.followers import Followers
from tuneoff.training.exchange import copy_from_first, sum_gradients
from tuneoff.training.gradients import list_missing, seed_step


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


@final
class Replicas:
    """The copies of a model in training.

    Args:
        parameters: all that are ever trained.
    """

    def __init__(self, followers: Followers, model: LanguageModel, parameters: Sequence[nn.Parameter]) -> None:
        self._followers, self._model = followers, model
        trained = {id(parameter) for parameter in parameters}  # an optimizer may have frozen some of them for now
        self._trained = [parameter for parameter in model.parameters() if id(parameter) in trained]
        self._missing: list[set[int]] = []  # the trained parameters without a gradient, of each follower
        self.other_bytes = 0  # peak memory of the followers in the last pass, on a CPU

    @property
    def devices(self) -> int:
        """How many there are."""
        return self._followers.devices

    @contextlib.contextmanager
    def accumulating(
        self, shares: Sequence[Sequence[Batch]], target_tokens: int, seed: tuple[int, int]
    ) -> Iterator[Callable[[], list[float]]]:
        """Have the followers compute the gradients of their shares, while the block does so for its own.

        Args:
            shares: of each follower, on the CPU.
            target_tokens: in the whole effective batch.
            seed: of the trial, and the number of the step.

        Yields:
            What to call at the end of the block: it waits for the followers, and returns the nats of each. It raises a
            MemoryError if one ran out of memory.
        """
        if self.devices == 1:
            yield list
            return
        values = {
            "target_tokens": target_tokens,
            "seed": seed,
            "checkpointing": uses_gradient_checkpointing(self._model.base),
            "frozen": [i for i, parameter in enumerate(self._trained) if not parameter.requires_grad],
        }
        self._followers.send("accumulate", values, [pack_batches(batches) for batches in shares])
        seed_step(*seed, 0)

        def receive() -> list[float]:
            answers = self._followers.receive()
            self._missing = [set(answer["missing"]) for answer in answers]
            self.other_bytes = sum(answer["resident_bytes"] for answer in answers)
            return [float(answer["nats"]) for answer in answers]

        yield receive

    def sum_gradients(self) -> None:
        """Sum the gradients of all devices on this one. A parameter that has none anywhere has none afterwards."""
        if self.devices == 1:
            return
        missing = set(list_missing(self._trained)).intersection(*self._missing)
        with self._followers.exchanging("sum", {"missing": sorted(missing)}):
            sum_gradients([p for i, p in enumerate(self._trained) if i not in missing])

    def copy_trained(self) -> None:
        """Give the followers this device's trained weights."""
        if self.devices > 1:
            with self._followers.exchanging("copy", {"all": False}):
                copy_from_first(self._trained)

    @contextlib.contextmanager
    def measuring(self, phase: str) -> Iterator[Callable[[], list[Memory]]]:
        """Have the followers measure their peak memory while the block runs.

        Yields:
            What returns the peaks, at the end of the block; none if it was interrupted while they worked.
        """
        if self.devices == 1:
            yield list
            return
        self._followers.ask("begin", {"phase": phase})

        def read() -> list[Memory]:
            if not self._followers.is_idle:
                return []
            return [Memory.model_validate(answer["memory"]) for answer in self._followers.ask("end")]

        yield read


@contextlib.contextmanager
def share_model(model: LanguageModel, followers: Followers) -> Iterator[None]:
    """Give the followers the model for the time of the block, in which each process has its part of the CPU threads.

    They were told to build it already. Here they get the same numbers to the last bit, whatever a method draws or
    computes.

    Raises:
        RunError: a follower has built another model.
    """
    if followers.devices == 1:
        yield
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
        yield
        followers.ask("rest")
    finally:
        torch.set_num_threads(threads)
