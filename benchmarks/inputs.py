"""Inputs for `benchmarks.fuzz`: valid ones, mutated at random, and the public function that reads each kind."""

from __future__ import annotations

import copy
import functools
import gzip
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.report.synthetic import make_synthetic_run
from tuneoff.api import load_comparison, load_sweep
from tuneoff.config.data import DataOptions, TextOptions
from tuneoff.data.example import Example
from tuneoff.data.prompt import Encoder
from tuneoff.data.reading import read_rows
from tuneoff.data.splits import draw_splits
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.shipped_recipes import read_shipped_recipes
from tuneoff.recipe.sweep import expand_sweep
from tuneoff.report.tables import format_latex_table, format_markdown_table, format_results_csv
from tuneoff.runs import RunDirectory
from tuneoff.runs.split_use import RUN_FILE
from tuneoff.system.checksums import CHECKSUMS

Case = Any  # Any: each kind has inputs of its own

TOKENS = (
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"'", b"{", b"[", b"&a [*a]", b"*a", b": ", b"\n",
    b"\r", b"\t", b",", b"!!python/object:os.system", b"=cmd()", b"null", b"NaN", b"1e999", b"-1", b"\\ud800",
    b"\x1b[2J", b"../../x", b"9" * 5000, b"[" * 3000, b"<script>", "\u202e\u2028".encode(), b"2020-01-01", b"<<: 1",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**5, 10**9, 2**70, 10**400, 0.5, -1.5, 1e-320, 1e308, float("inf"), float("nan"), "",
    " ", "..", ".", "a", "base", "lora", "auto", "{source}", "{source}{source}", "{", "\x00", "\u202e", "=1+1",
    "a" * 10_000, [], {}, [[]], [None], ["a", "a"], {"": ""}, {"a": {"b": {"c": 1}}}, [1, "a"], {"low": 1, "high": 0},
    {"method": "lora"},
)  # fmt: skip

hostile = st.one_of(
    st.sampled_from(VALUES),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.dictionaries(st.text(max_size=8), st.sampled_from(VALUES), max_size=3),
)


@dataclass(frozen=True)
class Input:
    """One kind of input: how its cases are drawn, and how one is read in an empty folder."""

    cases: st.SearchStrategy[Case]
    read: Callable[[Case, Path], None]
    cost: int = 1  # of a case, in multiples of a recipe


@st.composite
def mutate_bytes(draw: st.DrawFn, valid: tuple[bytes, ...]) -> bytes:
    """Draw a valid file with some bytes changed, removed, doubled or inserted."""
    content = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((0, 1, 1, 4, 30, 10_000))))
        inserted = draw(
            st.one_of(st.just(b""), st.sampled_from(TOKENS), st.binary(max_size=4), st.just(content[start:end] * 2))
        )
        content = content[:start] + inserted + content[end:]
    return content


@st.composite
def mutate_tree(draw: st.DrawFn, valid: tuple[Any, ...]) -> Any:
    """Draw a valid tree of mappings and lists with some values or keys replaced, moved or removed."""
    tree = json.loads(json.dumps(draw(st.sampled_from(valid))))
    for _ in range(draw(st.integers(1, 3))):
        branch = tree
        while isinstance(branch, dict | list) and branch:
            keys = list(branch) if isinstance(branch, dict) else list(range(len(branch)))
            key = draw(st.sampled_from(keys))
            if isinstance(branch[key], dict | list) and branch[key] and draw(st.integers(0, 3)):
                branch = branch[key]
                continue
            match draw(st.integers(0, 5)):
                case 0 if isinstance(branch, dict):
                    branch[draw(st.one_of(st.text(max_size=8), st.integers(), st.none()))] = branch.pop(key)
                case 1:
                    branch.pop(key)
                case _:
                    branch[key] = copy.deepcopy(draw(hostile))
            break
    return tree


# Recipes and overrides.

RECIPE: dict[str, Any] = {
    "name": "r", "note": "n", "model": {"name": "smollm2-135m-instruct", "device": "cpu"},
    "data": {"source": "jsonl", "files": {"train": "x.jsonl"}, "sizes": {"train": 8}, "clean": {"lower": True},
             "fields": {"source": "a"}, "prompt": "{source} =>", "max_tokens": 64, "max_target_tokens": 8},
    "methods": {"base": {}, "lora": {"rank": 4, "learning_rate": 1e-3}, "hot": {"method": "lora"}, "soft-prompt": None},
    "training": {"epochs": 2, "batch_size": 4}, "evaluation": {"generation": {"max_new_tokens": 4}},
    "search": {"spaces": {"lora": {"rank": [2, 4], "learning_rate": {"low": 1e-5, "high": 1e-3}}}},
    "seeds": [1, 2], "verdict": {"confidence": 0.9}, "budget": {"time": "2h"},
}  # fmt: skip
SWEEP: dict[str, Any] = {
    **{k: v for k, v in RECIPE.items() if k not in {"search", "budget"}},
    "sweep": {"parameter": "methods.lora.rank", "values": [2, 4]},
}
TREES = (RECIPE, SWEEP, *(yaml.safe_load(text) for text in read_shipped_recipes().values()))
TEXTS = tuple(text.encode() for text in read_shipped_recipes().values())


def _format_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=False).encode()


def read_recipe(content: bytes, folder: Path) -> None:
    """Load a recipe and check that its stored form is equal, and that its names stay within the folder."""
    file = folder / "mine.yaml"
    file.write_bytes(content)
    recipe = load_recipe(file)
    stored = yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True)
    assert Recipe.read(yaml.safe_load(stored)).to_dict() == recipe.to_dict() or "nan" in stored
    if recipe.sweep:
        for name in expand_sweep(recipe):
            assert (folder / name).resolve().parent == folder.resolve(), name
    assert (folder / recipe.name).resolve().parent == folder.resolve(), recipe.name
    assert _read_files(folder) == {"mine.yaml": content}


def read_override(override: str, folder: Path) -> None:
    """Read the demo with an override."""
    load_recipe("demo", [override])


PLACES = (
    "name",
    "methods",
    "methods.lora",
    "methods.lora.rank",
    "data.prompt",
    "search",
    "seeds",
    "sweep.values",
    "a",
    "",
)
overrides = st.one_of(
    st.text(max_size=30),
    st.builds("{}={}".format, st.sampled_from(PLACES), st.text(max_size=20)),
    st.builds(lambda place, value: f"{place}={yaml.safe_dump(value)}", st.sampled_from(PLACES), hostile),
    st.builds(lambda place, token: f"{place}={token.decode(errors='surrogateescape')}",
              st.sampled_from(PLACES), st.sampled_from(TOKENS)),
)  # fmt: skip


# Text.

ROWS = [{"source": f'text {i}, "q"', "target": f"answer\n{i}"} for i in range(6)]
_JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
_CSV = b"source,target\n" + b"".join(f'"text {i}, ""q""","answer\n{i}"\n'.encode() for i in range(6))
FILES = {
    "csv": _CSV, "tsv": b"source\ttarget\n" + b"".join(f"text {i}\tanswer {i}\n".encode() for i in range(6)),
    "jsonl": _JSONL, "json": json.dumps(ROWS).encode(),
}  # fmt: skip


def read_text(case: tuple[str, bytes], folder: Path) -> None:
    """Read rows and split them, without a tokenizer."""
    kind, content = case
    name = f"text.{kind}{'.gz' if content[:2] == bytes([0x1F, 0x8B]) else ''}"
    (folder / name).write_bytes(content)
    written = {"source": kind, "files": str(folder / name), "sizes": {"validation": 1, "test": 1}}
    options = TypeAdapter(DataOptions).validate_python(written)
    try:
        splits = draw_splits(read_rows(options), options)
    finally:
        assert _read_files(folder) == {name: content}
    for split in splits.by_name.values():
        for example in split.examples:
            (example.source + example.target).encode()
            assert example.source.strip()
            assert example.target.strip()


def _draw_text_cases(kind: str) -> st.SearchStrategy[tuple[str, bytes]]:
    valid = FILES[kind]
    packed = mutate_bytes((gzip.compress(valid, mtime=0),))
    trees = mutate_tree((ROWS,)).map(lambda tree: json.dumps(tree, default=str).encode())
    return st.tuples(
        st.just(kind), st.one_of(mutate_bytes((valid,)), mutate_bytes((valid,)), packed, st.binary(max_size=60), trees)
    )


@functools.cache
def _make_parquet() -> bytes:
    import pyarrow
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), out)
    return out.getvalue()


def read_parquet(content: bytes, folder: Path) -> None:
    """Read a Parquet file with this content."""
    import datasets

    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = folder.with_name(f"{folder.name}-cache")
    try:
        read_text(("parquet", content), folder)
    finally:
        import shutil

        shutil.rmtree(datasets.config.HF_DATASETS_CACHE, ignore_errors=True)
        datasets.config.HF_DATASETS_CACHE = before


@functools.cache
def _make_tokenizer() -> Any:  # Any: transformers' tokenizers share no type
    from tests.data.conftest import CHAT_TEMPLATE, train_tokenizer

    return train_tokenizer(chat_template=CHAT_TEMPLATE)


def read_template(case: tuple[dict[str, Any], str, str], folder: Path) -> None:
    """Apply a template to any text and check that no example is longer than the limit."""
    written, source, target = case
    options = TextOptions.read(written)
    columns = Encoder(options, _make_tokenizer()).encode([Example(source=source, target=target)])
    (tokens,) = columns["tokens"]
    assert len(tokens) <= options.max_tokens  # type: ignore[arg-type]  # a list


templates = st.tuples(
    st.fixed_dictionaries(
        {"prompt": st.one_of(st.just("chat"), st.text(max_size=9).map(lambda t: f"{t}{{source}}"), st.text(max_size=9)),
         "max_tokens": st.sampled_from((2, 9, 40, 256)), "max_target_tokens": st.sampled_from((1, 2, 8, 300))},
        optional={"chat_instruction": st.text(max_size=9).map(lambda t: f"{{source}}{t}")},
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=90),
)  # fmt: skip


# Run directories, records and sweeps.


@functools.cache
def _make_run() -> dict[str, bytes]:
    """Return the files of a small complete run."""
    import tempfile

    run = make_synthetic_run(
        methods={"base": {}, "lora": {}, "lora-hot": {"method": "lora", "learning_rate": 0.05}}, seeds=[0]
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder) / "run")
        directory.begin(run.recipe, run.environment, run.data)
        for record in run.records:
            directory.write_record(record.model_copy(update={"predictions": record.predictions[:6]}))
        return _read_files(directory.path)


@st.composite
def mutate_run(draw: st.DrawFn, only: str = "") -> dict[str, bytes]:
    """Draw a run with some mutated files, most often without checksums, so that the mutated files are read."""
    files = dict(_make_run())
    if draw(st.integers(0, 3)):
        files = {name: content for name, content in files.items() if not name.endswith(CHECKSUMS)}
    for name in draw(st.lists(st.sampled_from([n for n in files if only in n]), min_size=1, max_size=2, unique=True)):
        content = files[name]
        if name.endswith(".json") and draw(st.booleans()):
            files[name] = json.dumps(draw(mutate_tree((json.loads(content),)))).encode()
        elif name.endswith("l") and content.startswith(b"{") and draw(st.booleans()):
            lines = [json.loads(line) for line in content.splitlines()]
            files[name] = "".join(json.dumps(line) + "\n" for line in draw(mutate_tree((lines,)))).encode()
        elif draw(st.integers(0, 9)):
            files[name] = draw(mutate_bytes((content,)))
        else:
            del files[name]
    return files


def read_run(files: dict[str, bytes], folder: Path) -> None:
    """Judge a run and format its tables. Check that reading changes no file and that continuing loses no trial."""
    _write_files(files, folder)
    try:
        comparison = load_comparison(folder)
    finally:
        (folder / RUN_FILE).unlink(missing_ok=True)  # the ledger's own lines note that the run was read
        assert _read_files(folder) == files
    for table in (format_markdown_table, format_latex_table, format_results_csv):
        table(comparison).encode()
    directory = RunDirectory(folder)
    trials = {name.split("/")[1] for name in files if name.endswith("record.json")}
    directory.begin(comparison.run.recipe, comparison.run.environment, comparison.run.data)
    remaining = {f.name.split("-")[0] for f in (*folder.glob("trials/*"), *folder.glob("set-aside/*"))}
    assert trials <= remaining


def read_sweep(content: bytes, folder: Path) -> None:
    """Load a sweep that has a recipe and no comparison yet."""
    (folder / "sweep.yaml").write_bytes(content)
    try:
        load_sweep(folder)
    finally:
        assert _read_files(folder) == {"sweep.yaml": content}


def _write_files(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _read_files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


trees = mutate_tree(TREES).map(_format_yaml)
INPUTS = {
    "recipes": Input(st.one_of(trees, trees, mutate_bytes(TEXTS), st.binary(max_size=60)), read_recipe),
    "overrides": Input(overrides, read_override, cost=2),
    **{kind: Input(_draw_text_cases(kind), read_text) for kind in FILES},
    "parquet": Input(st.deferred(lambda: mutate_bytes((_make_parquet(),))), read_parquet, cost=10),
    "templates": Input(templates, read_template),
    "runs": Input(st.deferred(mutate_run), read_run, cost=5),
    "records": Input(st.deferred(lambda: mutate_run("trials/")), read_run, cost=5),
    "sweeps": Input(
        st.one_of(mutate_tree((SWEEP,)).map(_format_yaml), mutate_bytes((_format_yaml(SWEEP),))), read_sweep
    ),
}
os.environ.setdefault("HF_HUB_OFFLINE", "1")
