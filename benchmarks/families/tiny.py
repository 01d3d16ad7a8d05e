"""Tiny models of every decoder-only architecture that the installed transformers has.

A config gets small values for the keys that it knows, under whatever names. `PECULIAR` has what an architecture needs
beyond that, and `UNBUILT` which ones are left out and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto import modeling_auto

from tuneoff.models.probe import is_causal, writes_by_its_logits
from tuneoff.models.supported import describe_unsupported

VOCABULARY = 320
CONTEXT = 256  # positions

# Keys by the value that they get.
_KEYS: Mapping[int, str] = {
    VOCABULARY: "vocab_size vocab_size_per_layer_input",
    CONTEXT: "max_position_embeddings n_positions max_seq_len max_sequence_length n_ctx",
    48: "intermediate_size n_inner ffn_dim ffn_hidden_size dim_feedforward dim_ff dff",
    32: "hidden_size n_embd d_model embed_dim lru_width hidden_size_per_layer_input emb_dim",
    24: "moe_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size",
    16: "q_lora_rank kv_lora_rank",
    8: "head_dim kv_channels attention_head_dim v_head_dim qk_nope_head_dim qk_rope_head_dim index_head_dim "
    "swa_head_dim swa_v_head_dim sliding_window window_size attention_window_size",
    4: "num_attention_heads n_head num_heads n_heads num_experts num_local_experts n_routed_experts moe_num_experts",
    2: "num_hidden_layers n_layer num_layers n_layers num_key_value_heads num_kv_heads swa_num_key_value_heads "
    "num_experts_per_tok moe_topk moe_k num_experts_per_token top_k_experts",
    1: "n_group topk_group num_expert_group pad_token_id",
    0: "bos_token_id eos_token_id",
}  # fmt: skip
SMALL = {key: value for value, keys in _KEYS.items() for key in keys.split()}

_LATENT = {"num_key_value_heads": 4}  # one latent vector for all heads
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8}
_SLIDING = ["sliding_attention", "full_attention"]
_BYTE_LEVEL = {"hidden_size": 32, "hidden_size_global": 32, "num_attention_heads": 4, "num_hidden_layers": 1,
               "intermediate_size": 48, "vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT}  # fmt: skip
PECULIAR: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(
        ("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite",
         "glm_moe_dsa", "longcat_flash", "minicpm3", "youtu", "bailing_hybrid"), _LATENT
    ),
    "blt": {"encoder_hash_byte_group_vocab": 64, "num_hidden_layers": 1,
            **dict.fromkeys(("patcher_config", "encoder_config", "decoder_config", "global_config"), _BYTE_LEVEL)},
    "cohere_compass_text": {
        "layer_types": ["full_attention"] * 2,
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}},
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
             "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2}},
    "dots3_note_text": {
        **_LATENT, "index_n_heads": 2, "index_topk": 8,
        "per_layer_config": {"1": {**_LATENT, "head_dim": 16, "num_attention_heads": 4, "kv_lora_rank": 16,
                                   "q_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}},
    },
    "kimi_linear": {**_LATENT, "linear_head_dim": 8, "linear_num_heads": 4},
    "qwen4_exp_text": {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8,
                       "indexer_compress_ratio": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
                       "linear_num_key_heads": 2, "linear_num_value_heads": 4, "hc_lowrank": 8},
    "trocr": {"decoder_ffn_dim": 48, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4},
    "xlstm": {"hidden_size": 64, "qk_dim_factor": 1.0},  # its width is rounded up to 64 in some places
    "zamba": {"num_hidden_layers": 3, "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
              "mamba_d_state": 8},
    "zamba2": {"num_hidden_layers": 2, "layers_block_type": ["linear_attention", "hybrid"], "mamba_d_state": 8,
               "adapter_rank": 4, "intermediate_size": 48},
    "codegen": {"rotary_dim": 4},
    "gptj": {"rotary_dim": 4},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1},
    "gemma2": {"final_logit_softcapping": 3.0, "attn_implementation": "eager"},
    "gemma3n_text": {"layer_types": _SLIDING, "num_kv_shared_layers": 0, "intermediate_size": [48, 48],
                     "activation_sparsity_pattern": [0.0, 0.0]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {**_MAMBA, "layer_types": ["mamba", "attention"]},
    "bamba": {**_MAMBA, "attn_layer_indices": [1]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 8},
    "recurrent_gemma": {"num_hidden_layers": 3},  # two recurrent layers and one with attention
    "xlm": {"causal": True},
    "zaya": {"num_experts_per_tok": 1},
}  # fmt: skip

_ASSISTS = "reads the keys and values of the model that it assists, and no text of its own"
UNBUILT: Mapping[str, str] = dict.fromkeys(("gemma4_assistant", "gemma4_unified_assistant"), _ASSISTS)

MOST_PARAMETERS = 3_000_000


def list_architectures() -> list[str]:
    """List the types of all models that transformers loads as causal language models."""
    return sorted(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def explain_absence(architecture: str) -> str:
    """Return why an architecture is not checked; empty if it is."""
    if architecture in UNBUILT:
        return UNBUILT[architecture]
    try:
        if reason := describe_unsupported(build_config(architecture)):
            return reason.partition(".")[0]
        size = sum(parameter.numel() for parameter in build_empty_network(architecture).parameters())
        if size > MOST_PARAMETERS:
            return f"cannot be made tiny: {size:,} parameters"
        if not is_causal(build_network(architecture)):
            return "its tokens see those after them"
        if not writes_by_its_logits(build_network(architecture)):
            return "does not write the token that its logits predict"
    except Exception as error:  # the configs and the models' own code raise all types of errors
        return f"cannot be made tiny: {type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return ""


def build_config(architecture: str, **overrides: Any) -> Any:
    """Return the config of a model with a width of 32 and one layer of each kind, but at least two."""
    default = AutoConfig.for_model(architecture).to_dict()
    small = {name: value for name, value in SMALL.items() if name in default}
    kinds = list(dict.fromkeys(default.get("layer_types") or ()))
    if len(kinds) > 1:
        small |= {"num_hidden_layers": len(kinds), "layer_types": kinds}
    return AutoConfig.for_model(architecture, **{**small, **PECULIAR.get(architecture, {}), **overrides})


def build_empty_network(architecture: str) -> Any:
    """Return transformers' model without weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(build_config(architecture))


def build_network(architecture: str, **overrides: Any) -> Any:
    """Return transformers' model with random weights, the same at each call."""
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(build_config(architecture, **overrides)).eval()
