"""A run of most methods on a tiny Llama, made once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.tiny_run import make_run

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


# every method that trains, on a model whose linear layers have biases and whose head is tied to the input embedding
TABLE: dict[str, Any] = {
    name: {"peft_type": "LOHA", "learning_rate": 1e-2} if "peft_type" in method.model_fields else None
    for name, method in tuneoff.METHODS.items()
    if method.trains
}
FOR_PEFT = {"last-layer": "LN_TUNING", "last-blocks": "LN_TUNING", "bitfit": "BEFT", "layer-norm": "LN_TUNING"}


def make_run_beside_model(folder: Path, model: Path, methods: dict[str, Any]) -> Path:
    """Run the methods beside a copy of the model, and return the run directory."""
    return make_run(folder, Path(shutil.copytree(model, folder / "model")), methods)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """The run directory, beside a copy of the model."""
    return make_run_beside_model(tmp_path_factory.mktemp("exported"), model_folder("llama"), METHODS)


@pytest.fixture(scope="session")
def table_run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """A run of every method that trains, on the tiny Qwen2."""
    return make_run_beside_model(tmp_path_factory.mktemp("table"), model_folder("qwen2"), TABLE)
