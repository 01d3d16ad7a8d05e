"""Make data for three tasks other than summaries, from text that is installed already, and a recipe for each.

    python examples/three_tasks.py tasks
    tuneoff compare tasks/labels.yaml

- labels: a sentence of a paper's summary, and whether it states the challenge, the approach or the outcome (`aclsum`)
- answers: a function of the standard library, a question about a default of it, and the answer
- code: the signature and the docstring of a function of the standard library, and its body
"""

import ast
import importlib.util
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ASPECTS = ("challenge", "approach", "outcome")
MAX_DOCSTRING, MAX_BODY = 400, 300  # characters
MAX_OF_MODULE = 4  # functions: those of a module are alike, and are a group

METHODS = """\
methods:
  base:
  last-layer: {learning_rate: 1.0e-3}
  lora:
  soft-prompt:
training: {epochs: 2, batch_size: 4}
seeds: [1, 2]
"""
RECIPES = {
    "labels": """\
data:
  source: jsonl
  files: labels.jsonl
  fields: {source: text, target: label, group: paper}
  prompt: "{text}\\n\\nThis sentence states the"
  sizes: {train: 120, validation: 30, test: 60}
  max_tokens: 128
  max_target_tokens: 8
""",
    "answers": """\
data:
  source: jsonl
  files: answers.jsonl
  fields: {source: question, target: answer, group: function}
  prompt: "{{ context }}\\n\\nQuestion: {{ question }}\\nAnswer:"
  sizes: {train: 120, validation: 30, test: 60}
  max_tokens: 256
  max_target_tokens: 16
""",
    "code": """\
data:
  source: jsonl
  files: code.jsonl
  fields: {source: function, target: body, group: module}
  prompt: "{function}\\n"
  sizes: {train: 120, validation: 30, test: 60}
  max_tokens: 320
  max_target_tokens: 96
""",
}


def main(folder: Path) -> None:
    """Write the data and the recipes."""
    folder.mkdir(parents=True, exist_ok=True)
    functions = list(find_functions())
    data: dict[str, Iterable[dict[str, Any]]] = {
        "labels": make_labels(),
        "answers": make_answers(functions),
        "code": make_code(functions),
    }
    for name, rows in data.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines))
        recipe = f"name: {name}\nmodel: {{name: smollm2-135m-instruct}}\n{RECIPES[name]}{METHODS}"
        (folder / f"{name}.yaml").write_text(recipe.replace(f"files: {name}", f"files: {folder.resolve()}/{name}"))
        print(f"{folder / name}.jsonl: {len(lines):,} rows")


def make_labels() -> Iterator[dict[str, Any]]:
    """Yield each summary of a paper with its aspect. Summaries of one paper are a group."""
    spec = importlib.util.find_spec("aclsum")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("Run: pip install 'tuneoff[demo]'")
    lines = [
        line
        for split in ("train", "val", "test")
        for line in (Path(spec.submodule_search_locations[0]) / "dataset" / f"{split}.jsonl").read_text().splitlines()
    ]
    for paper, line in enumerate(lines):
        summaries = json.loads(line)["summary"]
        yield from ({"text": summaries[aspect], "label": aspect, "paper": paper} for aspect in ASPECTS)


def make_answers(functions: Iterable[tuple[str, ast.FunctionDef]]) -> Iterator[dict[str, Any]]:
    """Yield a question about each default value that is neither None nor a truth value."""
    for module, function in functions:
        positional = [*function.args.posonlyargs, *function.args.args]
        for name, default in zip(reversed(positional), reversed(function.args.defaults), strict=False):
            if ast.unparse(default) not in {"None", "True", "False"}:
                yield {
                    "context": describe(function),
                    "question": f"What is the default of {name.arg}?",
                    "answer": ast.unparse(default),
                    "function": f"{module}.{function.name}",
                }


def make_code(functions: Iterable[tuple[str, ast.FunctionDef]]) -> Iterator[dict[str, Any]]:
    """Yield the signature and the docstring of some functions of each module with their bodies, if those are short."""
    count: Counter[str] = Counter()
    for module, function in functions:
        body = "\n".join(map(ast.unparse, function.body[1:]))
        if 0 < len(body) <= MAX_BODY and count[module] < MAX_OF_MODULE:
            count[module] += 1
            yield {"function": describe(function), "body": textwrap.indent(body, "    "), "module": module}


def describe(function: ast.FunctionDef) -> str:
    """Return a function's signature and docstring as they stand in code."""
    documented = ast.FunctionDef(
        name=function.name, args=function.args, body=function.body[:1], decorator_list=[], returns=function.returns
    )
    return ast.unparse(ast.fix_missing_locations(documented))


def find_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions with a short docstring of the modules of the standard library, without importing any."""
    for module in sorted(sys.stdlib_module_names):
        spec = importlib.util.find_spec(module) if not module.startswith("_") else None
        if not spec or not spec.origin or not spec.origin.endswith(".py") or module in {"antigravity", "this"}:
            continue
        for node in ast.walk(ast.parse(Path(spec.origin).read_text())):
            if isinstance(node, ast.FunctionDef) and 0 < len(ast.get_docstring(node) or "") <= MAX_DOCSTRING:
                yield module, node


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "tasks"))
