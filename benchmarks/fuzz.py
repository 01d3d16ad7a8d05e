"""Feed invalid input to everything that reads a file, and count the outcomes.

Every case must end in success or in one of our errors with a message. Another exception, a hang, or a file that is
lost, changed or left over is a failure. Each failure is printed once per place in the code, with an input that causes
it.
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

from benchmarks.inputs import INPUTS as TEXT_INPUTS
from benchmarks.inputs import Case
from benchmarks.model_inputs import MODEL_INPUTS
from tuneoff.errors import TuneoffError

INPUTS = TEXT_INPUTS | MODEL_INPUTS
SECONDS_PER_CASE = 20
SHORTEST_MESSAGE = 16  # characters; a shorter error message cannot explain anything


class HangError(BaseException):
    """A case took too long. This is no Exception, so that no `except Exception` catches it."""


@dataclass
class Tally:
    """The outcomes of the cases of one kind of input."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Case] = field(default_factory=dict)  # the first case that causes it, by error and place

    @property
    def cases(self) -> int:
        return sum(self.outcomes.values())


def fuzz(kind: str, cases: int, seed: int) -> Tally:
    """Try `cases` inputs of one kind in `INPUTS`. The same seed tries the same inputs."""
    source, tally = INPUTS[kind], Tally()

    @hypothesis.seed(seed)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(source.cases)
    def try_case(case: Case) -> None:
        with tempfile.TemporaryDirectory() as folder:
            outcome = _find_outcome(lambda: source.read(case, Path(folder)))
        tally.outcomes[outcome.split(":")[0]] += 1
        if outcome.startswith("failed"):
            tally.failures.setdefault(outcome, case)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try_case()
    return tally


def _find_outcome(read: Callable[[], None]) -> str:
    try:
        with _limit_seconds(SECONDS_PER_CASE):
            read()
    except TuneoffError as error:
        has_message = len(str(error)) >= SHORTEST_MESSAGE
        return type(error).__name__ if has_message else f"failed: the message is only {error!s}"
    except HangError:
        return f"failed: hangs, {_find_place()}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"failed: {type(error).__name__}: {str(error)[:200]}, {_find_place()}"
    return "success"


def _find_place() -> str:
    """Return the innermost line of ours in the traceback of the current exception."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "tuneoff" in frame.filename or "benchmarks" in frame.filename]
    last = ours[-1] if ours else frames[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


@contextmanager
def _limit_seconds(seconds: int) -> Iterator[None]:
    def raise_hang(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, raise_hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    """Fuzz as the command line says. Return 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="for each kind of input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"one of {', '.join(INPUTS)}")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    failures = 0
    for kind, source in INPUTS.items():
        if options.only in kind:
            tally = fuzz(kind, max(1, options.cases // source.cost), options.seed)
            counts = ", ".join(f"{outcome} {count}" for outcome, count in sorted(tally.outcomes.items()))
            print(f"{kind:10} {tally.cases:6} cases: {counts}", flush=True)
            for failure, case in tally.failures.items():
                print(f"  {failure}\n    {str(case)[:500]}", flush=True)
            failures += len(tally.failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
