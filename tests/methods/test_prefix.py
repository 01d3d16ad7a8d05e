"""A prefix starts as a real text, works where peft's does not, and is saved in peft's format."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.methods.training import compute_logits, take_steps
from tuneoff.methods.prefix import Prefix
from tuneoff.models.language_model import LanguageModel

Load = Callable[[str], LanguageModel]
WITHOUT_WINDOW = ("gpt2", "llama", "qwen2")  # a text could be outside the window, a prefix cannot


@pytest.mark.parametrize("architecture", WITHOUT_WINDOW)
def test_it_starts_as_its_text_before_every_row(architecture: str, load_tiny: Load, tokens_BT: Tensor) -> None:
    method, base = Prefix(tokens=7, init_text="The committee met"), load_tiny(architecture)
    text_tokens = base.tokenizer(method.init_text)["input_ids"]
    text_P = torch.tensor((text_tokens * 7)[:7])
    expected = compute_logits(base, torch.cat([text_P.expand(3, -1), tokens_BT], dim=1))
    torch.testing.assert_close(compute_logits(method.apply(base), tokens_BT), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable`:FutureWarning")  # its new name is not in 5.17
@pytest.mark.parametrize("architecture", ["gpt_neo", "llama", "gemma2"])
def test_gradient_checkpointing_changes_no_gradient(architecture: str, load_tiny: Load, tokens_BT: Tensor) -> None:
    def compute_gradients(checkpointed: bool) -> list[Tensor]:
        model = Prefix(tokens=3).apply(load_tiny(architecture)).train()
        if checkpointed:
            model.base.gradient_checkpointing_enable({"use_reentrant": False})
        scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
        scored_BT[:, 0] = False
        model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT).sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    plain = compute_gradients(checkpointed=False)
    assert len(plain) == 4  # keys and values of two layers
    torch.testing.assert_close(compute_gradients(checkpointed=True), plain, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("architecture", WITHOUT_WINDOW)
def test_plain_peft_loads_it(architecture: str, load_tiny: Load, tokens_BT: Tensor, tmp_path: Path) -> None:
    from peft import PeftModel

    method = Prefix(tokens=3)
    model = method.apply(load_tiny(architecture))
    take_steps(model, tokens_BT)
    method.save(model, tmp_path)
    peft_model = PeftModel.from_pretrained(load_tiny(architecture).network, tmp_path).eval()
    with torch.no_grad():
        logits_BTV = peft_model(input_ids=tokens_BT, attention_mask=torch.ones_like(tokens_BT)).logits
    expected = logits_BTV[:, -6:-1].flatten(0, 1)
    torch.testing.assert_close(expected, compute_logits(model, tokens_BT), rtol=1e-4, atol=1e-5)


def test_an_unsupported_attention_is_refused(load_tiny: Load) -> None:
    base = load_tiny("llama")
    base.network.config._attn_implementation = "flex_attention"
    with pytest.raises(ValueError, match=r"supports sdpa and eager attention; this model uses flex_attention"):
        Prefix().apply(base)
