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
from tuneoff.optimizers import OPTIMIZERS, build_groups

Load = Callable[[str], LanguageModel]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("name", ["lora", "lora-plus", "lora-fa", "rslora", "dora", "pissa", "olora"])
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


def test_lora_fa_trains_b_alone_and_keeps_less_for_the_backward_pass(load_tiny: Load, tokens_BT: Tensor) -> None:
    kept = {}
    for name in ("lora", "lora-fa"):
        model = METHODS[name].read({"rank": 4}).apply(load_tiny("llama"))
        kept[name] = count_kept_elements(model, tokens_BT)
    assert all("lora_B" in name for name, p in model.named_parameters() if p.requires_grad)
    assert kept["lora-fa"] < 0.9 * kept["lora"]


def count_kept_elements(model: LanguageModel, tokens_BT: Tensor) -> int:
    """Return the elements of the tensors that a forward pass keeps for the backward pass, without the weights."""
    kept: dict[int, int] = {}
    weights = {p.data_ptr() for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
    return sum(kept.values())


def test_lora_fa_updates_the_weight_along_the_gradient_of_full_tuning_in_the_span_of_a(
    load_tiny: Load, tokens_BT: Tensor
) -> None:
    """The gradient of B that its optimizer uses, times A, is the weight's gradient projected on the rows of A."""
    model = METHODS["lora-fa"].read({"rank": 4, "alpha": 8}).apply(load_tiny("llama"))
    layer = model.base.model.layers[0].mlp.down_proj
    layer.base_layer.weight.requires_grad_(True)
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    model.train()(tokens_BT, torch.ones_like(tokens_BT), scored_BT).mean().backward()
    full_OI, a_RI = layer.base_layer.weight.grad, layer.lora_A["default"].weight.detach()
    layer.base_layer.weight.requires_grad_(False).grad = None
    groups = build_groups([(1.0, [p for p in model.parameters() if p.requires_grad])], 1e-3, 0.0)
    optimizer = OPTIMIZERS["lora-fa"].create(model, groups)
    optimizer.step()
    (state,) = [s for name, s in optimizer.state.items() if "layers.0.mlp.down_proj" in name]
    scale, first_moment = 2.0, 0.1  # alpha / rank, 1 - beta
    projected_OI = full_OI @ a_RI.T @ torch.linalg.inv(a_RI @ a_RI.T) @ a_RI
    found_OI = scale * (state["exp_avg_B"] / first_moment) @ a_RI
    torch.testing.assert_close(found_OI, projected_OI, rtol=0.05, atol=0.02 * float(projected_OI.abs().max()))


def test_olora_starts_from_an_orthonormal_basis_of_the_weight(load_tiny: Load) -> None:
    weight_OI = load_tiny("llama").base.model.layers[0].mlp.up_proj.weight.detach()
    layer = METHODS["olora"].read({"rank": 4, "alpha": 4}).apply(load_tiny("llama")).base.model.layers[0].mlp.up_proj
    a_RI, b_OR = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.testing.assert_close(b_OR.T @ b_OR, torch.eye(4))
    torch.testing.assert_close(layer.base_layer.weight + b_OR @ a_RI, weight_OI)
