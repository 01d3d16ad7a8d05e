"""What goes wrong, said so that the reader knows what to do next.

TuneoffError
├── RecipeError            a recipe, an override or a method that cannot be read
├── DataError              text that cannot be used
├── ModelError             weights that cannot be loaded, or not safely
├── RunError               a run directory that cannot be used
├── FullDiskError          a file for which there is no room
├── BudgetError            a budget that buys not even the smallest comparison
├── OutOfMemoryError       a training that does not fit, not even one example at a time
└── UnequalSettingsError   trials that must not be ranked together

Each is also the standard error that a caller would expect. The command line turns all of them into one
message on standard error and exit code 2.
"""

import difflib
from collections.abc import Iterable


class TuneoffError(Exception):
    """The base of everything that tuneoff raises by itself."""


class RecipeError(TuneoffError, ValueError):
    """A recipe, an override or a method that cannot be read."""


class DataError(TuneoffError, ValueError):
    """Text that cannot be used: a missing column, an empty split, a file that is not UTF-8."""


class ModelError(TuneoffError, ValueError):
    """Weights that cannot be loaded, or not safely."""


class RunError(TuneoffError, RuntimeError):
    """A run directory that cannot be used: made by another recipe, or in use by another process."""


class FullDiskError(TuneoffError, OSError):
    """A file for which there is no room: on its disk, in the user's share of it, or under a limit on length."""


class BudgetError(TuneoffError, ValueError):
    """A budget that buys not even the smallest comparison that a recipe can be cut to."""


class OutOfMemoryError(TuneoffError, MemoryError):
    """A training that does not fit into memory, not even one example at a time."""


class UnequalSettingsError(TuneoffError, ValueError):
    """Trials that differ in more than their method and seed, and so must not be ranked together."""


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, then all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} There are: {', '.join(known)}."
