"""Text that has nothing to do with any task: what a tuned model says of it shows what it forgot.

Python ships its own language reference as plain English text for `help()`, so that it is there on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

PASSAGE_TOKENS = 128


def load_unrelated_text(tokenizer: PreTrainedTokenizerBase, passages: int, max_tokens: int) -> Dataset:
    """Passages evenly spread over the reference, in the columns of a split; every token but the first is scored.

    Args:
        passages: how many.
        max_tokens: of a passage, if fewer than `PASSAGE_TOKENS`.
    """
    from pydoc_data.topics import topics

    from datasets import Dataset

    length = min(PASSAGE_TOKENS, max_tokens)
    whole = "\n\n".join(" ".join(topics[name].split()) for name in sorted(topics))
    starts = [i * len(whole) // passages for i in range(passages)]
    texts = [whole[start : start + 8 * length] for start in starts]
    tokens = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
    return Dataset.from_dict({"tokens": tokens, "prompt_tokens": [1] * passages})
