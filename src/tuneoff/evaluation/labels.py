"""The labels of a task whose answers are labels, and predictions by their likelihood."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.data.batches import chunk, collate_prompts, make_evaluation_batches
from tuneoff.data.example import Example
from tuneoff.errors import DataError
from tuneoff.models.continuations import score_continuations
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.token_trie import TokenTrie
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.micro_batch import MicroBatch
from tuneoff.runtime.progress import Progress

if TYPE_CHECKING:
    from datasets import Dataset

Encode = Callable[[Sequence[Example]], Mapping[str, list[Any]]]  # Any: as `Encoder.encode`


@dataclass(frozen=True)
class LabelSet:
    """The labels, with the tokens that a target of each has.

    Args:
        name_by_tokens: token ids with the end token, to the label. A label may have several sequences if its first
            tokens depend on how a prompt ends.
    """

    name_by_tokens: Mapping[tuple[int, ...], str]

    @classmethod
    def from_fact(cls, fact: Sequence[tuple[str, Sequence[int]]]) -> Self:
        """Return the labels that `to_fact` wrote."""
        return cls({tuple(tokens): name for name, tokens in fact})

    def to_fact(self) -> list[tuple[str, list[int]]]:
        """Return the labels as a record keeps them, so that a trained model can be used without its data."""
        return [(name, list(tokens)) for tokens, name in self.name_by_tokens.items()]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels, in the order of the train split or of the recipe."""
        return tuple(dict.fromkeys(self.name_by_tokens.values()))

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest label, with the end token."""
        return max(map(len, self.name_by_tokens))

    @cached_property
    def trie(self) -> TokenTrie:
        """The sequences that a constrained generation may write."""
        return TokenTrie(self.name_by_tokens)

    def find_name(self, generated: Sequence[int]) -> str:
        """Return the label whose tokens a row begins with. What follows is padding."""
        lengths = sorted(set(map(len, self.name_by_tokens)))
        beginnings = (tuple(generated[:length]) for length in lengths)
        return next(self.name_by_tokens[tokens] for tokens in beginnings if tokens in self.name_by_tokens)


def find_labels(options: EvaluationOptions, train: Dataset, encode: Encode) -> LabelSet | None:
    """Return the labels that predictions are chosen from; None if predictions are free text.

    Args:
        train: the tokenized train split.
        encode: tokenizes an example; used for labels that no example of train has.

    Raises:
        DataError: the targets of train are no labels, or labels cannot be told apart.
    """
    if options.labels is None and options.generation.constrain_to is None:
        return None
    names = options.labels.names if options.labels else None
    found = _collect_tokens(train)
    if names is None:
        _require_labels(found, len(train))
        return _build_label_set(found)
    missing = [name for name in names if name not in found]
    model_row = {"source": train["source"][0], "columns": json.loads(train["row"][0])}
    encoded = encode([Example(target=name, **model_row) for name in missing]) if missing else {}
    rows = zip(missing, encoded.get("tokens", []), encoded.get("prompt_tokens", []), strict=True)
    made = {name: {tuple(tokens[start:])} for name, tokens, start in rows}
    return _build_label_set({name: found.get(name) or made[name] for name in names})


def _collect_tokens(train: Dataset) -> dict[str, set[tuple[int, ...]]]:
    """Return the token sequences of each distinct target, without those that were cut."""
    columns = zip(train["target"], train["tokens"], train["prompt_tokens"], train["target_cut"], strict=True)
    sequences: dict[str, set[tuple[int, ...]]] = {}
    for target, tokens, start, is_cut in columns:
        if is_cut:
            raise DataError(
                f"The target {target[:60]!r} is longer than data.max_target_tokens, so it cannot be a label. Raise "
                "data.max_target_tokens, or remove evaluation.labels and evaluation.generation.constrain_to."
            )
        sequences.setdefault(target, set()).add(tuple(tokens[start:]))
    return sequences


def _require_labels(found: Mapping[str, object], rows: int) -> None:
    if len(found) < 2 or 2 * len(found) > rows:
        raise DataError(
            f"Predictions are to be labels, and the targets of train do not look like labels: {rows} examples have "
            f"{len(found)} distinct targets. Write the labels as evaluation.labels.names, or remove evaluation.labels "
            "and evaluation.generation.constrain_to."
        )


def _build_label_set(sequences: Mapping[str, set[tuple[int, ...]]]) -> LabelSet:
    counts = Counter(tokens for variants in sequences.values() for tokens in variants)
    same = [name for name, variants in sequences.items() if any(counts[tokens] > 1 for tokens in variants)]
    if same:
        raise DataError(
            f"The labels {', '.join(map(repr, same))} have the same tokens, so none can be told from another."
        )
    return LabelSet({tokens: name for name, variants in sequences.items() for tokens in sorted(variants)})


@torch.no_grad()
def predict_labels(
    model: LanguageModel, split: Dataset, labels: LabelSet, options: EvaluationOptions, context: TrialContext
) -> list[str]:
    """Return the most likely label of each example, in the order of the split.

    When memory runs out, the batches get smaller from then on.
    """
    micro_batch = MicroBatch(options.generation.batch_size)
    per_token = options.labels is not None and options.labels.per_token

    def predict(rows: Sequence[int], size: int) -> list[str]:
        parts = (choose_labels(model, split, part, labels, per_token=per_token) for part in chunk(rows, size))
        return [name for part in parts for name in part]

    name_by_row: dict[int, str] = {}
    model.eval()
    context.on_progress(Progress(phase="predictions", of=len(split)))
    with context.meter.phase("generation"), context.accelerator.autocast():
        for rows in make_evaluation_batches(split["prompt_tokens"], options.generation.batch_size):
            name_by_row.update(zip(rows, micro_batch.run_until_it_fits(partial(predict, rows)), strict=True))
            context.on_progress(Progress(phase="predictions", done=len(name_by_row), of=len(split)))
    return [name_by_row[row] for row in range(len(split))]


def choose_labels(
    model: LanguageModel, split: Dataset, rows: Sequence[int], labels: LabelSet, *, per_token: bool
) -> list[str]:
    """Return the most likely label of some rows of a split, in one batch on the model's device.

    Args:
        per_token: divide the log-probability of a label by the number of its tokens, which includes the end token.
    """
    tokens_BT, attention_BT = collate_prompts(split, rows, model.tokenizer.pad_token_id)
    device = model.network.device
    sequences = list(labels.name_by_tokens)
    scores_BC = score_continuations(model, tokens_BT.to(device), attention_BT.to(device), sequences)
    return [labels.name_by_tokens[tokens] for tokens in pick_likeliest(scores_BC, sequences, per_token=per_token)]


def pick_likeliest(
    scores_BC: Tensor, sequences: Sequence[tuple[int, ...]], *, per_token: bool
) -> list[tuple[int, ...]]:
    """Return the most likely sequence after each prompt, by the log-probability of each.

    Args:
        per_token: divide the log-probability by the number of tokens.
    """
    if per_token:
        scores_BC = scores_BC / scores_BC.new_tensor([len(tokens) for tokens in sequences])
    return [sequences[best] for best in scores_BC.argmax(dim=1).tolist()]
