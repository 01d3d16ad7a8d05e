"""A training on a quantised base goes on exactly where it was stopped."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.training.tiny_training import TrainToRungs, get_losses, load_rows, stop_at, train_to_rungs
from tuneoff.config.model import ModelOptions
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.sources import find_source
from tuneoff.system.interrupts import Stopped
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint

__all__ = ["load_rows", "train_to_rungs"]  # fixtures


@pytest.fixture(params=["nf4", "int8"])
def load_tiny(
    request: pytest.FixtureRequest, quantisable_folder: Callable[[str], Path]
) -> Callable[[str], LanguageModel]:
    """The models of the other trainings, quantised."""

    def load(architecture: str) -> LanguageModel:
        options = ModelOptions(name=str(quantisable_folder(architecture)), quantise=request.param)
        source = find_source(options)
        return load_model(source, options, load_tokenizer(source, options))

    quantisable_folder("gpt_neo")  # making it draws random numbers, so it must not happen in the first training
    return load


def test_a_resumed_training_equals_an_uninterrupted_one_and_its_checkpoint_holds_no_code(
    train_to_rungs: TrainToRungs, tmp_path: Path
) -> None:
    path, method = tmp_path / "checkpoint.safetensors", METHODS["lora"].read({"dropout": 0.5})
    uninterrupted, expected = train_to_rungs(method, (1.0,))
    with pytest.raises(Stopped):
        train_to_rungs(method, (1.0,), stop_at("training", 3), checkpoint_writer=CheckpointWriter(path, "t"))
    checkpoint = read_checkpoint(path, "t")
    assert checkpoint is not None
    shapes = [p.shape for p in uninterrupted.parameters() if p.requires_grad]
    trained = checkpoint.select_tensors("trained")
    assert [trained[str(i)].shape for i in range(len(trained))] == shapes
    resumed, training = train_to_rungs(method, (1.0,), resume_from=checkpoint)
    assert get_losses(training) == get_losses(expected)
    assert all(torch.equal(a, b) for a, b in zip(uninterrupted.parameters(), resumed.parameters(), strict=True))
