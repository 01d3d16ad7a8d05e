"""How a run asks the model of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tuneoff.data import TextData, load_text
from tuneoff.data.example import Row
from tuneoff.data.other_prompts import PromptWriter
from tuneoff.data.unanswered import build_unanswered
from tuneoff.errors import DataError
from tuneoff.methods import get_method
from tuneoff.records.trial import Trial


def make_prompt_writer(trial: Trial, tokenizer: Any) -> PromptWriter:  # Any: transformers' tokenizers share no type
    """Return what writes the prompts of a trial. The data is read again only if it shows examples of train.

    Raises:
        DataError: the data is gone, or is not that of the run.
    """
    method = get_method(trial.method).read(trial.hyperparameters)
    return method.make_prompts(trial.setting.data, tokenizer, lambda: _load_text(trial, tokenizer), trial.seed)


def encode_unanswered(asked: Sequence[str | Row | Sequence[Row]], writer: PromptWriter) -> list[list[int]]:
    """Return the tokens of a run's prompt for each source; see `TrainedModel.generate`.

    Raises:
        DataError: a row lacks a column that the template uses, or a chat does not fit the template.
    """
    return writer.encode([build_unanswered(source, writer.options) for source in asked])


def _load_text(trial: Trial, tokenizer: Any) -> TextData:
    setting, sample = trial.setting, trial.train_sample
    text = load_text(setting.data, tokenizer, () if sample is None else (trial.seed,))
    if text.summary.fingerprint != setting.data_fingerprint or sample not in (None, *text.train_samples):
        raise DataError(
            f"{trial.label} shows examples of the run's train split, and the data is another one now. Restore it, or "
            "run the comparison again in a new run directory."
        )
    return text if sample is None else replace(text, train=text.train_samples[sample])
