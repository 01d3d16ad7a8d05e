"""`datasets` without its progress bars, and with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuneoff.errors import DataError


@contextmanager
def hide_progress_bars() -> Iterator[None]:
    """Disable the progress bars of `datasets` and of the hub's client inside the block."""
    import datasets
    import huggingface_hub.utils as hub

    enabled = [library for library in (datasets, hub) if not library.are_progress_bars_disabled()]
    for library in enabled:
        library.disable_progress_bars()
    try:
        yield
    finally:
        for library in enabled:
            library.enable_progress_bars()


@contextmanager
def explain_read_errors(name: str, cure: str) -> Iterator[None]:
    """Turn any error of `datasets` inside the block into a DataError.

    `datasets` passes on the errors of its many readers, so no narrower class covers them.
    """
    from datasets.exceptions import DatasetNotFoundError

    try:
        yield
    except DataError:
        raise
    except DatasetNotFoundError as error:
        raise DataError(
            f"{name} is neither on the hub nor a local folder, or it is private ({_get_first_line(error)}). "
            "Check the spelling; for a private data set run: hf auth login"
        ) from error
    except ConnectionError as error:
        raise DataError(
            f"{name} could not be reached ({_get_first_line(error)}) and is not in the cache. Connect to the network "
            "once to fill the cache; then HF_HUB_OFFLINE=1 works without a network. Or use a local file: source: files"
        ) from error
    except Exception as error:
        raise DataError(f"{name} cannot be read: {_get_first_line(_find_origin(error))}. {cure}") from error


def _find_origin(error: BaseException) -> BaseException:
    """Return the first cause: `datasets` wraps it in an error that says only that generating failed."""
    return _find_origin(error.__cause__) if error.__cause__ else error


def _get_first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
