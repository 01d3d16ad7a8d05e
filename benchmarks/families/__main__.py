"""Check every method on every decoder-only architecture of transformers, and print a table for the documentation.

`python -m benchmarks.families` takes about an hour on two cores; names of architectures check only these. With `--keep`
it goes on where it was stopped. With `--methods NAME,NAME --page FILE` it checks only these methods, on the
architectures of a page that it made before with the same versions or on those named, and takes over the rest of the
page. It ends with exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
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
    parser.add_argument("--methods", default=",".join(CHECKED), help="names with commas between them; all by default")
    parser.add_argument("--page", type=Path, help="the page whose columns of other methods are taken over")
    options = parser.parse_args(arguments)
    methods = options.methods.split(",")
    page = read_page(options.page.read_text()) if options.page else {}
    names = options.architectures or list(page) or list_architectures()
    kept = _read_kept(options.keep, methods) if options.keep else {}
    with ProcessPoolExecutor(options.jobs, initializer=_start_process) as pool:
        for row in pool.map(partial(check_architecture, methods=methods), [name for name in names if name not in kept]):
            kept[row[0]] = row
            if options.keep:
                _keep(row, options.keep)
            print(row[0], row[1] or _summarize(row[2]), file=sys.stderr, flush=True)
    unchecked = {name: (name, "", {}) for name in page}
    rows = [_add_columns(row, page.get(name, {})) for name, row in (unchecked | {n: kept[n] for n in names}).items()]
    print(format_page(rows, added=methods if page else ()))
    return int(any(outcome.broken for _, _, outcomes in rows for outcome in outcomes.values()))


def _add_columns(row: Row, others: dict[str, Outcome]) -> Row:
    architecture, absence, outcomes = row
    return architecture, absence, {**others, **outcomes}


def _read_kept(file: Path, methods: Sequence[str]) -> dict[str, Row]:
    """Return the rows that a run with the same versions wrote for these methods, by architecture."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {
        line["architecture"]: (
            line["architecture"],
            line["absence"],
            {name: Outcome(reason=o["reason"], broken=tuple(o["broken"])) for name, o in line["outcomes"].items()},
        )
        for line in lines
        if line["versions"] == _list_versions() and (line["absence"] or set(methods) <= line["outcomes"].keys())
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


def check_architecture(architecture: str, methods: Sequence[str]) -> Row:
    """Check some methods on an architecture."""
    if absence := explain_absence(architecture):
        return architecture, absence, {}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = build_tokenizer(Path(folder))
        outcomes = {name: check_method(architecture, name, tokenizer) for name in methods}
    prefix = outcomes.get("prefix")
    if prefix and not prefix.reason and not is_prefix_like_text(build_network(architecture)):
        outcomes["prefix"] = Outcome(broken=(*prefix.broken, "starts as its text"))
    return architecture, "", outcomes


def format_page(rows: Sequence[Row], added: Sequence[str] = ()) -> str:
    """Return the table of families and methods in Markdown, with the reasons under it.

    Args:
        added: methods that were checked later than the others.
    """
    checked = [(architecture, outcomes) for architecture, _, outcomes in rows if outcomes]
    trained = [name for name, method in CHECKED.items() if method.trains]
    names = [name for name in trained if any(name in outcomes for _, outcomes in checked)]
    is_whole = all(name in outcomes for name in names for _, outcomes in checked)
    lines = [
        "# Model families\n",
        f"Made by `python -m benchmarks.families` with {_format_versions()}, on tiny random models of "
        "every architecture that transformers loads as a causal language model. For each method that fits, it checks "
        "that training starts as the base model, that padding changes nothing, that generation is transformers' own, "
        "and that a saved, loaded or merged model is the same.\n",
        "✓ fits, – does not fit, ✗ fits and breaks a promise. `peft` stands for one of its other types, VeRA. "
        f"{len(checked)} architectures of {len(list_architectures())}. The others are no decoder-only language models, "
        "could not be made tiny, or are variants of these that are left out here.\n",
        *([f"Checked later than the others, with the same versions: {', '.join(added)}.\n"] if added else []),
        *([] if is_whole else ["A blank cell was not checked.\n"]),
        "| | " + " | ".join(names) + " |",
        "| --- |" + " :-: |" * len(names),
        *(f"| {a} | " + " | ".join(_mark(outcomes.get(name)) for name in names) + " |" for a, outcomes in checked),
        "\n## Why a method does not fit\n",
        *_list_reasons(checked),
        *(["\n## Not checked\n"] if any(absence for _, absence, _ in rows) else []),
        *(f"- {architecture}: {absence}" for architecture, absence, _ in rows if absence),
    ]
    broken = [
        f"- {architecture}, {name}: {promise}"
        for architecture, outcomes in checked
        for name, outcome in outcomes.items()
        for promise in outcome.broken
    ]
    return "\n".join([*lines, *(["\n## Broken promises\n", *broken] if broken else [])])


def read_page(text: str) -> dict[str, dict[str, Outcome]]:
    """Return the outcomes on a page, by architecture and method. What is broken on it has to be checked again.

    Raises:
        ValueError: it was made with other versions, or a promise is broken on it.
    """
    if _format_versions() not in text:
        raise ValueError(f"the page was not made with {_format_versions()}")
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line[:1] == "|"]
    (_, *names), _, *rows = lines
    reasons = {
        (architecture, found[1]): found[2]
        for line in text.splitlines()
        if (found := _REASON.fullmatch(line))
        for architecture in found[3].split(", ")
    }
    page = {}
    for architecture, *marks in rows:
        if "✗" in marks:
            raise ValueError(f"a promise is broken for {architecture}")
        page[architecture] = {
            name: Outcome(reason=reasons[architecture, name] if mark == "–" else "")
            for name, mark in zip(names, marks, strict=True)
            if mark
        }
    return page


_REASON = re.compile(r"- ([\w-]+): (.+) \(([\w, ]+)\)")


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


def _mark(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
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
