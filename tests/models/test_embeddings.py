"""Embeddings of a tiny model, against pooling by hand."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

from tuneoff.errors import ModelError
from tuneoff.models.embeddings import Embedder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sat", "ran", "on", "a", "mat"]
TEXTS = ["the cat sat on a mat", "the dog", "", "a dog ran on the mat on the mat"]


def save_embedding_model(folder: Path, pooling: str | None = "mean_tokens", *further: str) -> Path:
    """Write a tiny BERT as sentence-transformers does, or as a plain model without a word about pooling."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    if pooling:
        kinds = ["Transformer", "Pooling", *further]
        paths = {"Transformer": "", "Pooling": "1_Pooling"}
        modules = [{"path": paths.get(kind, kind), "type": f"sentence_transformers.models.{kind}"} for kind in kinds]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling").mkdir()
        options = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": False, f"pooling_mode_{pooling}": True}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(options))
    return folder


def pool_by_hand(folder: Path, text: str, pooling: str) -> torch.Tensor:
    inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        hidden_TD = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[0]
    pooled_D = hidden_TD.mean(dim=0) if pooling == "mean" else hidden_TD[0]
    return pooled_D / pooled_D.norm()


@pytest.mark.parametrize(("written", "pooling"), [("mean_tokens", "mean"), ("cls_token", "cls"), (None, "mean")])
def test_texts_are_pooled_as_the_model_says_and_padding_changes_nothing(
    tmp_path: Path, written: str | None, pooling: str
) -> None:
    folder = save_embedding_model(tmp_path / "model", written)
    embeddings_ND = Embedder(str(folder)).embed(TEXTS)
    expected_ND = torch.stack([pool_by_hand(folder, text, pooling) for text in TEXTS])
    torch.testing.assert_close(embeddings_ND, expected_ND, atol=1e-5, rtol=0)


def test_a_layer_that_normalizes_changes_nothing(tmp_path: Path) -> None:
    assert Embedder(str(save_embedding_model(tmp_path / "model", "mean_tokens", "Normalize"))).pooling == "mean"


def test_a_model_with_further_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a module Dense, which is not supported"):
        Embedder(str(save_embedding_model(tmp_path / "model", "mean_tokens", "Dense")))


def test_another_pooling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pools by pooling_mode_max_tokens"):
        Embedder(str(save_embedding_model(tmp_path / "model", "max_tokens")))


def test_a_file_about_pooling_that_is_missing_is_not_guessed(tmp_path: Path) -> None:
    folder = save_embedding_model(tmp_path / "model")
    (folder / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"names 1_Pooling/config.json, which is missing"):
        Embedder(str(folder))


def test_a_long_text_is_cut_where_the_model_was_trained_to(tmp_path: Path) -> None:
    folder = save_embedding_model(tmp_path / "model")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8}))
    embedder = Embedder(str(folder))
    assert embedder.max_tokens == 8
    same = embedder.embed(["cat " * 6, "cat " * 600])
    torch.testing.assert_close(same[0], same[1])


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    folder = save_embedding_model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="a pickle, which can run code"):
        Embedder(str(folder))
