"""Out-of-memory errors: the micro-batch gets smaller, the effective batch size stays the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tuneoff.errors import OutOfMemoryError
from tuneoff.runtime.meter import get_peak_resident_bytes

Result = TypeVar("Result")


def require_free_memory(limit_bytes: int, missing_bytes: float) -> None:
    """Check the process's peak memory since the last reset, plus the optimizer state that is still to be allocated.

    A GPU raises an error when its memory runs out. On a CPU the system would kill the process, so this raises first.

    Args:
        missing_bytes: of the optimizer's state, which it creates in the first step.

    Raises:
        MemoryError: together they exceed the limit.
    """
    needed_bytes = get_peak_resident_bytes() + missing_bytes
    if needed_bytes > limit_bytes:
        raise MemoryError(f"{needed_bytes / 1e6:,.0f} MB of {limit_bytes / 1e6:,.0f} MB")


@dataclass
class MicroBatch:
    """The number of examples in one forward pass, halved whenever memory runs out.

    Args:
        size: examples at first.
        last_resort: called once, when a single example does not fit, to reduce the memory it needs.
    """

    size: int
    last_resort: Callable[[], None] | None = None

    def run_until_it_fits(self, work: Callable[[int], Result], undo: Callable[[], object] = lambda: None) -> Result:
        """Call `work` with the size, and again with half of it until memory suffices. The smaller size stays.

        Args:
            work: gets the number of examples to process at once.
            undo: removes the effects of a failed call.

        Raises:
            OutOfMemoryError: a single example does not fit.
        """
        from accelerate.utils.memory import clear_device_cache

        while True:
            try:
                return work(self.size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).split(". ")[0]
            # outside of `except`, where the error's traceback still references the tensors
            undo()
            clear_device_cache(garbage_collection=True)
            if self.size > 1:
                self.size //= 2
            elif self.last_resort:
                self.last_resort()
                self.last_resort = None
            else:
                raise OutOfMemoryError(
                    f"One example at a time does not fit into memory with this method ({reason}). Lower "
                    "data.max_tokens, choose a smaller model or a method that trains fewer parameters, and leave "
                    "training.gradient_checkpointing at auto."
                )


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of a forward or backward pass says that memory ran out."""
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, MemoryError) or should_reduce_batch_size(error)
