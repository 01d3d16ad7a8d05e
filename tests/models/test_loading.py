"""Loading uses the model's own tensors, no remote code, and none of the generation options that it comes with."""

from pathlib import Path

import pytest

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
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
    (model_copy / "config.json").write_text('{"model_type": "t5"}')
    options = ModelOptions(name=str(model_copy))
    with pytest.raises(ModelError, match="not a causal language model"):
        build_empty_model(find_source(options), options, None)


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
