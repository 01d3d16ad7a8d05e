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

LENGTH, PROMPT = 256, 192  # tokens of a row, and how many of them are its prompt's: the target is the last quarter
NEW_TOKENS = 32
ROWS = 64
METHODS: dict[str, dict[str, Any]] = {
    "last-layer": {"method": "last-layer"},
    "lora": {"method": "lora", "modules": "default"},
    "lora-all-linear": {"method": "lora", "modules": "all-linear"},
    "soft-prompt": {"method": "soft-prompt", "init": "random"},
    "full": {"method": "full"},
}
SHAPES = ("smollm2-135m", "gpt-neo-125m")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is timed on both sides."""

    shape: str
    task: str  # step, epochs, evaluation, generation or comparison
    method: str = "lora"
    batch_size: int = 4
    steps: int = 2  # in one round

    @property
    def name(self) -> str:
        method = "" if self.task in {"evaluation", "generation", "comparison"} else f" {self.method}"
        return f"{self.shape}{method} {self.task}, batch {self.batch_size}"


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
                return self.train(self.model, self.case.batch_size * self.case.steps, epochs=10)
            case "evaluation":
                return self.evaluate()
            case "generation":
                return self.write(self.model, 64), 0.0
            case _:
                start = time.perf_counter()
                losses = [self.whole(method) for method in ("last-layer", "lora", "soft-prompt")]
                return time.perf_counter() - start, sum(losses)

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


def model_folder(shape: str, cache: Path) -> Path:
    """A folder with the model: real weights, or GPT-Neo's shape with random ones, of its own vocabulary."""
    from tuneoff.models.options import ModelOptions
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


def text(train: Dataset, held_out: Dataset) -> Any:
    """What the loop wants of a recipe's text."""
    return SimpleNamespace(train=train, validation=held_out, test=held_out)


def order(count: int, batch_size: int, epochs: int) -> list[int]:
    """The rows in the order in which tuneoff's loop takes them with seed 0."""
    from tuneoff.data.batches import epoch_batches

    return [
        row for epoch in range(1, epochs + 1) for batch in epoch_batches([LENGTH] * count, batch_size, 0, epoch)
        for row in batch
    ]  # fmt: skip
