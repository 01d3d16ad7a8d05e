"""Failures of libraries in Rust."""


def is_panic(error: BaseException) -> bool:
    """Return whether a library in Rust failed: with no `Exception`, and with a class of its own for each library."""
    return type(error).__name__ == "PanicException"
