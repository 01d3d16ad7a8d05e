"""Loading uses the model's own tensors, no remote code, and none of the generation options that it comes with."""

import json
from pathlib import Path

import pytest

from benchmarks.families.tiny import build_network
from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.models import tokenizer_cost
from tuneoff.models.loading import build_empty_model, load_model, load_tokenizer
from tuneoff.models.parameters import count_parameters
from tuneoff.models.sources import find_source


def test_weights_that_lack_a_tensor_are_refused_and_not_filled_with_random_numbers(model_copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(model_copy / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, model_copy / "model.safetensors", metadata={"format": "pt"})
    options = ModelOptions(name=str(model_copy))
    source = find_source(options)
    with pytest.raises(ModelError, match=r"lacks 1 of its tensors, such as model.layers.0.mlp.up_proj.weight"):
        load_model(source, options, load_tokenizer(source, options))


def test_a_penalty_that_a_model_ships_is_left_aside_and_its_end_tokens_are_kept(model_copy: Path) -> None:
    (model_copy / "generation_config.json").write_text(
        '{"repetition_penalty": 5.0, "do_sample": true, "eos_token_id": [7]}'
    )
    options = ModelOptions(name=str(model_copy))
    source = find_source(options)
    generation = load_model(source, options, load_tokenizer(source, options)).base.generation_config
    assert (generation.repetition_penalty, generation.do_sample, generation.eos_token_id) == (None, None, [0, 7])


def test_a_folder_that_is_no_causal_language_model_is_refused(model_copy: Path) -> None:
    (model_copy / "config.json").write_text('{"model_type": "resnet"}')
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match="not a causal language model"):
        build_empty_model(find_source(options), options, None)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "t5"}, "an encoder and a decoder"),
        ({"model_type": "gemma3"}, "reads more than text.* Its text model alone is one, a gemma3_text"),
        ({"model_type": "whisper"}, "an encoder and a decoder"),
        ({"model_type": "qwen2_vl"}, "reads more than text"),
        ({"model_type": "bert"}, "tokens see those after them"),
    ],
)
def test_a_model_that_is_not_decoder_only_is_refused_with_what_is_supported(
    config: dict[str, str], reason: str, model_copy: Path
) -> None:
    (model_copy / "config.json").write_text(json.dumps(config))
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match=rf"cannot be tuned: it is a .*{reason}") as refused:
        build_empty_model(find_source(options), options, None)
    assert "Supported are decoder-only language models, such as Llama" in str(refused.value)


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_writes_by_other_logits_than_those_it_is_trained_on_is_refused(model_copy: Path) -> None:
    build_network("xlm").save_pretrained(model_copy)
    options = ModelOptions(name=str(model_copy))
    source = find_source(options)
    with pytest.raises(ModelError, match="does not write the token that its logits predict"):
        load_model(source, options, load_tokenizer(source, options))


@pytest.mark.filterwarnings("ignore")  # of a model that is made without a checkpoint
def test_a_model_whose_tokens_see_those_after_them_is_refused_when_its_weights_are_known(model_copy: Path) -> None:
    build_network("bert-generation").save_pretrained(model_copy)
    options = ModelOptions(name=str(model_copy))
    source = find_source(options)
    with pytest.raises(ModelError, match="in a BertGenerationDecoder, tokens see those after them"):
        load_model(source, options, load_tokenizer(source, options))


def test_a_model_that_wants_remote_code_is_refused_unless_the_recipe_allows_it(model_copy: Path) -> None:
    config = model_copy / "config.json"
    config.write_text(
        config.read_text()
        .replace('"model_type": "llama"', '"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}')
    )  # fmt: skip
    (model_copy / "own.py").write_text("raise SystemExit('remote code ran')")
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match="trust_remote_code"):
        load_model(find_source(options), options, None)


def test_a_tokenizer_without_a_pad_token_pads_with_eos(model_copy: Path) -> None:
    config = model_copy / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"<pad>"', "null"))
    options = ModelOptions(name=str(model_copy))
    assert load_tokenizer(find_source(options), options).pad_token == "<eos>"


def test_the_outline_has_the_models_parameters_and_no_weights(model_copy: Path) -> None:
    options = ModelOptions(name=str(model_copy))
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)
    shape = build_empty_model(source, options, tokenizer)
    assert {p.device.type for p in shape.parameters()} == {"meta"}
    assert count_parameters(shape) == count_parameters(load_model(source, options, tokenizer))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_hidden_layers", 10**7, "num_hidden_layers: 10,000,000, and no model has more than 2,000"),
        ("hidden_size", 10**9, "hidden_size: 1,000,000,000"),
        ("num_attention_heads", 0, "not a causal language model that can be built here"),
        ("num_attention_heads", [4], "not a causal language model that can be built here"),
        ("hidden_size", "wide", "not a causal language model that can be built here"),
        ("vocab_size", None, "not a causal language model that can be built here"),
    ],
)
def test_a_config_with_impossible_sizes_is_refused(model_copy: Path, key: str, value: object, message: str) -> None:
    config = model_copy / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {key: value}))
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match=message):
        build_empty_model(find_source(options), options, None)


def change_tokenizer(folder: Path, **parts: object) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | parts))


def test_a_tokenizer_at_which_its_library_panics_is_refused(model_copy: Path) -> None:
    tokenizer = json.loads((model_copy / "tokenizer.json").read_text())
    tokenizer["model"]["continuing_subword_prefix"] = "longer than every token"
    (model_copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match=r"no tokenizer that can be loaded: .*out of range"):
        load_tokenizer(find_source(options), options)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$"])
def test_a_tokenizer_whose_expression_does_not_end_is_refused(
    model_copy: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_cost, "LONGEST_SECONDS", 2.0)
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    change_tokenizer(model_copy, pre_tokenizer=split)
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match=r"regular expression that does not end .*: '\(a"):
        load_tokenizer(find_source(options), options)


@pytest.mark.parametrize(
    "pattern",
    [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}|[(a+)+]\(a+\)+",
    ],
)
def test_the_expressions_of_common_tokenizers_are_not_suspected(pattern: str) -> None:
    assert not tokenizer_cost.may_backtrack_without_end(pattern)


def test_an_expression_that_is_suspected_and_ends_is_accepted(model_copy: Path) -> None:
    split = {"type": "Split", "pattern": {"Regex": "(?:ab|cd)+"}, "behavior": "Isolated", "invert": False}
    assert tokenizer_cost.may_backtrack_without_end("(?:ab|cd)+")
    change_tokenizer(model_copy, pre_tokenizer=split)
    options = ModelOptions(name=str(model_copy))
    assert load_tokenizer(find_source(options), options).eos_token == "<eos>"


@pytest.mark.parametrize("content", ["a" * 20_000, "aa"])
def test_a_normalizer_that_grows_a_text_without_bound_is_refused(model_copy: Path, content: str) -> None:
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": content}
    change_tokenizer(model_copy, normalizer={"type": "Sequence", "normalizers": [step] * 40})
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match=r"makes .* characters of one, and 10,000 is the limit"):
        load_tokenizer(find_source(options), options)
