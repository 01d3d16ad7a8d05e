"""A finished comparison on a tiny model, for the tests of what is made from one."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.conftest import save_rows


def make_run(folder: Path, base: Path, methods: dict[str, Any], **changes: Any) -> Path:
    """Compare methods on a model, and return the run directory, which lies in the folder beside `text.jsonl`.

    Args:
        folder: its `text.jsonl` is the data; the twelve rows of `save_rows` unless it is there.
        base: the folder of the model.
        changes: parts of the recipe; a mapping replaces the keys that it has.
    """
    rows = folder / "text.jsonl"
    if not rows.exists():
        save_rows(rows)
    recipe: dict[str, Any] = {
        "name": "tiny",
        "model": {"name": str(base), "precision": "float32", "device": "cpu"},
        "data": {
            "source": "jsonl", "files": str(rows), "sizes": {"validation": 2, "test": 3},
            "max_tokens": 64, "max_target_tokens": 24,
        },
        "methods": methods,
        "training": {"epochs": 1, "batch_size": 4},
        "evaluation": {"generation": {"max_new_tokens": 6}},
    }  # fmt: skip
    for key, value in changes.items():
        recipe[key] = {**recipe[key], **value} if isinstance(value, dict) else value
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("tuneoff.evaluation.latency.REPEATS", 1)
        monkeypatch.setattr("tuneoff.report.page.write_report", lambda *_, **__: None)
        tuneoff.compare(recipe, run=folder / "run")
    return folder / "run"
