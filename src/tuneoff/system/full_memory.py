"""Recognize that memory ran out, whichever library reports it, and explain how to continue."""

from __future__ import annotations

import errno
import re
import resource

MESSAGES = re.compile(
    r"out of memory|can(?:not|'t|not) allocate|unable to allocate|allocation (?:still )?failed|failed to allocate"
    r"|bad_alloc|not enough memory|openblas.*(?:memory|thread)|pthread_create failed|can't start new thread"
    r"|failed to map segment|unable to mmap|mmap failed|os error 12\b",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error, or the error that caused it, says that memory ran out."""
    if error is None:
        return False
    is_named = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    return is_named or bool(MESSAGES.search(str(error))) or is_out_of_memory(error.__cause__ or error.__context__)


def explain_full_memory(error: BaseException) -> str:
    """Return what happened and what helps, in one line."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    allowed = (
        f" This process may use {limit / 1e9:,.1f} GB of address space (ulimit -v), and libraries reserve more than "
        "they use: raise that limit."
        if limit != resource.RLIM_INFINITY
        else ""
    )
    detail = " ".join(str(error).split())
    shown = f" ({type(error).__name__}: {detail[:300]})" if detail else f" ({type(error).__name__})"
    return (
        f"Memory ran out{shown}.{allowed} A smaller model, training.batch_size or data.max_tokens needs less. Finished "
        "work is kept, and the same command continues."
    )
