"""When memory runs out: fewer examples go through the model at once, and the effective batch stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tuneoff.errors import OutOfMemoryError
from tuneoff.runtime.meter import peak_resident_bytes

Done = TypeVar("Done")
STATE_BYTES = 8  # AdamW's two moments of one trained number, which come with the first step


def require_free_memory(limit: int, numbers: int) -> None:
    """Refuse what a CPU's process has needed since its high-water mark was restarted, and its optimizer will: a card
    says when its memory runs out, and a system ends the process.

    Args:
        limit: bytes.
        numbers: how many are trained whose optimizer's state is still to come.

    Raises:
        MemoryError: it is more than the limit.
    """
    needed = peak_resident_bytes() + STATE_BYTES * numbers
    if needed > limit:
        raise MemoryError(f"{needed / 1e6:,.0f} MB of {limit / 1e6:,.0f} MB")


@dataclass
class MicroBatch:
    """How many examples are in one forward pass: as many as were asked for, or half of it as often as needed.

    Args:
        size: examples.
        last_resort: what is done, once, where one example does not fit, to need less memory for it.
    """

    size: int
    last_resort: Callable[[], None] | None = None

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
                said = str(error).split(". ")[0]
            # not within `except`, where the error's traceback still holds what did not fit
            undo()
            clear_device_cache(garbage_collection=True)
            if self.size > 1:
                self.size //= 2
            elif self.last_resort:
                self.last_resort()
                self.last_resort = None
            else:
                raise OutOfMemoryError(
                    f"One example at a time does not fit into memory with this method ({said}). Lower data.max_tokens, "
                    "which needs less for each example; take a smaller model, or a method that trains less of it; and "
                    "leave training.gradient_checkpointing to auto."
                )


def _is_out_of_memory(error: Exception) -> bool:
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, MemoryError) or should_reduce_batch_size(error)
