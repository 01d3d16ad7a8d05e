"""What only a GPU shows: where tensors go, which counters are read, and that numbers agree with those of a CPU."""

from pathlib import Path
from typing import Any

import pytest
import torch

import tuneoff
from tuneoff.recipe.loading import load_recipe
from tuneoff.runner.prepare import prepare

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and torch with CUDA"),
    pytest.mark.usefixtures("quick_comparisons"),
]


def use_gpu(recipe: dict[str, Any], **options: Any) -> dict[str, Any]:
    return recipe | {"model": {**recipe["model"], "device": "cuda", **options}}


def test_every_method_that_fits_trains_answers_and_is_measured(recipe: dict[str, Any], tmp_path: Path) -> None:
    comparison = tuneoff.compare(use_gpu(recipe, precision="bf16") | {"methods": ["all"]}, run=tmp_path / "run")
    for record in comparison.run.records:
        assert record.status == "done", record.reason
        assert record.trial.setting.device == torch.cuda.get_device_name()
        if record.costs and record.costs.trainable_parameters:
            assert record.costs.training_memory is not None
            assert record.costs.training_memory.peak_bytes


def test_losses_agree_with_those_of_a_cpu(recipe: dict[str, Any], tmp_path: Path) -> None:
    """In float32, with kernels that sum in another order."""
    curves = []
    for name, own in (("cpu", recipe), ("cuda", use_gpu(recipe))):
        comparison = tuneoff.compare(own | {"methods": ["base", "full", "lora"]}, run=tmp_path / name)
        curves.append([row.validation_loss for record in comparison.run.records for row in record.curve])
    assert curves[1] == pytest.approx(curves[0], rel=1e-2)


@pytest.mark.parametrize("quantise", ["nf4", "int8"])
def test_a_quantised_base_is_moved_and_trained(recipe: dict[str, Any], tmp_path: Path, quantise: str) -> None:
    own = use_gpu(recipe, precision="bf16", quantise=quantise) | {"methods": ["base", "lora", "soft-prompt"]}
    for record in tuneoff.compare(own, run=tmp_path / "run").run.records:
        assert record.status == "done", record.reason


def test_auto_takes_the_gpu(recipe_file: str) -> None:
    assert prepare(load_recipe(recipe_file, ["model.device=auto"])).device.type == "cuda"
