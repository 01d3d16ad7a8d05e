"""A metric of the user's own: a Python function that gives one number for each example.

The function is loaded when something must be scored, so that a stored run is shown without it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from tuneoff.config.metrics import MetricOptions
from tuneoff.errors import MetricError
from tuneoff.metrics.metric import Answer, Metric, Scores

Function = Callable[[str, list[str], Mapping[str, Any]], Any]  # Any: what a user returns is checked

SHOWN = 60  # characters of a source in a message


@cache  # equal options give the same metric
def make_own_metric(name: str, options: MetricOptions) -> Metric:
    """Return the metric of a function of the user's own."""
    assert options.function is not None, "only called for one's own metrics"
    margin = options.margin or 0.0
    return Metric(
        name=name,
        title=options.title or name,
        unit=options.unit or "",
        meaning=f"The function {options.function}, mean over test examples.",
        higher_is_better=options.direction != "lower",
        needs="text",
        decimals=3 if options.decimals is None else options.decimals,
        margin=lambda _: margin,
        score=partial(_score, name, options.function),
        is_tried=True,
    )


def hash_function(function: str) -> str:
    """Return the checksum of the file that a function is in.

    Raises:
        MetricError: the function cannot be loaded.
    """
    load_function(function)
    return hashlib.sha256(_find_file(function).read_bytes()).hexdigest()


def load_function(function: str) -> Function:
    """Load a function written as `file.py:score` or `package.module:score`.

    Raises:
        MetricError: the file, the module or the function does not exist, or the file fails.
    """
    place, _, name = function.rpartition(":")
    try:
        module = _load_file(Path(place)) if _is_file(place) else importlib.import_module(place)
    except MetricError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise MetricError(f"The metric {function} cannot be loaded: {type(error).__name__}: {error}.") from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise MetricError(f"{place} has no function {name!r}. It has {', '.join(known) or 'none'}.")
    return found  # type: ignore[no-any-return]  # of the user


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _find_file(function: str) -> Path:
    place = function.rpartition(":")[0]
    if _is_file(place):
        return Path(place)
    file = sys.modules[place].__file__
    if file is None:
        raise MetricError(f"The metric {function} is in a package without a file. Name a module.")
    return Path(file)


def _load_file(path: Path) -> Any:  # Any: a module
    if not path.is_file():
        raise MetricError(f"There is no file {path} with a metric. The path is relative to the current directory.")
    spec = importlib.util.spec_from_file_location(f"tuneoff_metric_{path.stem}", path)
    assert spec is not None, "a file that ends in .py has a loader"
    assert spec.loader is not None, "a file that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _score(name: str, function: str, answers: Sequence[Answer]) -> Scores:
    score = load_function(function)
    return Scores(values=[_score_one(name, score, place, answer) for place, answer in enumerate(answers)])


def _score_one(name: str, score: Function, place: int, answer: Answer) -> float:
    try:
        value = score(answer.prediction, list(answer.references), answer.row)
    except Exception as error:  # the user's code may raise anything
        raise MetricError(
            f"The metric {name} failed on {_name_row(place, answer)}: {type(error).__name__}: {error}"
        ) from error
    try:
        return float(value)
    except (TypeError, ValueError):
        raise MetricError(
            f"The metric {name} returned {value!r} for {_name_row(place, answer)}. Return a number, or True or False."
        ) from None


def _name_row(place: int, answer: Answer) -> str:
    source = " ".join(answer.source.split())
    return f"row {place} of the split ({source[:SHOWN]!r}{'…' if len(source) > SHOWN else ''})"
