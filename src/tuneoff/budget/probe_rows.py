"""The rows that a probe runs on: taken from train, so that a probe reads neither validation nor test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tuneoff.data import TextData, count_tokens
from tuneoff.runner.prepare import Preparation

if TYPE_CHECKING:
    from datasets import Dataset


def choose_probe_rows(preparation: Preparation) -> TextData:
    """In place of train the longest rows and some typical ones, of validation a batch, of test a batch of prompts."""
    recipe, whole = preparation.recipe, preparation.text.train
    lengths, prompts = count_tokens(whole), list(whole["prompt_tokens"])
    size = recipe.training.effective_batch_size
    by_length = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    middle = by_length[len(by_length) // 2 :][: math.ceil(size / 2)]
    by_prompt = sorted(range(len(prompts)), key=lambda row: -prompts[row])
    evaluated_rows = max(len(preparation.text.validation), len(preparation.text.test))
    generated = min(recipe.evaluation.generation.batch_size, len(preparation.text.test))
    return replace(
        preparation.text,
        train=whole.select(list(dict.fromkeys([*by_length[:size], *middle]))),
        validation=repeat_rows(whole, by_length, min(recipe.evaluation.batch_size, evaluated_rows)),
        test=repeat_rows(whole, by_prompt, generated),
    )


def repeat_rows(split: Dataset, rows: Sequence[int], number: int) -> Dataset:
    """The first of those rows, over again where there are too few."""
    return split.select([rows[i % len(rows)] for i in range(number)])
