"""What a search tried and what it chose: pure, from a recipe and the records of its search trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.methods.space import Space
from tuneoff.trial import Record


@dataclass(frozen=True, kw_only=True)
class Try:
    """One configuration, as far as it was trained."""

    hyperparameters: Mapping[str, Any]  # all of the method's
    values: Mapping[str, Any]  # of the knobs that are searched
    scores: tuple[float | None, ...]  # of the search's metric on validation, at each rung it reached; None: diverged
    records: tuple[Record, ...]  # one for each rung it reached
    widened: bool  # drawn after the learning-rate range was widened, and not from the declared space


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search of one method."""

    label: str
    space: Space  # as declared
    widened: Space  # as it was in the end; equal to `space` unless an edge was best
    tries: tuple[Try, ...]  # in the order drawn
    chosen: Try | None  # None: not finished, or nothing came to a score
    on_edge: str | None  # "low" or "high": no learning rate beyond the chosen one was tried
    tokens: int  # real tokens trained, over all tries
    train_seconds: float
