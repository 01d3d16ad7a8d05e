"""The errors that tuneoff raises. Each message says what is wrong and how to correct it.

TuneoffError
├── RecipeError            a recipe, an override or a method that cannot be read
├── DataError              data that cannot be used
├── ModelError             a model that cannot be loaded, or not safely
├── MetricError            a metric that cannot be loaded, or that returns what no score can be
├── JudgeError             a judge that does not answer
├── RunError               a run directory that cannot be used
├── FullDiskError          a file that does not fit on the disk
├── BudgetError            a budget that is too small for any comparison
├── OutOfMemoryError       training that does not fit in memory, even with one example at a time
├── UnequalSettingsError   trials that must not be ranked together
└── RequestError           a request that a server does not take
    ├── UnknownArmError    it names no model that is served
    ├── TooLongError       its prompt and answer do not fit the model or the server
    └── QueueFullError     too many others are waiting

Each is also the built-in error that a caller would expect. The command line prints the message to standard error and
ends with exit code 2.
"""

import difflib
from collections.abc import Iterable


class TuneoffError(Exception):
    """The base class of all errors that tuneoff raises itself."""


class RecipeError(TuneoffError, ValueError):
    """A recipe, an override or a method cannot be read."""


class DataError(TuneoffError, ValueError):
    """The data cannot be used: a column is missing, a split is empty, a file is not UTF-8."""


class ModelError(TuneoffError, ValueError):
    """A model cannot be loaded, or not safely."""


class MetricError(TuneoffError, ValueError):
    """A metric cannot be loaded, or it returned what no score can be."""


class JudgeError(TuneoffError, ConnectionError):
    """A judge does not answer. What it answered before is saved."""


class RunError(TuneoffError, RuntimeError):
    """A run directory cannot be used: it belongs to another recipe, or another process uses it."""


class FullDiskError(TuneoffError, OSError):
    """A file does not fit: the disk is full, or a quota or a limit on file size is reached."""


class BudgetError(TuneoffError, ValueError):
    """A budget is too small even for the smallest comparison to which a recipe can be reduced.

    `proposed_drops` are methods without which it would be enough; empty if there is no such choice.
    """

    def __init__(self, message: str, proposed_drops: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.proposed_drops = proposed_drops


class OutOfMemoryError(TuneoffError, MemoryError):
    """Training does not fit in memory, even with one example at a time."""


class UnequalSettingsError(TuneoffError, ValueError):
    """Trials differ in more than method and seed, so they must not be ranked together."""


class RequestError(TuneoffError, ValueError):
    """A request to a server of trained models has a value that is out of range."""


class UnknownArmError(RequestError):
    """No model of this name is served. `arms` are those that are."""

    def __init__(self, message: str, arms: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.arms = arms


class TooLongError(RequestError):
    """The prompt and the answer do not fit the model's context, or the memory that the server may use."""


class QueueFullError(RequestError):
    """As many requests wait as may. Later there is room again."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelled word: the most similar known word if there is one, then all known words."""
    known = list(known)
    similar = difflib.get_close_matches(word, known, n=1)
    hint = f" Did you mean {similar[0]!r}?" if similar else ""
    return f"{hint} Available: {', '.join(known)}."
