"""What is peculiar to a prefix: it begins as a real text, works where peft's does not, and is kept as peft keeps it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.methods.test_contract import logits, take_steps
from tuneoff.methods.prefix import Prefix
from tuneoff.models.language_model import LanguageModel

Load = Callable[[str], LanguageModel]
WITHOUT_WINDOW = ("gpt2", "llama", "qwen2")  # elsewhere a text would fall out of sight where a prefix does not


@pytest.fixture
def tokens_BT() -> Tensor:
    return torch.randint(2, 320, (3, 11), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", WITHOUT_WINDOW)
def test_it_begins_as_its_text_standing_before_every_row(architecture: str, load_tiny: Load, tokens_BT: Tensor) -> None:
    method, base = Prefix(tokens=7, init_text="The committee met"), load_tiny(architecture)
    written = base.tokenizer(method.init_text)["input_ids"]
    text_P = torch.tensor((written * 7)[:7])
    read = logits(base, torch.cat([text_P.expand(3, -1), tokens_BT], dim=1))
    torch.testing.assert_close(logits(method.apply(base), tokens_BT), read, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable`:FutureWarning")  # its new name is not in 5.17
@pytest.mark.parametrize("architecture", ["gpt_neo", "llama", "gemma2"])
def test_gradient_checkpointing_changes_no_gradient(architecture: str, load_tiny: Load, tokens_BT: Tensor) -> None:
    def gradients(checkpointed: bool) -> list[Tensor]:
        model = Prefix(tokens=3).apply(load_tiny(architecture)).train()
        if checkpointed:
            model.base.gradient_checkpointing_enable({"use_reentrant": False})
        scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
        scored_BT[:, 0] = False
        model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT).sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    plain = gradients(checkpointed=False)
    assert len(plain) == 4  # keys and values of two layers
    torch.testing.assert_close(gradients(checkpointed=True), plain, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("architecture", WITHOUT_WINDOW)
def test_plain_peft_reads_it(architecture: str, load_tiny: Load, tokens_BT: Tensor, tmp_path: Path) -> None:
    from peft import PeftModel

    method = Prefix(tokens=3)
    model = method.apply(load_tiny(architecture))
    take_steps(model, tokens_BT)
    method.save(model, tmp_path)
    plain = PeftModel.from_pretrained(load_tiny(architecture).network, tmp_path).eval()
    with torch.no_grad():
        theirs = plain(input_ids=tokens_BT, attention_mask=torch.ones_like(tokens_BT)).logits[:, -6:-1].flatten(0, 1)
    torch.testing.assert_close(theirs, logits(model, tokens_BT), rtol=1e-4, atol=1e-5)


def test_an_attention_that_cannot_be_reached_is_refused(load_tiny: Load) -> None:
    base = load_tiny("llama")
    base.network.config._attn_implementation = "flex_attention"
    with pytest.raises(ValueError, match=r"supports sdpa and eager attention; this model uses flex_attention"):
        Prefix().apply(base)
