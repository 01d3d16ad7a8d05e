"""What a base in 4 or 8 bits costs and saves: `python -m benchmarks.quantised`.

LoRA is trained for a few steps on the same rows and with the same seed, on the base in float32, in nf4 and in int8.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from tuneoff.config.data import AclsumText
from tuneoff.config.model import ModelOptions
from tuneoff.data import load_text
from tuneoff.data.batches import Batch, collate
from tuneoff.evaluation.loss import compute_token_losses
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.precision import hold_for_training
from tuneoff.models.quantisation import list_quantised
from tuneoff.models.sources import find_source
from tuneoff.system.environment import get_numeric_versions, get_processor_name

MODEL, BATCH_SIZE, VALIDATION_ROWS = "smollm2-135m-instruct", 2, 8
BASES = (None, "nf4", "int8")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One base. Losses are nats per target token over the validation rows."""

    weight_bytes: int  # of all parameters as they are held in training, with the scales of their codes
    loss_before: float
    loss_after: float
    step_seconds: float  # median


def measure(quantise: Any, steps: int, seed: int) -> Measured:  # Any: one of BASES
    """Train LoRA on one base."""
    options = ModelOptions(name=MODEL, quantise=quantise)
    source = find_source(options)
    base = load_model(source, options, load_tokenizer(source, options))
    torch.manual_seed(seed)
    method = METHODS["lora"].read({})
    tuned = hold_for_training(method.apply(base), torch.float32)
    train, validation = _load_batches(tuned, steps)
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=method.learning_rate)
    before, seconds = _evaluate(tuned, validation), []
    for batch in train:
        start = time.perf_counter()
        tuned.train()
        compute_token_losses(tuned, batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    weight_bytes = sum(tensor.nbytes for tensor in _list_tensors(tuned))
    return Measured(
        weight_bytes=weight_bytes,
        loss_before=before,
        loss_after=_evaluate(tuned, validation),
        step_seconds=median(seconds),
    )


def _load_batches(model: LanguageModel, steps: int) -> tuple[list[Batch], list[Batch]]:
    options = AclsumText.read(
        {
            "source": "aclsum", "aspect": "challenge", "max_tokens": 96, "max_target_tokens": 40,
            "sizes": {"train": BATCH_SIZE * steps, "validation": VALIDATION_ROWS, "test": 2},
        }
    )  # fmt: skip
    text, pad = load_text(options, model.tokenizer), model.tokenizer.pad_token_id

    def collate_all(split: Any) -> list[Batch]:
        rows = range(len(split))
        return [
            collate(split, rows[i : i + BATCH_SIZE], pad, "target", torch.device("cpu"))
            for i in range(0, len(split), BATCH_SIZE)
        ]

    return collate_all(text.train), collate_all(text.validation)


@torch.no_grad()
def _evaluate(model: LanguageModel, batches: list[Batch]) -> float:
    model.eval()
    return float(torch.cat([compute_token_losses(model, batch) for batch in batches]).mean())


def _list_tensors(model: LanguageModel) -> Iterator[Tensor]:
    for parameter in model.parameters():
        yield parameter
        state = getattr(parameter, "quant_state", None)
        if state is not None:
            yield from (value for value in state.as_dict(packed=True).values() if isinstance(value, Tensor))
    for layer in list_quantised(model.network).values():
        scales = getattr(getattr(layer, "state", None), "SCB", None)
        if scales is not None:
            yield scales


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print("| base | weights | loss before | loss after | seconds per step |\n| --- | --- | --- | --- | --- |")
    for quantise in BASES:
        one = measure(quantise, arguments.steps, arguments.seed)
        print(
            f"| {quantise or 'float32'} | {one.weight_bytes / 1e6:.0f} MB | {one.loss_before:.4f} "
            f"| {one.loss_after:.4f} | {one.step_seconds:.2f} |",
            flush=True,
        )
    machine = f"{get_processor_name()}, {torch.get_num_threads()} thread(s)"
    print(
        f"\n{MODEL}, {arguments.steps} steps, seed {arguments.seed}, {machine}, {get_numeric_versions('bitsandbytes')}"
    )


if __name__ == "__main__":
    main()
