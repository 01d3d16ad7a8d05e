"""The work of both sides: a model, rows of tokens and a method, and what a round consists of."""

from __future__ import annotations

import functools
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset

from benchmarks.padding import draw_lengths
from tuneoff.system.accelerators import synchronize

LENGTH, PROMPT = 256, 192  # tokens in a row, and in its prompt: the target is the last quarter
NEW_TOKENS = 32
ROWS = 64
TRAINED, VALIDATED, TESTED = 32, 16, 16  # rows of a trial in a comparison
EPOCHS = 10
TEXT_LENGTHS = (180, 400)  # median and 90th percentile of the tokens in rows of text, as in news
TEXT_TARGET, LONGEST_TEXT = 32, 1024
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
    """One piece of work that both sides are timed on."""

    shape: str
    task: str  # step, epochs, evaluation, generation or comparison
    method: str = "lora"
    batch_size: int = 4
    steps: int = 2  # per round
    compiled: bool = False  # compare our side compiled with our side as it is
    on_text: bool = False  # rows of real text, whose lengths vary as in news

    @property
    def name(self) -> str:
        method = "" if self.task in {"evaluation", "generation", "comparison"} else f" {self.method}"
        task = f"{self.task}{' on text' if self.on_text else ''}"
        return f"{self.shape}{method} {task}, batch {self.batch_size}{', compiled' if self.compiled else ''}"

    @property
    def tokens(self) -> int:
        """How many tokens a round trains on, evaluates or generates."""
        train_tokens = self.batch_size * self.steps * LENGTH
        tokens = {
            "step": train_tokens,
            "epochs": EPOCHS * train_tokens,
            "evaluation": ROWS * LENGTH,
            "generation": ROWS * NEW_TOKENS,
        }
        trained = sum(draw_text_lengths(TRAINED)) if self.on_text else TRAINED * LENGTH
        return tokens.get(self.task, len(COMPARED) * 2 * trained)

    @property
    def generation_batch_size(self) -> int:
        """How many prompts generate together."""
        return self.batch_size if self.task == "generation" else 16


class Side(ABC):
    """A model and the implementation that trains and evaluates it. A round is the same work for both sides."""

    case: Case
    model: Any
    tokenizer: Any  # of transformers

    def make_rows(self, count: int = ROWS) -> Dataset:
        """Return rows to train on and to evaluate."""
        return make_text_rows(self.tokenizer, count) if self.case.on_text else make_rows(count)

    def make_prompts(self, count: int = ROWS) -> Dataset:
        """Return prompts to continue."""
        return cut_to_prompts(self.make_rows(count)) if self.case.on_text else make_prompts(count)

    def run_round(self) -> tuple[float, float]:
        """Do the case's work once; return its seconds, and its loss to check that both sides did the same work."""
        match self.case.task:
            case "step":
                return self.train(self.model, self.case.batch_size * self.case.steps, epochs=1)
            case "epochs":
                return self.train(self.model, self.case.batch_size * self.case.steps, epochs=EPOCHS)
            case "evaluation":
                return self.evaluate()
            case "generation":
                return self.generate(self.model, ROWS), 0.0
            case _:
                start = time.perf_counter()
                losses = [self.run_trial(method) for method in COMPARED]
                return time.perf_counter() - start, sum(losses)

    def count_flops(self) -> int:
        """Return the FLOPs of the matrix products in a round's steps: PyTorch's count of what one more step adds."""
        from torch.utils.flop_counter import FlopCounterMode

        counters = FlopCounterMode(display=False), FlopCounterMode(display=False)
        for steps, counter in enumerate(counters, 1):
            with counter:
                self.train(self.model, steps * self.case.batch_size, epochs=1)
        one_step, two_steps = (int(counter.get_total_flops()) for counter in counters)
        return (two_steps - one_step) * self.case.steps

    @abstractmethod
    def train(self, model: Any, count: int, epochs: int) -> tuple[float, float]:
        """Train on `count` rows; return the seconds of the steps and the mean loss."""

    @abstractmethod
    def evaluate(self) -> tuple[float, float]:
        """Evaluate all rows; return the seconds and the loss."""

    @abstractmethod
    def generate(self, model: Any, count: int) -> float:
        """Generate a prediction for each of `count` prompts; return the seconds."""

    @abstractmethod
    def run_trial(self, method: str) -> float:
        """Load, train for two epochs with a validation after each, evaluate and generate; return the training loss."""

    @abstractmethod
    def get_peak_bytes(self) -> int:
        """Return the peak memory of the work, without loading."""


def measure_matrix_rate(device: str) -> float:
    """Return the FLOP/s of a square matrix product in bf16, the best of ten: the machine's maximum at this moment."""
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


def prepare_model(shape: str, cache: Path) -> Path:
    """Return the folder of a model: SmolLM2 with its real weights, or GPT-Neo's shape with random ones."""
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


def make_rows(count: int = ROWS) -> Dataset:
    """Return rows of random tokens, all of the same length, so that there is no padding."""
    tokens = torch.randint(100, 40_000, (count, LENGTH), generator=torch.Generator().manual_seed(0)).tolist()
    texts = {"source": [""] * count, "target": [""] * count, "references": [[""]] * count}
    return Dataset.from_dict({"tokens": tokens, "prompt_tokens": [PROMPT] * count, **texts})


def make_prompts(count: int = ROWS) -> Dataset:
    """Return the rows' prompts, cut to between a third and all of their length, since real prompts vary in length."""
    rows = make_rows(count)
    lengths = torch.randint(PROMPT // 3, PROMPT + 1, (count,), generator=torch.Generator().manual_seed(1)).tolist()
    tokens = [row[:length] for row, length in zip(rows["tokens"], lengths, strict=True)]
    return Dataset.from_dict({**rows.to_dict(), "tokens": tokens, "prompt_tokens": lengths})


def make_text_rows(tokenizer: Any, count: int) -> Dataset:
    """Return rows of consecutive words from abstracts, of the lengths of `draw_text_lengths`.

    All targets are equally long, so that the mean loss of steps is that of tokens, on both sides.
    """
    words = itertools.cycle(_tokenize_abstracts(tokenizer))
    lengths = draw_text_lengths(count)
    tokens = [list(itertools.islice(words, length)) for length in lengths]
    texts = {"source": [""] * count, "target": [""] * count, "references": [[""]] * count}
    return Dataset.from_dict({"tokens": tokens, "prompt_tokens": [n - TEXT_TARGET for n in lengths], **texts})


@functools.cache
def _tokenize_abstracts(tokenizer: Any) -> list[int]:
    from tuneoff.data import load_text
    from tuneoff.recipe.loading import load_recipe

    sources = load_text(load_recipe("demo").data, tokenizer).train["source"]
    tokenize = functools.partial(tokenizer, add_special_tokens=False, verbose=False)
    return [token for source in sources for token in tokenize(source)["input_ids"]]


def draw_text_lengths(count: int) -> list[int]:
    """Return the tokens of each row of text."""
    return [min(max(length, 2 * TEXT_TARGET), LONGEST_TEXT) for length in draw_lengths(*TEXT_LENGTHS, count)]


def cut_to_prompts(rows: Dataset) -> Dataset:
    """Return the rows without their targets."""
    tokens = [row[:length] for row, length in zip(rows["tokens"], rows["prompt_tokens"], strict=True)]
    return Dataset.from_dict({**rows.to_dict(), "tokens": tokens})


def make_text(train: Dataset, validation: Dataset) -> Any:
    """Return the splits as the training loop expects them."""
    return SimpleNamespace(train=train, validation=validation, test=validation)


def list_training_order(lengths: Sequence[int], batch_size: int, epochs: int) -> list[int]:
    """Return the rows in the order in which tuneoff trains on them with seed 0.

    Rows of similar length share a batch, as with the Trainer's `group_by_length`, whose function it is.
    """
    from tuneoff.data.batches import make_epoch_batches

    return [
        row for epoch in range(1, epochs + 1) for batch in make_epoch_batches(lengths, batch_size, 0, epoch)
        for row in batch
    ]  # fmt: skip
