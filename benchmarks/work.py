"""The work that both sides are given: a model, rows of tokens, and a method."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset

from tuneoff.runtime.meter import synchronize

LENGTH, PROMPT = 256, 192  # tokens of a row, and how many of them are its prompt's: the target is the last quarter
NEW_TOKENS = 32
ROWS = 64
EPOCHS = 10
METHODS: dict[str, dict[str, Any]] = {
    "last-layer": {"method": "last-layer"},
    "lora": {"method": "lora", "modules": "default"},
    "lora-all-linear": {"method": "lora", "modules": "all-linear"},
    "soft-prompt": {"method": "soft-prompt", "init": "random"},
    "full": {"method": "full"},
}
COMPARED = ("last-layer", "lora", "soft-prompt")
SHAPES = ("smollm2-135m", "gpt-neo-125m")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is timed on both sides."""

    shape: str
    task: str  # step, epochs, evaluation, generation or comparison
    method: str = "lora"
    batch_size: int = 4
    steps: int = 2  # in one round
    compiled: bool = False  # ours, beside ours as it is

    @property
    def name(self) -> str:
        method = "" if self.task in {"evaluation", "generation", "comparison"} else f" {self.method}"
        return f"{self.shape}{method} {self.task}, batch {self.batch_size}{', compiled' if self.compiled else ''}"

    @property
    def tokens(self) -> int:
        """How many tokens a round trains on, evaluates or writes."""
        trained = self.batch_size * self.steps * LENGTH
        tokens = {
            "step": trained,
            "epochs": EPOCHS * trained,
            "evaluation": ROWS * LENGTH,
            "generation": ROWS * NEW_TOKENS,
        }
        return tokens.get(self.task, len(COMPARED) * 2 * 32 * LENGTH)

    @property
    def answered_together(self) -> int:
        """How many prompts are in a batch of generation."""
        return self.batch_size if self.task == "generation" else 16


class Side(ABC):
    """One model at work; what a round consists of is the same for both sides."""

    case: Case
    model: Any

    def round(self) -> tuple[float, float]:
        """Do the case's work once: seconds, and the loss that shows that it was the same work."""
        match self.case.task:
            case "step":
                return self.train(self.model, self.case.batch_size * self.case.steps, epochs=1)
            case "epochs":
                return self.train(self.model, self.case.batch_size * self.case.steps, epochs=EPOCHS)
            case "evaluation":
                return self.evaluate()
            case "generation":
                return self.write(self.model, ROWS), 0.0
            case _:
                start = time.perf_counter()
                losses = [self.whole(method) for method in COMPARED]
                return time.perf_counter() - start, sum(losses)

    def flops(self) -> int:
        """Those of a round's steps, as PyTorch counts what their matrix products ask for: what another step adds."""
        from torch.utils.flop_counter import FlopCounterMode

        counters = FlopCounterMode(display=False), FlopCounterMode(display=False)
        for steps, counter in enumerate(counters, 1):
            with counter:
                self.train(self.model, steps * self.case.batch_size, epochs=1)
        one, two = (int(counter.get_total_flops()) for counter in counters)
        return (two - one) * self.case.steps

    @abstractmethod
    def train(self, model: Any, count: int, epochs: int) -> tuple[float, float]:
        """Train on so many rows: seconds of its steps, and the mean loss."""

    @abstractmethod
    def evaluate(self) -> tuple[float, float]:
        """The loss over all rows, with the seconds that it took."""

    @abstractmethod
    def write(self, model: Any, count: int) -> float:
        """Answer so many prompts; seconds."""

    @abstractmethod
    def whole(self, method: str) -> float:
        """Load, train for two epochs with a validation after each, evaluate and answer; the training's loss."""

    @abstractmethod
    def peak_bytes(self) -> int:
        """The most memory that the work itself held, loading left aside."""


def matrix_rate(device: str) -> float:
    """FLOP/s of a square product in bf16, the best of ten: what this machine can do, at this moment."""
    size = 8192 if device == "cuda" else 2048
    square = torch.randn(size, size, dtype=torch.bfloat16, device=device)
    seconds = []
    for _ in range(10):
        synchronize(torch.device(device))
        start = time.perf_counter()
        square @ square
        synchronize(torch.device(device))
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def model_folder(shape: str, cache: Path) -> Path:
    """A folder with the model: real weights, or GPT-Neo's shape with random ones, of its own vocabulary."""
    from tuneoff.config.model import ModelOptions
    from tuneoff.models.sources import find_source

    smollm2 = find_source(ModelOptions(name="smollm2-135m-instruct")).folder
    if shape == "smollm2-135m":
        return smollm2
    folder = cache / shape
    if not (folder / "config.json").exists():
        from transformers import AutoTokenizer, GPTNeoConfig, GPTNeoForCausalLM

        torch.manual_seed(0)
        config = GPTNeoConfig(hidden_size=768, num_layers=12, num_heads=12, attention_types=[[["global", "local"], 6]])
        GPTNeoForCausalLM(config).save_pretrained(folder)
        AutoTokenizer.from_pretrained(smollm2).save_pretrained(folder)  # its ids are among GPT-Neo's 50,257
    return folder


def rows(count: int = ROWS) -> Dataset:
    """Rows of random tokens, all of one length, so that padding plays no part."""
    tokens = torch.randint(100, 40_000, (count, LENGTH), generator=torch.Generator().manual_seed(0)).tolist()
    texts = {"source": [""] * count, "target": [""] * count}
    return Dataset.from_dict({"tokens": tokens, "prompt_tokens": [PROMPT] * count, **texts})


def prompts(count: int = ROWS) -> Dataset:
    """The rows' prompts, of unequal lengths, from a third of the longest on, as those of real text are."""
    whole = rows(count)
    lengths = torch.randint(PROMPT // 3, PROMPT + 1, (count,), generator=torch.Generator().manual_seed(1)).tolist()
    tokens = [row[:length] for row, length in zip(whole["tokens"], lengths, strict=True)]
    return Dataset.from_dict({**whole.to_dict(), "tokens": tokens, "prompt_tokens": lengths})


def text(train: Dataset, held_out: Dataset) -> Any:
    """What the loop wants of a recipe's text."""
    return SimpleNamespace(train=train, validation=held_out, test=held_out)


def order(count: int, batch_size: int, epochs: int) -> list[int]:
    """The rows in the order in which tuneoff's loop takes them with seed 0."""
    from tuneoff.data.batches import make_epoch_batches

    return [
        row for epoch in range(1, epochs + 1) for batch in make_epoch_batches([LENGTH] * count, batch_size, 0, epoch)
        for row in batch
    ]  # fmt: skip
