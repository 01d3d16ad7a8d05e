"""Feeds what no one would write to everything that reads a file, and counts what comes of it.

Each case ends in success or in one of our errors with a message; never in another exception or a hang, and no file is
lost, changed or left over. What fails is printed once for each place in the code, with an input that does it.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings

from benchmarks.inputs import INPUTS, Case
from tuneoff.errors import TuneoffError

SECONDS_PER_CASE = 20


class HangError(BaseException):
    """A case took longer than it may; no `except Exception` may catch it."""


@dataclass
class Tally:
    """What came of the cases of one kind of input."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Case] = field(default_factory=dict)  # by what and where, the first that did it

    @property
    def cases(self) -> int:
        return sum(self.outcomes.values())


def fuzz(kind: str, cases: int, seed: int) -> Tally:
    """Try `cases` inputs of a kind of `INPUTS`; the same seed tries the same ones."""
    read, tally = INPUTS[kind], Tally()

    @hypothesis.seed(seed)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(read.cases)
    def each(case: Case) -> None:
        with tempfile.TemporaryDirectory() as folder:
            outcome = _outcome(lambda: read.attempt(case, Path(folder)))
        tally.outcomes[outcome.split(":")[0]] += 1
        if outcome.startswith("failed"):
            tally.failures.setdefault(outcome, case)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each()
    return tally


def _outcome(attempt: Callable[[], None]) -> str:
    try:
        with _limited(SECONDS_PER_CASE):
            attempt()
    except TuneoffError as error:
        return type(error).__name__ if len(str(error)) > 15 else f"failed: says only {error!s}"
    except HangError:
        return f"failed: hangs, {_where()}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"failed: {type(error).__name__}: {str(error)[:200]}, {_where()}"
    return "success"


def _where() -> str:
    """The innermost line of ours in the exception at hand."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "tuneoff" in frame.filename or "benchmarks" in frame.filename]
    last = ours[-1] if ours else frames[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def over(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    """Fuzz what the command line asks for; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="of each kind of input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"one of {', '.join(INPUTS)}")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    failures = 0
    for kind, read in INPUTS.items():
        if options.only in kind:
            tally = fuzz(kind, max(1, options.cases // read.dear), options.seed)
            counts = ", ".join(f"{outcome} {count}" for outcome, count in sorted(tally.outcomes.items()))
            print(f"{kind:10} {tally.cases:6} cases: {counts}", flush=True)
            for what, case in tally.failures.items():
                print(f"  {what}\n    {str(case)[:500]}", flush=True)
            failures += len(tally.failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
