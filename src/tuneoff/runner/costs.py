"""Compute the costs of a trial: time, memory, speed, adapter size and inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch

from tuneoff.evaluation.latency import measure_inference
from tuneoff.methods import Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import get_dtype, hold_for_inference
from tuneoff.models.same_network import is_same_network
from tuneoff.records.record import Costs, Epoch, Inference
from tuneoff.runner.prepare import Preparation
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.meter import Meter, max_memory
from tuneoff.training.loop import TrainingResult

if TYPE_CHECKING:
    from datasets import Dataset


def build_costs(
    training: TrainingResult,
    meter: Meter,
    parameters: tuple[int, int],
    context_tokens: int,
    adapter: Path,
    inference: Inference | None,
    devices: int = 1,
) -> Costs:
    """Collect the costs of a trial from its curve, its meter and its adapter's files.

    Args:
        parameters: trainable and total.
        adapter: the adapter's folder, which may not exist.
        devices: that trained.
    """
    trained_rows = [row for row in training.curve if row.steps]
    seconds = sum(row.train_seconds for row in trained_rows)
    epoch_seconds = _sum_epoch_seconds(trained_rows)
    trainable, total = parameters
    return Costs(
        trainable_parameters=trainable,
        total_parameters=total,
        train_seconds=seconds,
        mean_epoch_seconds=sum(epoch_seconds) / len(epoch_seconds) if epoch_seconds else None,
        slowest_epoch_seconds=max(epoch_seconds, default=None),
        evaluation_seconds=sum(row.evaluation_seconds for row in training.curve) + meter.get_seconds("evaluation"),
        generation_seconds=meter.get_seconds("generation"),
        real_tokens_per_second=sum(row.real_tokens for row in trained_rows) / seconds if trained_rows else None,
        target_tokens_per_second=sum(row.target_tokens for row in trained_rows) / seconds if trained_rows else None,
        training_memory=meter.get_peak("training"),
        evaluation_memory=max_memory(meter.get_peak("evaluation"), meter.get_peak("generation")),
        context_tokens=context_tokens,
        adapter_bytes=sum_weight_bytes(adapter) if adapter.exists() else None,
        inference=inference,
        devices=devices,
    )


def measure_trial_inference(
    tuned: LanguageModel, method: Method, preparation: Preparation, context: TrialContext, test: Dataset
) -> Inference | None:
    """Measure inference of the tuned and the base model; None if both do not fit into GPU memory together.

    Args:
        test: the test split with the method's own prompts. The base model gets those of the recipe.

    A tuned model that is the base model's network with other weights is measured once, for both.
    """
    dtype = get_dtype(preparation.setting.precision)
    try:
        served = method.merge(tuned)
        base = hold_for_inference(preparation.load_base(), dtype)
        is_same = is_same_network(served, base)
        base = served if is_same else base.to(context.device)
        plain = preparation.text.test
        is_same = is_same and not method.changes_prompts
        return measure_inference(served, base, test, plain, context, same_as_base=is_same)
    except torch.OutOfMemoryError:
        return None


def count_further_tokens(test: Dataset, plain: Dataset) -> int:
    """Return the tokens by which the prompts of a split are longer than those of the recipe, rounded mean."""
    return round(fmean(test["prompt_tokens"]) - fmean(plain["prompt_tokens"]))


def _sum_epoch_seconds(rows: Sequence[Epoch]) -> list[float]:
    """Return the training seconds of each epoch, adding up the rows of an epoch that has a rung in it."""
    seconds: dict[int, float] = {}
    for row in rows:
        epoch = math.ceil(row.epoch)
        seconds[epoch] = seconds.get(epoch, 0.0) + row.train_seconds
    return list(seconds.values())


def sum_weight_bytes(folder: Path) -> int:
    """Return the size of the safetensors files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
