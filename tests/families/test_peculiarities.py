"""What single families do differently, against plain transformers: soft caps, short windows, M-RoPE, hybrid layers, and
learned positions that end."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tuneoff
from benchmarks.families.checks import CHECKED
from benchmarks.families.tiny import build_network
from benchmarks.families.tokenizer import build_tokenizer
from tuneoff.errors import RecipeError
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.probe import can_split_head

LONG = 29  # tokens, far beyond the tiny models' windows of 8

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # of models that are made without a checkpoint


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def make_tokens(length: int, rows: int = 2) -> Tensor:
    return torch.randint(2, 320, (rows, length), generator=torch.Generator().manual_seed(3))


def build_model(architecture: str, tokenizer: Any, **config: Any) -> LanguageModel:
    network = build_network(architecture, **config)
    network.generation_config.eos_token_id, network.generation_config.pad_token_id = None, 1
    return LanguageModel(network, tokenizer, "tiny", split_head=can_split_head(network)).eval()


def compute_own(model: LanguageModel, tokens_BT: Tensor) -> Tensor:
    """Our logits for every token but the first, with three tokens of padding behind each row."""
    padded_BT = torch.nn.functional.pad(tokens_BT, (0, 3), value=1)
    attention_BT = (torch.arange(padded_BT.shape[1]) < tokens_BT.shape[1]).long().expand(len(tokens_BT), -1)
    scored_BT = attention_BT.bool().clone()
    scored_BT[:, 0] = False
    with torch.no_grad():
        return model.logits(padded_BT, attention_BT, scored_BT)


def compute_plain(model: LanguageModel, tokens_BT: Tensor) -> Tensor:
    """Those of transformers' model, each row alone and without padding."""
    with torch.no_grad():
        rows = [model.base(input_ids=row[None], use_cache=False).logits[0, :-1] for row in tokens_BT]
    return torch.cat(rows)


def generate_plain(model: LanguageModel, row_T: Tensor, new_tokens: int) -> Tensor:
    """The likeliest tokens one after another, from transformers' model without a cache."""
    text_1T = row_T[None]
    for _ in range(new_tokens):
        with torch.no_grad():
            likeliest = model.base(input_ids=text_1T, use_cache=False).logits[:, -1:].argmax(-1)
        text_1T = torch.cat([text_1T, likeliest], dim=1)
    return text_1T[0, len(row_T) :]


@pytest.mark.parametrize("caps", [{"final_logit_softcapping": 0.02}, {"attn_logit_softcapping": 0.001}])
def test_gemma_2_caps_its_logits_and_scores_as_in_transformers(caps: dict[str, float], tokenizer: Any) -> None:
    model, tokens_BT = build_model("gemma2", tokenizer, **caps), make_tokens(7)
    own = compute_own(model, tokens_BT)
    torch.testing.assert_close(own, compute_plain(model, tokens_BT), rtol=1e-4, atol=1e-6)
    without = build_model("gemma2", tokenizer, **dict.fromkeys(caps))
    assert not torch.allclose(own, compute_own(without, tokens_BT), rtol=1e-2, atol=1e-4)  # the cap has an effect


@pytest.mark.parametrize("name", ["lora", "adapter", "prefix", "soft-prompt"])
def test_a_soft_cap_also_holds_for_a_tuned_model(name: str, tokenizer: Any) -> None:
    model = CHECKED[name].apply(build_model("gemma2", tokenizer, final_logit_softcapping=0.02)).eval()
    assert compute_own(model, make_tokens(7)).abs().max() <= 0.02


@pytest.mark.parametrize(
    "architecture",
    ["gemma2", "gemma3_text", "mistral", "cohere2", "gpt_oss", "gpt_neo",  # windows shorter than the text
     "qwen3_5_text",  # M-RoPE
     "lfm2", "jamba", "qwen3_next"],  # hybrid layers
)  # fmt: skip
def test_logits_and_generation_are_those_of_plain_transformers(architecture: str, tokenizer: Any) -> None:
    model, tokens_BT = build_model(architecture, tokenizer), make_tokens(LONG)
    torch.testing.assert_close(compute_own(model, tokens_BT), compute_plain(model, tokens_BT), rtol=1e-4, atol=1e-5)
    attention_BT = torch.ones_like(tokens_BT)
    attention_BT[0, :4] = 0
    generated_BN = generate(model, tokens_BT, attention_BT, max_new_tokens=6)
    expected = [generate_plain(model, row[mask.bool()], 6) for row, mask in zip(tokens_BT, attention_BT, strict=True)]
    assert torch.equal(generated_BN, torch.stack(expected))


def test_all_tokens_see_a_prefix_also_where_it_is_outside_their_window(tokenizer: Any) -> None:
    model = CHECKED["prefix"].apply(build_model("mistral", tokenizer))
    logits = compute_own(model, make_tokens(LONG, rows=1))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 1
    moved = (compute_own(model, make_tokens(LONG, rows=1)) - logits).abs().amax(dim=1)
    assert bool((moved > 0).all())


@pytest.mark.parametrize("architecture", ["gpt2", "opt", "biogpt"])
def test_a_prompt_and_a_text_fill_learned_positions_to_the_last_one(architecture: str, tokenizer: Any) -> None:
    positions, prompt, new_tokens = 256, CHECKED["soft-prompt"].context_tokens, 4
    model = CHECKED["soft-prompt"].apply(build_model(architecture, tokenizer)).eval()
    tokens_BT = make_tokens(positions - prompt - new_tokens)
    assert torch.isfinite(compute_own(model, tokens_BT)).all()
    generated_BN = generate(model, tokens_BT, torch.ones_like(tokens_BT), max_new_tokens=new_tokens)
    assert generated_BN.shape == (2, new_tokens)


@pytest.mark.parametrize(("tokens", "fits"), [(244, True), (245, False)])
def test_a_prompt_that_overflows_learned_positions_is_refused_before_anything_runs(
    tokens: int, fits: bool, recipe: dict[str, Any], model_folder: Any
) -> None:
    recipe["model"]["name"] = str(model_folder("gpt2"))  # 256 positions, of which a soft prompt takes 12
    recipe["data"]["max_tokens"] = tokens
    if fits:
        tuneoff.plan(recipe)
    else:
        with pytest.raises(RecipeError, match=r"the 12 context tokens of a method, needs 257 positions"):
            tuneoff.plan(recipe)


def test_lengths_beyond_which_the_rows_of_a_batch_change_each_other_are_refused(
    recipe: dict[str, Any], model_folder: Any, tmp_path: Path
) -> None:
    folder = shutil.copytree(model_folder("llama"), tmp_path / "long")
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    recipe["model"]["name"] = str(folder)
    recipe["data"]["max_tokens"] = 65
    with pytest.raises(RecipeError, match=r"has 64 beyond which its rotary embeddings would depend on the other rows"):
        tuneoff.plan(recipe)
