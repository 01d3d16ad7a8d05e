"""A tokenizer for tiny models: one token for each byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.families.tiny import VOCABULARY


def build_tokenizer(folder: Path) -> Any:  # Any: transformers' tokenizers share no type
    """Return a tokenizer without merges, with ids below the vocabulary of the tiny models. It is saved in `folder`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<eos>", "<pad>", *alphabet])}
    assert len(vocabulary) <= VOCABULARY, "a model has a token for each byte"
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", model_max_length=512
    ).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)
