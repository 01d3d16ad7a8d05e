"""Check every method on every decoder-only architecture of transformers, and print a table for the documentation.

`python -m benchmarks.families` takes about half an hour on two cores; names of architectures check only these. It ends
with exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import torch
from transformers.utils import logging

from benchmarks.families.checks import CHECKED, Outcome, check_method, is_prefix_like_text
from benchmarks.families.tiny import build_network, explain_absence, list_architectures
from benchmarks.families.tokenizer import build_tokenizer

Row = tuple[str, str, dict[str, Outcome]]  # an architecture, why it is not checked, and the outcome of each method


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("architectures", nargs="*", help="all by default")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    rows = []
    with ProcessPoolExecutor(options.jobs, initializer=_start_process) as pool:
        for row in pool.map(check_architecture, options.architectures or list_architectures()):
            rows.append(row)
            print(row[0], row[1] or _summarize(row[2]), file=sys.stderr, flush=True)
    print(format_page(rows))
    return int(any(outcome.broken for _, _, outcomes in rows for outcome in outcomes.values()))


def check_architecture(architecture: str) -> Row:
    """Check every method on an architecture."""
    if absence := explain_absence(architecture):
        return architecture, absence, {}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = build_tokenizer(Path(folder))
        outcomes = {name: check_method(architecture, name, tokenizer) for name in CHECKED}
    if not outcomes["prefix"].reason and not is_prefix_like_text(build_network(architecture)):
        outcomes["prefix"] = Outcome(broken=(*outcomes["prefix"].broken, "starts as its text"))
    return architecture, "", outcomes


def format_page(rows: Sequence[Row]) -> str:
    """Return the table of families and methods in Markdown, with the reasons under it."""
    names = [name for name, method in CHECKED.items() if not method.is_base]
    checked = [(architecture, outcomes) for architecture, _, outcomes in rows if outcomes]
    lines = [
        "# Model families\n",
        f"Made by `python -m benchmarks.families` with transformers {version('transformers')}, peft {version('peft')} "
        f"and torch {torch.__version__}, on tiny random models of every architecture that transformers loads as a "
        "causal language model. For each method that fits, it checks that training starts as the base model, that "
        "padding changes nothing, that generation is transformers' own, and that a saved, loaded or merged model is "
        "the same.\n",
        f"✓ fits, – does not fit. `peft` stands for one of its other types, VeRA. {len(checked)} architectures.\n",
        "| | " + " | ".join(names) + " |",
        "| --- |" + " :-: |" * len(names),
        *(f"| {a} | " + " | ".join(_mark(outcomes[name]) for name in names) + " |" for a, outcomes in checked),
        "\n## Why a method does not fit\n",
        *_list_reasons(checked),
        "\n## Not checked\n",
        *(f"- {architecture}: {absence}" for architecture, absence, _ in rows if absence),
    ]
    broken = [
        f"- {architecture}, {name}: {promise}"
        for architecture, outcomes in checked
        for name, outcome in outcomes.items()
        for promise in outcome.broken
    ]
    return "\n".join([*lines, *(["\n## Broken promises\n", *broken] if broken else [])])


def _list_reasons(checked: Sequence[tuple[str, dict[str, Outcome]]]) -> list[str]:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for architecture, outcomes in checked:
        for name, outcome in outcomes.items():
            if outcome.reason:
                by_reason.setdefault((name, outcome.reason), []).append(architecture)
    return [f"- {name}: {reason} ({', '.join(found)})" for (name, reason), found in sorted(by_reason.items())]


def _mark(outcome: Outcome) -> str:
    return "✗" if outcome.broken else "–" if outcome.reason else "✓"


def _summarize(outcomes: dict[str, Outcome]) -> str:
    broken = {name: outcome.broken for name, outcome in outcomes.items() if outcome.broken}
    misfits = [name for name, outcome in outcomes.items() if outcome.reason]
    return f"does not fit: {misfits}; broken: {broken}"


def _start_process() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()


if __name__ == "__main__":
    sys.exit(main())
