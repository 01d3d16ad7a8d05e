"""tuneoff's side of the benchmark."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import work
from benchmarks.work import METHODS, NEW_TOKENS, TESTED, TRAINED, VALIDATED, Case, make_text
from tuneoff.config.evaluation import GenerationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.loss import evaluate_mean_loss
from tuneoff.methods import read_method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.precision import get_dtype, hold_for_inference, hold_for_training
from tuneoff.models.sources import find_source
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.runtime.context import create_context
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.loop import train
from tuneoff.training.spec import TrainingSpec

PRECISION: Any = "bf16"
LEARNING_RATE = 1e-4


class Side(work.Side):
    """A model that is trained and evaluated like in a trial."""

    def __init__(self, case: Case, folder: Path, device: str) -> None:
        self.case, self.options = case, ModelOptions(name=str(folder))
        self.tokenizer = load_tokenizer(find_source(self.options), self.options)
        self.context = create_context(torch.device(device), PRECISION, lambda _: None)
        self.model = (
            self._load_for_inference()
            if case.task in {"evaluation", "generation"}
            else self._load_for_training(case.method)
        )

    def evaluate(self) -> tuple[float, float]:
        start = time.perf_counter()
        loss = evaluate_mean_loss(
            self.model, self.make_rows(), self.context, batch_size=self.case.batch_size, phase="evaluation"
        )
        return time.perf_counter() - start, loss

    def run_trial(self, method: str) -> float:
        model = self._load_for_training(method)
        _, loss = self.train(model, TRAINED, epochs=2, validation_rows=VALIDATED)
        hold_for_inference(model, get_dtype(PRECISION))
        evaluate_mean_loss(model, self.make_rows(TESTED), self.context, batch_size=16, phase="evaluation")
        self.generate(model, TESTED)
        return loss

    def get_peak_bytes(self) -> int:
        phases = ("training", "validation", "evaluation", "generation")
        return max(memory.peak_bytes for phase in phases if (memory := self.context.meter.get_peak(phase)))

    def generate(self, model: LanguageModel, count: int) -> float:
        start = time.perf_counter()
        options = GenerationOptions(batch_size=self.case.generation_batch_size, min_new_tokens=NEW_TOKENS)
        generate_predictions(model, self.make_prompts(count), options, self.context, max_new_tokens=NEW_TOKENS)
        return time.perf_counter() - start

    def train(self, model: LanguageModel, count: int, epochs: int, validation_rows: int = 1) -> tuple[float, float]:
        batch_size = self.case.batch_size if self.case.task != "comparison" else 4
        options = TrainingOptions(
            epochs=epochs,
            batch_size=batch_size,
            schedule="constant",
            warmup=0.0,
            compile=self.case.compiled,
        )
        spec = TrainingSpec(
            text=make_text(self.make_rows(count), self.make_rows(validation_rows)),
            options=options,
            learning_rate=LEARNING_RATE,
            weight_decay=0.0,
            optimizer=OPTIMIZERS["adamw"],
            loss_on="target",
            evaluation_batch_size=16,
            seed=0,
        )
        with tempfile.TemporaryDirectory() as cache_folder:  # empty, so that each round computes the trunk itself
            cache = TrunkCache("benchmark", folder=Path(cache_folder))
            curve = [row for row in train(model, spec, self.context, cache=cache).curve if row.steps]
        return sum(row.train_seconds for row in curve), sum(row.train_loss or 0 for row in curve) / len(curve)

    def _load_for_training(self, method: str) -> LanguageModel:
        base = self._load_base()
        torch.manual_seed(0)
        tuned = read_method(method, METHODS[method]).apply(base)
        return hold_for_training(tuned, get_dtype(PRECISION)).to(self.context.device)

    def _load_for_inference(self) -> LanguageModel:
        return hold_for_inference(self._load_base(), get_dtype(PRECISION)).to(self.context.device)

    def _load_base(self) -> LanguageModel:
        return load_model(find_source(self.options), self.options, self.tokenizer)
