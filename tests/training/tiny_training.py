"""Trainings of tiny models on a few rows, for the tests of everything that trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tuneoff.config.data import FileText
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData, load_text
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import Precision, get_dtype, hold_for_training
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.runtime.context import TrialContext, create_context
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress
from tuneoff.system.interrupts import Stopped
from tuneoff.training.loop import TrainingResult, train
from tuneoff.training.spec import TrainingSpec
from tuneoff.training.start import set_start

RunTraining = Callable[..., tuple[LanguageModel, TrainingResult]]
TrainToRungs = Callable[..., tuple[LanguageModel, TrainingResult]]
TRAINED_METHODS = {
    **{name: method.read({}) for name, method in METHODS.items() if method.trains and name != "peft"},
    "lora-dropout": METHODS["lora"].read({"dropout": 0.5}),
    "lisa-drawn": METHODS["lisa"].read({"blocks": 1, "steps": 2}),
    "adalora": METHODS["peft"].read({"peft_type": "ADALORA"}),
}


@pytest.fixture
def load_rows(text_file: Path, load_tiny: Callable[[str], LanguageModel]) -> Callable[[str], TextData]:
    """Loads the rows of the text file with the tokenizer of an architecture."""

    def load(architecture: str) -> TextData:
        options = FileText.read(
            {
                "source": "jsonl",
                "files": str(text_file),
                "sizes": {"validation": 2, "test": 2},
                "max_tokens": 64,
                "max_target_tokens": 24,
            }
        )
        return load_text(options, load_tiny(architecture).tokenizer)

    return load


@pytest.fixture
def text(load_rows: Callable[[str], TextData]) -> TextData:
    return load_rows("llama")


@pytest.fixture
def run_training(text: TextData, load_tiny: Callable[[str], LanguageModel]) -> RunTraining:
    """Trains a Llama with a method, full tuning by default, and training options."""

    def run(
        method: Method | None = None,
        *,
        seed: int = 0,
        on_progress: OnProgress = ignore_progress,
        text: TextData = text,
        **options: Any,
    ) -> Any:
        method = method or METHODS["full"].read({"learning_rate": 1e-3})
        torch.manual_seed(seed)
        model = hold_for_training(method.apply(load_tiny("llama")), torch.float32)
        spec = TrainingSpec(
            text=text,
            options=TrainingOptions(**{"epochs": 2, "batch_size": 4, **options}),
            learning_rate=method.learning_rate,
            weight_decay=method.weight_decay,
            optimizer=OPTIMIZERS[method.optimizer],
            loss_on="target",
            evaluation_batch_size=2,
            seed=seed,
        )
        context = create_context(torch.device("cpu"), "float32", on_progress)
        return model, train(model, spec, context, start_seconds=find_start(method, model, spec, context))

    return run


@pytest.fixture
def train_to_rungs(load_rows: Callable[[str], TextData], load_tiny: Callable[[str], LanguageModel]) -> TrainToRungs:
    """Trains a GPT-Neo up to the last of some rungs; further arguments are those of `train`."""
    text = load_rows("qwen2")

    def run(
        method: Method, rungs: tuple[float, ...], on_progress: OnProgress = ignore_progress, **arguments: Any
    ) -> Any:
        torch.manual_seed(0)
        precision: Precision = "bf16" if OPTIMIZERS[method.optimizer].needs_bf16 else "float32"
        model = hold_for_training(method.apply(load_tiny("gpt_neo")), get_dtype(precision))
        spec = TrainingSpec(
            text=text,
            options=TrainingOptions(epochs=3, batch_size=2, schedule="cosine", warmup=0.2, patience=2),
            learning_rate=method.learning_rate,
            weight_decay=method.weight_decay,
            optimizer=OPTIMIZERS[method.optimizer],
            loss_on="target",
            evaluation_batch_size=2,
            seed=0,
            rungs=rungs,
        )
        context = create_context(torch.device("cpu"), precision, on_progress)
        start_seconds = find_start(method, model, spec, context)
        arguments = {"parameter_groups": method.parameter_groups(model), "start_seconds": start_seconds, **arguments}
        return model, train(model, spec, context, **arguments)

    return run


def find_start(method: Method, model: LanguageModel, spec: TrainingSpec, context: TrialContext) -> float:
    """Set the first values of a method that finds them on train; return the seconds."""
    return set_start(method.set_start, model, spec, context) if method.reads_train else 0.0


def get_losses(result: TrainingResult) -> list[tuple[float | None, float | None]]:
    """The training and validation loss of each epoch."""
    return [(row.train_loss, row.validation_loss) for row in result.curve]


def stop_at(phase: str, occurrence: int) -> OnProgress:
    """A listener that stops the training at the nth progress event of a phase."""
    remaining = [occurrence]

    def on_progress(progress: Progress) -> None:
        remaining[0] -= progress.phase == phase
        if not remaining[0]:
            raise Stopped("requested")

    return on_progress
