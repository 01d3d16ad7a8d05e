"""What is exported: a trained model, where it came from, and the prompts that every export is checked with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.sources import Source
from tuneoff.records.record import Record


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A test example as tokens."""

    tokens: tuple[int, ...]
    answer: tuple[int, ...]  # the reference, with its end token


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """A finished trial of a run.

    Args:
        model: the tuned model in float32 on the CPU, not merged. A quantised base has plain layers in it, with the
            weights that its codes stand for.
        quantised: the tuned model on its quantised base, as the run judged it; None if the base is not quantised.
        source: the base model's files.
        adapter: the folder of what the trial trained.
        prompts: test examples to check an export with.
    """

    comparison: Comparison
    record: Record
    model: LanguageModel
    source: Source
    adapter: Path
    prompts: tuple[Prompt, ...]
    quantised: LanguageModel | None = None

    @property
    def label(self) -> str:
        """The method, as the recipe labels it."""
        return self.record.trial.label

    @property
    def tokenizer(self) -> Any:  # Any: transformers' tokenizers share no type
        """The base model's tokenizer as it came, without the pad token that training adds."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(
            self.source.folder, trust_remote_code=self.record.trial.setting.model.trust_remote_code
        )
