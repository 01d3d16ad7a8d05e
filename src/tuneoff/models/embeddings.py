"""Embeddings of texts by a model of sentence-transformers, computed by transformers alone.

Source: Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", section 3, on
pooling.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from transformers import AutoModel, AutoTokenizer

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.models.sources import find_source

Pooling = Literal["mean", "cls"]

BATCH_SIZE = 32
MOST_TOKENS = 8192  # of a text, where neither the model nor its tokenizer has a limit
PLAIN_MODULES = ("Transformer", "Pooling", "Normalize")  # the last one changes no cosine


class Embedder:
    """An embedding model. Its weights are read as safetensors, and its own code is not run.

    Raises:
        ModelError: there is no such model, or it does more than pool the last hidden states.
    """

    def __init__(self, name: str) -> None:
        folder = find_source(ModelOptions(name=name)).folder
        self.pooling = _read_pooling(folder, name)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self._model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32).eval()
        except Exception as error:  # what tokenizers and transformers raise on broken files has no common type
            raise ModelError(f"{name} cannot be loaded as an embedding model: {error}") from error
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._tokenizer.padding_side = "right"
        self.max_tokens = _find_limit(folder, self._tokenizer.model_max_length, self._model.config)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings of texts as unit vectors, (N, D). What exceeds `max_tokens` is cut at the end."""
        rows = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        starts = range(0, len(rows), BATCH_SIZE)
        parts = [self._embed_batch([texts[i] for i in rows[start : start + BATCH_SIZE]]) for start in starts]
        places = torch.empty(len(rows), dtype=torch.long)
        places[rows] = torch.arange(len(rows))
        return torch.cat(parts)[places]

    def _embed_batch(self, texts: Sequence[str]) -> torch.Tensor:
        inputs = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self._device)
        hidden_BTD = self._model(**inputs).last_hidden_state
        if self.pooling == "cls":
            pooled_BD = hidden_BTD[:, 0]
        else:
            mask_BT1 = inputs["attention_mask"][:, :, None].to(hidden_BTD.dtype)
            pooled_BD = (hidden_BTD * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1)
        return torch.nn.functional.normalize(pooled_BD, dim=1).cpu()


def _read_pooling(folder: Path, name: str) -> Pooling:
    """Return how the model pools; without a word about it in its files, by the mean.

    Raises:
        ModelError: it pools in another way, or has further layers.
    """
    if not (folder / "modules.json").is_file():
        return "mean"
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    kinds = {str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in modules}
    if further := sorted(kinds.keys() - set(PLAIN_MODULES)):
        raise ModelError(f"{name} has a module {further[0]}, which is not supported. Name a model without one.")
    if "Pooling" not in kinds:
        return "mean"
    file = _find_file(folder, name, f"{kinds['Pooling']}/config.json")
    options = json.loads(file.read_text(encoding="utf-8"))
    chosen = [key for key, value in options.items() if key.startswith("pooling_mode") and value is True]
    match chosen:
        case ["pooling_mode_mean_tokens"]:
            return "mean"
        case ["pooling_mode_cls_token"]:
            return "cls"
    raise ModelError(f"{name} pools by {', '.join(chosen) or 'nothing'}. Only mean and CLS are supported.")


def _find_file(folder: Path, name: str, file: str) -> Path:
    """Return a file of the model, which is downloaded if it is missing, because weights are downloaded without folders.

    Raises:
        ModelError: the model does not have it.
    """
    path = folder / file
    if path.is_file() or Path(name).expanduser().is_dir():
        if not path.is_file():
            raise ModelError(f"{folder} has a modules.json that names {file}, which is missing.")
        return path
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, file, revision=folder.name))
    except Exception as error:  # the hub's errors have no common type
        raise ModelError(f"The hub returned no {file} of {name}: {error}") from error


def _find_limit(folder: Path, of_tokenizer: int, config: object) -> int:
    """Return the most tokens of a text: those that the model was trained with, where its files say so."""
    file = folder / "sentence_bert_config.json"
    of_file = json.loads(file.read_text(encoding="utf-8")).get("max_seq_length") if file.is_file() else None
    limits = [of_file, of_tokenizer, getattr(config, "max_position_embeddings", None), MOST_TOKENS]
    return min(limit for limit in limits if isinstance(limit, int) and limit > 0)
