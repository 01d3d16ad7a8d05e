"""Passes through a model on several devices: what their processes say to each other about them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import final

from torch import nn

from tuneoff.data.batches import Batch, fill_up, pack_batches
from tuneoff.models.gradient_checkpointing import uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Memory
from tuneoff.runtime.followers import Followers
from tuneoff.training.gradients import seed_step


@final
class Passes:
    """The passes of a training. With one device there are no followers, and nothing here does anything.

    Args:
        parameters: all that are ever trained. An optimizer may have frozen some of them for now.
    """

    def __init__(self, followers: Followers, model: LanguageModel, parameters: Sequence[nn.Parameter]) -> None:
        self.followers, self._model = followers, model
        ever = {id(parameter) for parameter in parameters}
        self.trained = [
            parameter for parameter in model.parameters() if id(parameter) in ever
        ]  # as followers have them
        self.missing: list[set[int]] = []  # the trained parameters without a gradient, of each follower
        self.other_bytes = 0  # peak memory of the followers in the last pass, on a CPU

    @property
    def devices(self) -> int:
        """How many there are."""
        return self.followers.devices

    @contextlib.contextmanager
    def accumulating(
        self, shares: Sequence[Sequence[Batch]], target_tokens: int, seed: tuple[int, int], example: Batch, number: int
    ) -> Iterator[Callable[[], list[float]]]:
        """Have the followers compute the gradients of their shares, while the block does so for its own.

        Args:
            shares: of each follower, on the CPU.
            target_tokens: in the whole effective batch.
            seed: of the trial, and the number of the step.
            example: any batch.
            number: of the batches of this process, of which no follower has more.

        Yields:
            What to call at the end of the block: it waits for the followers, and returns the nats of each. It raises a
            MemoryError if one ran out of memory.

        Raises:
            RunError: memory ran out where all devices have to run the same passes.
        """
        if self.devices == 1:
            yield list
            return
        if self.followers.in_step:
            shares = [fill_up(batches, number, example.to("cpu")) for batches in shares]
        values = {
            "target_tokens": target_tokens,
            "seed": seed,
            "checkpointing": uses_gradient_checkpointing(self._model.base),
            "frozen": [i for i, parameter in enumerate(self.trained) if not parameter.requires_grad],
        }
        with self.followers.passing("accumulate", values, [pack_batches(batches) for batches in shares]):
            seed_step(*seed, 0)
            yield self._receive_nats

    def _receive_nats(self) -> list[float]:
        answers = self.followers.receive()
        self.missing = [set(answer["missing"]) for answer in answers]
        self.other_bytes = sum(answer["resident_bytes"] for answer in answers)
        return [float(answer["nats"]) for answer in answers]

    @contextlib.contextmanager
    def measuring(self, phase: str) -> Iterator[Callable[[], list[Memory]]]:
        """Have the followers measure their peak memory while the block runs.

        Yields:
            What returns the peaks, at the end of the block; none if it was interrupted while they worked.
        """
        if self.devices == 1:
            yield list
            return
        self.followers.ask("begin", {"phase": phase})

        def read() -> list[Memory]:
            if not self.followers.is_idle:
                return []
            return [Memory.model_validate(answer["memory"]) for answer in self.followers.ask("end")]

        yield read
