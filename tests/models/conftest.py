"""A folder of a tiny model that a test may change."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def model_copy(model_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder("llama"), tmp_path / "model"))
