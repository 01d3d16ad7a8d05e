"""Architectures that differ from those of `test_contract.py`: experts, recurrent layers, position biases, learned
positions. `python -m benchmarks.families` checks all that transformers has."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.families.checks import CHECKED, check_method, is_prefix_like_text
from benchmarks.families.tiny import build_network
from benchmarks.families.tokenizer import build_tokenizer
from tuneoff.methods import METHODS
from tuneoff.models.coverage import describe_untouched
from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.prefix_cache import has_prefix_in_cache
from tuneoff.models.probe import generates_rows_together
from tuneoff.models.structure import (
    find_adaptable_linears,
    find_blocks,
    find_down_projections,
    find_keys_and_values,
    find_mlp,
)

FAMILIES = ("bloom", "gptj", "jamba", "mamba", "mixtral", "opt")
MISFITS = {
    ("jamba", "prefix"): "does not store plain keys and values in every layer",
    ("mamba", "prefix"): "does not store plain keys and values in every layer",
    ("mamba", "ia3"): "no linear layers for keys and values",
    ("mixtral", "bitfit"): "this model has none",
}
UNLIKE_THE_OTHERS = ("full", "dora", "pissa", "ia3", "adapter", "soft-prompt", "prefix")

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # of models that are made without a checkpoint


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize("name", UNLIKE_THE_OTHERS)
@pytest.mark.parametrize("architecture", FAMILIES)
def test_a_method_keeps_its_promises_or_says_why_it_does_not_fit(architecture: str, name: str, tokenizer: Any) -> None:
    outcome = check_method(architecture, name, tokenizer)
    assert outcome.broken == ()
    assert MISFITS.get((architecture, name), "") in outcome.reason
    assert bool(outcome.reason) is ((architecture, name) in MISFITS)


@pytest.mark.parametrize("name", sorted(set(CHECKED) - set(UNLIKE_THE_OTHERS)))
def test_the_other_methods_do_so_too_where_layers_differ(name: str, tokenizer: Any) -> None:
    assert check_method("jamba", name, tokenizer).broken == ()


def test_layers_that_share_a_weight_are_not_merged(tokenizer: Any) -> None:
    """Each would add its update to it, so that the merged model would be another one."""
    assert check_method("zamba", "lora", tokenizer).broken == ()


@pytest.mark.parametrize("architecture", ["bloom", "gptj", "codegen", "falcon", "mpt"])
def test_a_prefix_in_the_cache_equals_its_text_before_every_row(architecture: str) -> None:
    network = build_network(
        architecture, **({"attention_types": [[["global"], 2]]} if architecture == "gpt_neo" else {})
    )
    assert is_prefix_like_text(network)
    assert has_prefix_in_cache(network) is (architecture != "gpt_neo")


@pytest.mark.parametrize("architecture", ["mixtral", "gpt_oss", "deepseek_v3", "opt", "cohere2"])
def test_a_prefix_in_the_attention_equals_its_text_before_every_row(architecture: str) -> None:
    network = build_network(architecture)  # a prefix of three tokens and four of text are within every window
    assert is_prefix_like_text(network)
    assert not has_prefix_in_cache(network)


def test_a_prefix_in_the_cache_is_never_trained_with_gradient_checkpointing_which_would_drop_it(tokenizer: Any) -> None:
    network = build_network("bloom")
    model = CHECKED["prefix"].apply(LanguageModel(network, tokenizer, "tiny", split_head=True)).train()
    set_gradient_checkpointing(model.base, True)
    with pytest.raises(ValueError, match="cannot be trained with gradient checkpointing"):
        model.network(input_ids=torch.zeros(1, 3, dtype=torch.long))


def test_rows_are_generated_alone_where_transformers_mixes_up_their_states(tokenizer: Any) -> None:
    assert not generates_rows_together(build_network("rwkv"))
    assert check_method("rwkv", "base", tokenizer).broken == ()


def test_low_rank_updates_leave_out_layers_that_a_fused_kernel_does_not_call() -> None:
    adaptable, others = find_adaptable_linears(build_network("mamba"))
    assert {name.rpartition(".")[2] for name in adaptable} == {"in_proj", "x_proj"}
    assert {name.rpartition(".")[2] for name in others} == {"out_proj", "dt_proj"}


def test_low_rank_updates_leave_out_a_router_that_returns_several_tensors() -> None:
    _, others = find_adaptable_linears(build_network("llama4_text"))
    assert {name.rpartition(".")[2] for name in others} == {"router"}


@pytest.mark.parametrize("architecture", ["gpt_oss", "granitemoe"])
def test_lora_adapts_experts_that_are_held_as_one_parameter_if_it_is_told_to(
    architecture: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = LanguageModel(build_network(architecture), tokenizer, "tiny", split_head=True)
    monkeypatch.setitem(CHECKED, "lora", METHODS["lora"].read({"experts": True}))  # type: ignore[arg-type]
    tuned = CHECKED["lora"].apply(LanguageModel(build_network(architecture), tokenizer, "tiny", split_head=True))
    assert describe_untouched(METHODS["lora"].read({}).apply(base), base) != ()
    assert describe_untouched(tuned, tuned) == ()
    assert check_method(architecture, "lora", tokenizer).broken == ()


@pytest.mark.parametrize(
    ("architecture", "method", "options", "reason"),
    [
        ("gpt_oss", "lora", {"dropout": 0.1}, "write dropout: 0.0"),
        ("gpt_oss", "dora", {}, "peft has no dora for experts"),
        ("mixtral", "lora", {}, "its experts are part of modules: all-linear"),
        ("opt", "lora", {}, "the model has no experts"),
    ],
)
def test_experts_that_cannot_be_adapted_are_refused_with_the_cure(
    architecture: str, method: str, options: dict[str, Any], reason: str, tokenizer: Any
) -> None:
    model = LanguageModel(build_network(architecture), tokenizer, "tiny", split_head=True)
    with pytest.raises(ValueError, match=reason):
        METHODS[method].read({"experts": True, **options}).apply(model)


def test_pissa_leaves_out_layers_of_a_lower_rank_than_its_own(tokenizer: Any) -> None:
    network = build_network("gemma3n_text")  # its updates between copies of the hidden state have a rank of three
    tuned = CHECKED["pissa"].apply(LanguageModel(network, tokenizer, "tiny", split_head=True))
    assert not [name for name, _ in tuned.named_parameters() if "coefs.lora" in name]
    assert check_method("gemma3n_text", "pissa", tokenizer).broken == ()


def test_a_soft_prompt_does_not_fit_a_model_that_cannot_generate_from_vectors(tokenizer: Any) -> None:
    assert "cannot generate with a prompt of vectors" in check_method("bamba", "soft-prompt", tokenizer).reason


def test_a_soft_prompt_does_not_fit_a_model_that_looks_its_input_up_in_its_table(tokenizer: Any) -> None:
    assert "the `inputs_embeds` you provided do not" in check_method("gemma4_text", "soft-prompt", tokenizer).reason


def test_the_blocks_are_not_a_longer_list_of_single_layers() -> None:
    assert {type(block).__name__ for block in find_blocks(build_network("gemma3n_text"))} == {"Gemma3nTextDecoderLayer"}


@pytest.mark.parametrize(
    ("architecture", "found"),
    [
        ("opt", nn.Linear),
        ("mamba", "MambaMixer"),
        ("granitemoe", "GraniteMoeMoE"),
        ("phi3", "Phi3MLP"),
        ("ctrl", nn.Linear),
    ],
)
def test_the_mlp_is_found_also_where_it_has_no_module_of_its_own(architecture: str, found: Any) -> None:
    mlp = find_mlp(find_blocks(build_network(architecture))[0])
    assert found in {type(mlp), type(mlp).__name__}
    if architecture == "opt":
        assert mlp.out_features == 32


def test_ia3_rescales_keys_values_and_inner_layers_where_peft_has_no_default() -> None:
    network = build_network("biogpt")
    names = {name.rpartition(".")[2] for name in find_keys_and_values(network)}
    assert names == {"k_proj", "v_proj"}
    assert {name.rpartition(".")[2] for name in find_down_projections(network)} == {"fc2"}
