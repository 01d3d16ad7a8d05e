"""The rows that a probe runs on. They all come from train, so that a probe reads neither validation nor test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tuneoff.data import TextData, count_tokens
from tuneoff.runner.prepare import Preparation

if TYPE_CHECKING:
    from datasets import Dataset


def choose_probe_rows(preparation: Preparation, text: TextData) -> TextData:
    """Return a text of a comparison with its splits replaced by rows of train.

    Train becomes an effective batch of the longest rows and half a batch of rows of typical length. Validation becomes
    one evaluation batch of the longest rows, test one batch of the rows with the longest prompts.
    """
    recipe = preparation.recipe
    lengths, prompt_lengths = count_tokens(text.train), list(text.train["prompt_tokens"])
    size = recipe.training.effective_batch_size
    by_length = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    typical = by_length[len(by_length) // 2 :][: math.ceil(size / 2)]
    by_prompt_length = sorted(range(len(prompt_lengths)), key=lambda row: -prompt_lengths[row])
    evaluated_rows = max(len(text.validation), len(text.test))
    generated_rows = min(recipe.evaluation.generation.prompts_at_once, len(text.test))
    return replace(
        text,
        train=text.train.select(list(dict.fromkeys([*by_length[:size], *typical]))),
        validation=repeat_rows(text.train, by_length, min(recipe.evaluation.batch_size, evaluated_rows)),
        test=repeat_rows(text.train, by_prompt_length, generated_rows),
    )


def repeat_rows(split: Dataset, rows: Sequence[int], number: int) -> Dataset:
    """Return the first `number` of the given rows, starting over if there are fewer."""
    return split.select([rows[i % len(rows)] for i in range(number)])
