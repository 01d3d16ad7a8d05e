"""Every adapter type of peft by its name, on a tiny GPT-Neo and a tiny Llama: what works, and why the rest does not.

The types come from peft's own table, so that those of a new version are tested at once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import Tensor

from tests.methods.training import compute_logits
from tuneoff.errors import RecipeError
from tuneoff.methods import METHODS, Method
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel

TYPES = sorted(kind.value for kind in PEFT_TYPE_TO_CONFIG_MAPPING)
ARGUMENTS: dict[str, dict[str, Any]] = {  # smaller for a model of width 32, or required from the user
    "MISS": {"r": 8},
    "PSOFT": {"r": 8},
    "ROAD": {"group_size": 16},
    "SHIRA": {"r": 4},
    "TRAINABLE_TOKENS": {"token_indices": [279, 307, 278, 196]},
    "FOURIERFT": {"n_frequency": 100},
    "WAVEFT": {"n_frequency": 100},
}
CANNOT = {
    ("gpt_neo", "ADAPTION_PROMPT"): "Unsupported model type",
    ("gpt_neo", "XLORA"): "trained already",
    ("llama", "XLORA"): "trained already",
}
WORKING = [(a, t) for a in ("gpt_neo", "llama") for t in TYPES if (a, t) not in CANNOT]
RATE = {"UNILORA": 1e-1}
STEPS = 8


def read_type(peft_type: str) -> Method:
    return METHODS["peft"].read({"peft_type": peft_type, **ARGUMENTS.get(peft_type, {})})


def train(model: LanguageModel, tokens_BT: Tensor, rate: float = 2e-2) -> list[float]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    losses = []
    for _ in range(STEPS):
        logits_NV = model.train().logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
        loss = torch.nn.functional.cross_entropy(logits_NV, tokens_BT[scored_BT])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def test_only_the_listed_types_do_not_work() -> None:
    counts = {a: sum(architecture == a for architecture, _ in WORKING) for a in ("gpt_neo", "llama")}
    assert (len(TYPES), counts) == (45, {"gpt_neo": 43, "llama": 44})


@pytest.mark.filterwarnings("ignore:Sparse invariant checks", "ignore:Sparse CSR")  # FRoD multiplies by sparse matrices
@pytest.mark.parametrize(("architecture", "peft_type"), WORKING)
def test_a_type_learns_generates_by_its_logits_and_can_be_saved_and_loaded(
    architecture: str, peft_type: str, load_tiny: Callable[[str], LanguageModel], tokens_BT: Tensor, tmp_path: Path
) -> None:
    torch.manual_seed(2)
    method = read_type(peft_type)
    model = method.apply(load_tiny(architecture))
    losses = train(model, tokens_BT, RATE.get(peft_type, 2e-2))
    assert losses[-1] < losses[0]

    model.eval()
    model.base.generation_config.eos_token_id = None
    text_BT = torch.cat([tokens_BT, generate(model, tokens_BT, torch.ones_like(tokens_BT), max_new_tokens=4)], dim=1)
    scored_BT = torch.zeros_like(text_BT, dtype=torch.bool)
    scored_BT[:, -4:] = True
    with torch.no_grad():
        likeliest_N = model.logits(text_BT, torch.ones_like(text_BT), scored_BT).argmax(-1)
    assert torch.equal(likeliest_N, text_BT[:, -4:].flatten())

    trained = compute_logits(model, tokens_BT)
    method.save(model, tmp_path)
    torch.testing.assert_close(compute_logits(method.load(load_tiny(architecture), tmp_path), tokens_BT), trained)
    torch.testing.assert_close(compute_logits(method.merge(model), tokens_BT), trained, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("architecture", "peft_type"), CANNOT)
def test_a_type_that_does_not_work_says_why(
    architecture: str, peft_type: str, load_tiny: Callable[[str], LanguageModel]
) -> None:
    with pytest.raises(ValueError, match=CANNOT[architecture, peft_type]):
        read_type(peft_type).apply(load_tiny(architecture))


def test_an_unknown_type_or_argument_is_refused_with_a_suggestion() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'LOHA'"):
        read_type("LOHAA")
    with pytest.raises(RecipeError, match="Did you mean 'r'"):
        METHODS["peft"].read({"peft_type": "LOHA", "rr": 4})
