"""Several LoRA in one set of weights answer as each alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

import tuneoff
from tests.tiny_run import make_run
from tuneoff.errors import ModelError, RunError

pytestmark = pytest.mark.model
SOURCES = ["A storm closed the harbour.", "The old bridge will be rebuilt next year."]
METHODS = {"base": None, "lora": {"learning_rate": 1e-1}, "rslora": {"learning_rate": 1e-1}, "dora": None}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    return make_run(tmp_path_factory.mktemp("merged"), model_folder("llama"), METHODS)


def test_each_answers_as_loaded_alone_however_often_they_are_swapped(run: Path) -> None:
    alone = {label: tuneoff.load(run, label).generate(SOURCES) for label in ("lora", "rslora")}
    assert alone["lora"] != alone["rslora"] != tuneoff.load(run, "base").generate(SOURCES)
    models = tuneoff.load_merged(run, ["lora", "rslora"], capacity=1)
    for label in ("lora", "rslora", "rslora", "lora"):
        assert models.generate(label, SOURCES) == alone[label]
        assert models.merged == label


def test_what_cannot_be_swapped_is_refused(run: Path) -> None:
    models = tuneoff.load_merged(run, ["lora", "dora"])
    with pytest.raises(ModelError, match="is no plain LoRA"):
        models.generate("dora", SOURCES)
    with pytest.raises(RunError, match="Did you mean 'lora'"):
        models.generate("lorra", SOURCES)
    with pytest.raises(RunError, match="no confirmed trial of a method 'other'"):
        tuneoff.load_merged(run, ["other"])
