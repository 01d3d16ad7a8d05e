"""Text unrelated to any task: the loss of a tuned model on it shows what the model forgot.

Python ships its language reference as plain English text for `help()`, so it is available on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneoff.data.tokens import keep_truncation

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

PASSAGE_TOKENS = 128


def load_unrelated_text(tokenizer: PreTrainedTokenizerBase, passages: int, max_tokens: int) -> Dataset:
    """Load passages spread evenly over the reference, as a split in which every token except the first is scored.

    Args:
        passages: number of passages.
        max_tokens: limit for each passage; at most `PASSAGE_TOKENS` are used.
    """
    from pydoc_data.topics import topics

    from datasets import Dataset

    length = min(PASSAGE_TOKENS, max_tokens)
    reference = "\n\n".join(" ".join(topics[name].split()) for name in sorted(topics))
    starts = [i * len(reference) // passages for i in range(passages)]
    texts = [reference[start : start + 8 * length] for start in starts]
    with keep_truncation(tokenizer):
        tokens = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
    return Dataset.from_dict({"tokens": tokens, "prompt_tokens": [1] * passages})
