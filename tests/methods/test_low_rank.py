"""What is special about the variants of LoRA."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.methods.training import compute_logits, take_steps
from tuneoff.methods import METHODS
from tuneoff.methods.lora_plus import LoRAPlus
from tuneoff.models.language_model import LanguageModel

Load = Callable[[str], LanguageModel]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("name", ["lora", "lora-plus", "rslora", "dora", "pissa"])
def test_plain_peft_loads_what_is_saved_on_the_original_base_model(
    name: str, load_tiny: Load, tokens_BT: Tensor, tmp_path: Path
) -> None:
    from peft import PeftModel

    method = METHODS[name].read({"rank": 4, "alpha": 8})
    model = method.apply(load_tiny("llama"))
    take_steps(model, tokens_BT)
    method.save(model, tmp_path)
    base = load_tiny("llama")
    loaded = LanguageModel(PeftModel.from_pretrained(base.network, tmp_path), base.tokenizer, "", split_head=False)
    expected = compute_logits(model, tokens_BT)
    torch.testing.assert_close(compute_logits(loaded, tokens_BT), expected, rtol=1e-4, atol=1e-5)


def test_lora_plus_trains_b_faster_than_a_and_each_parameter_once(load_tiny: Load) -> None:
    model = LoRAPlus(ratio=8).apply(load_tiny("llama"))
    slow, fast = LoRAPlus(ratio=8).parameter_groups(model)
    names = {id(p): name for name, p in model.named_parameters()}
    assert (slow[0], fast[0]) == (1.0, 8.0)
    assert all("lora_A" in names[id(p)] for p in slow[1])
    assert all("lora_B" in names[id(p)] for p in fast[1])
    assert len(slow[1]) + len(fast[1]) == sum(p.requires_grad for p in model.parameters())


def test_pissa_subtracts_the_largest_singular_values_from_the_weight(load_tiny: Load) -> None:
    weight_DD = load_tiny("llama").base.model.layers[0].self_attn.q_proj.weight.detach()
    torch.manual_seed(0)  # the decomposition is randomized
    model = METHODS["pissa"].read({"rank": 4}).apply(load_tiny("llama"))
    rest_DD = model.base.model.layers[0].self_attn.q_proj.base_layer.weight.detach()
    largest = torch.linalg.svdvals(weight_DD)
    assert float(torch.linalg.matrix_norm(rest_DD, 2)) == pytest.approx(float(largest[4]), rel=1e-3)


def test_rslora_divides_by_the_root_of_the_rank(load_tiny: Load) -> None:
    model = METHODS["rslora"].read({"rank": 16, "alpha": 8}).apply(load_tiny("llama"))
    assert model.base.model.layers[0].self_attn.q_proj.scaling["default"] == 8 / 4
