"""When memory runs out: fewer examples go through the model at once, and the effective batch stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tuneoff.errors import OutOfMemoryError

Done = TypeVar("Done")


@dataclass
class MicroBatch:
    """How many examples are in one forward pass: as many as were asked for, or half of it as often as needed."""

    size: int

    def fitting(self, work: Callable[[int], Done], undo: Callable[[], object] = lambda: None) -> Done:
        """What `work` gives with the size, halved and begun anew until it fits. A size that did not fit is not
        tried again.

        Args:
            work: what to do with so many examples at once.
            undo: takes back what a work left that was broken off.

        Raises:
            OutOfMemoryError: one example at a time does not fit.
        """
        from accelerate.utils.memory import clear_device_cache

        while True:
            try:
                return work(self.size)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            # not within `except`, where the error's traceback still holds what did not fit
            undo()
            clear_device_cache(garbage_collection=True)
            if self.size == 1:
                raise OutOfMemoryError(
                    "One example at a time does not fit into memory with this method. Lower data.max_tokens, which "
                    "needs less for each example; take a smaller model, or a method that trains less of it."
                )
            self.size //= 2


def _is_out_of_memory(error: Exception) -> bool:
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, MemoryError) or should_reduce_batch_size(error)
