"""Check every method on every decoder-only architecture of transformers, and print a table for the documentation.

`python -m benchmarks.families` takes about an hour on two cores; names of architectures check only these. With `--keep`
it goes on where it was stopped. It ends with exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
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
    parser.add_argument("--keep", type=Path, help="a file for each outcome; those that it has are not computed again")
    options = parser.parse_args(arguments)
    names = options.architectures or list_architectures()
    kept = _read_kept(options.keep) if options.keep else {}
    with ProcessPoolExecutor(options.jobs, initializer=_start_process) as pool:
        for row in pool.map(check_architecture, [name for name in names if name not in kept]):
            kept[row[0]] = row
            if options.keep:
                _keep(row, options.keep)
            print(row[0], row[1] or _summarize(row[2]), file=sys.stderr, flush=True)
    rows = [kept[name] for name in names]
    print(format_page(rows))
    return int(any(outcome.broken for _, _, outcomes in rows for outcome in outcomes.values()))


def _read_kept(file: Path) -> dict[str, Row]:
    """Return the rows that a run with the same versions wrote, by architecture."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {
        line["architecture"]: (
            line["architecture"],
            line["absence"],
            {name: Outcome(reason=o["reason"], broken=tuple(o["broken"])) for name, o in line["outcomes"].items()},
        )
        for line in lines
        if line["versions"] == _list_versions()
    }


def _keep(row: Row, file: Path) -> None:
    architecture, absence, outcomes = row
    line = {
        "architecture": architecture,
        "absence": absence,
        "outcomes": {name: asdict(outcome) for name, outcome in outcomes.items()},
        "versions": _list_versions(),
    }
    with file.open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def _list_versions() -> Mapping[str, str]:
    return {"transformers": version("transformers"), "peft": version("peft"), "torch": torch.__version__}


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
        f"Made by `python -m benchmarks.families` with {_format_versions()}, on tiny random models of "
        "every architecture that transformers loads as a causal language model. For each method that fits, it checks "
        "that training starts as the base model, that padding changes nothing, that generation is transformers' own, "
        "and that a saved, loaded or merged model is the same.\n",
        "✓ fits, – does not fit, ✗ fits and breaks a promise. `peft` stands for one of its other types, VeRA. "
        f"{len(checked)} of {len(rows)} architectures are decoder-only language models and could be made.\n",
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


def _format_versions() -> str:
    *others, last = (f"{name} {of_package}" for name, of_package in _list_versions().items())
    return f"{', '.join(others)} and {last}"


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
