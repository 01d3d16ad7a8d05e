"""What is special about the variants of LoRA."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.methods.training import apply, compute_logits, take_steps
from tuneoff.methods import METHODS
from tuneoff.methods.lora_plus import LoRAPlus
from tuneoff.models.language_model import LanguageModel
from tuneoff.optimizers import OPTIMIZERS, build_groups

Load = Callable[[str], LanguageModel]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("name", ["lora", "lora-plus", "lora-fa", "rslora", "dora", "pissa", "olora", "eva", "corda"])
def test_plain_peft_loads_what_is_saved_on_the_original_base_model(
    name: str, load_tiny: Load, tokens_BT: Tensor, tmp_path: Path
) -> None:
    from peft import PeftModel

    method = METHODS[name].read({"rank": 4, "alpha": 8})
    model = apply(method, load_tiny("llama"), tokens_BT)
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


def record_inputs(model: LanguageModel, layer: torch.nn.Module, tokens_BT: Tensor) -> list[Tensor]:
    """Return what goes into a layer for each row, (T, I)."""
    inputs: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0][0]))
    for tokens_T in tokens_BT:
        compute_logits(model, tokens_T[None])
    handle.remove()
    return inputs


def test_eva_starts_from_the_directions_in_which_the_inputs_of_a_layer_vary_most(
    load_tiny: Load, tokens_BT: Tensor
) -> None:
    base = load_tiny("llama")
    inputs_NI = torch.cat(record_inputs(base, base.base.model.layers[1].mlp.down_proj, tokens_BT))
    inputs_NI -= inputs_NI.mean(dim=0)
    largest = torch.linalg.svdvals(inputs_NI)[:3].square().sum()
    model = apply(METHODS["eva"].read({"rank": 3}), load_tiny("llama"), tokens_BT)
    a_RI = model.base.model.layers[1].mlp.down_proj.lora_A["default"].weight.detach()
    torch.testing.assert_close(a_RI @ a_RI.T, torch.eye(3), rtol=0, atol=1e-4)
    assert float((inputs_NI @ a_RI.T).square().sum() / largest) == pytest.approx(1.0, abs=0.01)


def test_eva_decomposes_inputs_that_several_layers_share_once(
    load_tiny: Load, tokens_BT: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.utils.incremental_pca import IncrementalPCA

    fits = []
    partial_fit = IncrementalPCA.partial_fit
    monkeypatch.setattr(IncrementalPCA, "partial_fit", lambda self, x: (fits.append(len(x)), partial_fit(self, x))[1])
    model = apply(METHODS["eva"].read({"rank": 3, "rows": 2}), load_tiny("llama"), tokens_BT)
    attention = model.base.model.layers[0].self_attn
    q, k, o = (getattr(attention, f"{name}_proj").lora_A["default"].weight for name in "qko")
    assert torch.equal(q, k)
    assert not torch.equal(q, o)
    assert fits == [2 * tokens_BT.shape[1]] * 2 * 4  # of two blocks: queries to values, output, gate and up, down


def test_eva_leaves_random_what_too_few_tokens_say_nothing_about(load_tiny: Load, tokens_BT: Tensor) -> None:
    torch.manual_seed(3)
    drawn = METHODS["lora"].read({"rank": 16}).apply(load_tiny("llama"))
    torch.manual_seed(3)
    model = apply(METHODS["eva"].read({"rank": 16}), load_tiny("llama"), tokens_BT[:1, :7])
    before_RI, after_RI = (m.base.model.layers[0].mlp.up_proj.lora_A["default"].weight for m in (drawn, model))
    assert not torch.equal(after_RI[:7], before_RI[:7])
    assert torch.equal(after_RI[7:], before_RI[7:])


def test_corda_subtracts_what_matters_most_for_the_inputs(load_tiny: Load, tokens_BT: Tensor) -> None:
    """What is left of the weight has the smaller singular values of weight times covariance."""
    base = load_tiny("llama")
    up_proj = base.base.model.layers[0].mlp.up_proj
    inputs = [inputs_TI / inputs_TI.abs().max() for inputs_TI in record_inputs(base, up_proj, tokens_BT)]
    covariance_II = torch.stack([inputs_TI.T @ inputs_TI for inputs_TI in inputs]).mean(dim=0)
    covariance_II += 0.01 * covariance_II.diag().mean() * torch.eye(len(covariance_II))  # as peft makes it invertible
    model = apply(METHODS["corda"].read({"rank": 4, "alpha": 8}), load_tiny("llama"), tokens_BT)
    layer = model.base.model.layers[0].mlp.up_proj
    weight_OI, rest_OI = up_proj.weight.detach(), layer.base_layer.weight.detach()
    torch.testing.assert_close(rest_OI + layer.get_delta_weight("default").detach(), weight_OI, rtol=1e-4, atol=1e-5)
    whole, rest = (torch.linalg.svdvals(matrix_OI @ covariance_II) for matrix_OI in (weight_OI, rest_OI))
    torch.testing.assert_close(rest[:5], whole[4:9], rtol=1e-2, atol=1e-6)


def test_corda_refuses_inputs_that_are_not_finite(load_tiny: Load, tokens_BT: Tensor) -> None:
    base = load_tiny("llama")
    base.base.model.layers[0].input_layernorm.weight.data.fill_(float("inf"))
    with pytest.raises(ValueError, match="not finite on train"):
        apply(METHODS["corda"].read({"rank": 4}), base, tokens_BT)


@pytest.mark.parametrize("name", ["eva", "corda"])
def test_a_layer_that_is_thinner_than_the_rank_starts_where_it_can(
    name: str, load_tiny: Load, tokens_BT: Tensor
) -> None:
    """The width is 32; such layers are part of a method only if the recipe names them."""
    model = apply(METHODS[name].read({"rank": 40, "modules": ["up_proj"]}), load_tiny("llama"), tokens_BT)
    torch.testing.assert_close(compute_logits(model, tokens_BT), compute_logits(load_tiny("llama"), tokens_BT))


def test_corda_leaves_a_layer_whose_inputs_are_zeros_as_it_is_in_lora(load_tiny: Load, tokens_BT: Tensor) -> None:
    """Their covariance has no inverse."""
    base = load_tiny("llama")
    base.base.model.layers[0].post_attention_layernorm.weight.data.zero_()
    model = apply(METHODS["corda"].read({"rank": 4}), base, tokens_BT)
    zero, other = (model.base.model.layers[block].mlp.up_proj.lora_B["default"].weight for block in (0, 1))
    assert not zero.any()
    assert other.any()
