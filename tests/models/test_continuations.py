"""The likelihood of given texts, against plain transformers with one complete text at a time."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import ARCHITECTURES
from tests.models.tuned import WAYS, Load, list_prompts_alone, load_tuned, make_prompts
from tuneoff.models import continuations
from tuneoff.models.continuations import score_continuations
from tuneoff.models.language_model import LanguageModel

TEXTS = [(40, 0), (40, 50, 50, 0), (7,), (70, 81, 82, 83, 0)]


def score_by_brute_force(model: LanguageModel, prompts: Any) -> Tensor:
    """Put each text after each prompt, without padding, and read the log-probabilities from all logits."""
    rows = []
    for tokens_1T, _ in list_prompts_alone(prompts):
        scores = []
        for text in TEXTS:
            complete_1T = torch.cat([tokens_1T, torch.tensor([text])], dim=1)
            with torch.no_grad():
                logits_TV = model.network(input_ids=complete_1T, **model.make_adapter_inputs(1)).logits[0]
            logits_TV = logits_TV[-len(text) - 1 : -1]  # a soft prompt's positions come first
            scores.append(logits_TV.double().log_softmax(dim=-1)[range(len(text)), text].sum())
        rows.append(torch.stack(scores))
    return torch.stack(rows)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix"])
def test_the_scores_are_those_of_plain_transformers(architecture: str, method: str, load_tiny: Load) -> None:
    model, prompts = load_tuned(load_tiny, architecture, method), make_prompts()
    scores_BC = score_continuations(model, *prompts, TEXTS)
    torch.testing.assert_close(scores_BC, score_by_brute_force(model, prompts), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("method", WAYS)
def test_every_method_is_scored(method: str, load_tiny: Load) -> None:
    model, prompts = load_tuned(load_tiny, "llama", method), make_prompts()
    scores_BC = score_continuations(model, *prompts, TEXTS)
    torch.testing.assert_close(scores_BC, score_by_brute_force(model, prompts), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix"])
def test_stored_prompts_give_the_scores_of_complete_texts(
    method: str, load_tiny: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, prompts = load_tuned(load_tiny, "qwen2", method), make_prompts()
    stored = score_continuations(model, *prompts, TEXTS)
    monkeypatch.setattr(continuations, "_can_store_prompts", lambda *_: False)
    torch.testing.assert_close(stored, score_continuations(model, *prompts, TEXTS), rtol=1e-5, atol=1e-4)


def test_a_prompt_goes_through_the_model_once(load_tiny: Load) -> None:
    model = load_tiny("llama")
    seen: list[tuple[int, ...]] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[:2])))
    score_continuations(model, *make_prompts(), TEXTS)
    assert seen == [(6, 14), (6, 1), (6, 3), (6, 4)]
