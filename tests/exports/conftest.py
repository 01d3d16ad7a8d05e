"""A run of most methods on a tiny Llama, made once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.conftest import save_rows

METHODS: dict[str, Any] = {
    "base": None,
    "full": {"learning_rate": 1e-3},
    "last-layer": {"learning_rate": 1e-2},
    "layer-norm": None,
    "adapter": {"learning_rate": 1e-2},
    "lora": {"learning_rate": 1e-2},
    "rslora": {"learning_rate": 1e-2},
    "dora": {"learning_rate": 1e-2},
    "pissa": {"rank": 4, "learning_rate": 1e-3},
    "ia3": {"learning_rate": 1e-1},
    "soft-prompt": {"tokens": 5},
    "prefix": {"tokens": 5},
}
MERGED = ["full", "last-layer", "layer-norm", "lora", "rslora", "dora", "pissa", "ia3"]
NOT_MERGED = ["adapter", "soft-prompt", "prefix"]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """The run directory, beside a copy of the model."""
    folder = tmp_path_factory.mktemp("exported")
    save_rows(folder / "text.jsonl")
    shutil.copytree(model_folder("llama"), folder / "model")
    recipe = {
        "name": "tiny",
        "model": {"name": str(folder / "model"), "precision": "float32", "device": "cpu"},
        "data": {
            "source": "jsonl", "files": str(folder / "text.jsonl"), "sizes": {"validation": 2, "test": 3},
            "max_tokens": 64, "max_target_tokens": 24,
        },
        "methods": METHODS,
        "training": {"epochs": 1, "batch_size": 4},
        "evaluation": {"generation": {"max_new_tokens": 6}},
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("tuneoff.evaluation.latency.REPEATS", 1)
        monkeypatch.setattr("tuneoff.report.page.write_report", lambda *_, **__: None)
        tuneoff.compare(recipe, run=folder / "run")
    return folder / "run"
