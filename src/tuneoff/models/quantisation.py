"""A base model whose linear layers are held in 4 or 8 bits: how it is loaded, recognized, checked and made plain again.

Source: Dettmers et al. 2023, "QLoRA", arXiv:2305.14314; 2022, "LLM.int8()", arXiv:2208.07339; through bitsandbytes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tuneoff.errors import ModelError

Quantisation = Literal["nf4", "int8"]
LEAST_COSINE = 0.999  # between a gradient through a quantised layer and one through the same weights in floats
ROWS = 8  # of the input that the check makes
BLOCK_SIZE = 64  # 4-bit weights with one scale, bitsandbytes' default


def make_quantization_config(quantise: Quantisation) -> Any:  # Any: transformers' own type
    """Return transformers' description of a base in nf4 with doubly quantised scales, or in int8.

    Raises:
        ModelError: bitsandbytes is not installed.
    """
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise ModelError(f"model.quantise: {quantise} needs the package bitsandbytes: pip install 'tuneoff[quantise]'.")
    if quantise == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,  # until the model is held for training or inference
    )


def find_quantizer(config: Any, name: str, quantise: Quantisation | None) -> Any:  # Any: transformers' own types
    """Return what gives a model its quantised layers: as the recipe asks, or as its files came; None for a plain one.

    Args:
        config: the model's config of transformers.
        name: the model, as the user wrote it.
        quantise: what the recipe asks for.

    Raises:
        ModelError: no adapter can be trained on it here; with what is missing, or with what to do instead.
    """
    from transformers.quantizers import AutoHfQuantizer

    stored = getattr(config, "quantization_config", None)
    if stored is None:
        wanted = make_quantization_config(quantise) if quantise else None
        return AutoHfQuantizer.from_config(wanted, pre_quantized=False) if wanted else None
    kind = get_quantisation_kind(config)
    if quantise is not None:
        raise ModelError(
            f"{name} comes quantised with {kind} already, so it cannot be held in {quantise}. Leave model.quantise "
            "out, or name the model that it was made from."
        )
    try:
        quantizer = AutoHfQuantizer.from_config(stored, pre_quantized=True)
        quantizer.validate_environment(device_map=None)
    except (ImportError, RuntimeError, ValueError, KeyError) as error:  # what the quantizers of transformers raise
        missing = " ".join(str(error).split())
        raise ModelError(
            f"{name} comes quantised with {kind}, which cannot be used on this machine: {missing} Or name the model "
            "that it was made from, with model.quantise: nf4."
        ) from error
    if not quantizer.is_trainable:
        raise ModelError(
            f"{name} comes quantised with {kind}, through which transformers cannot train an adapter. Name the model "
            "that it was made from, with model.quantise: nf4."
        )
    return quantizer


def get_quantisation_kind(config: Any) -> str | None:  # Any: transformers' own type
    """Return the kind of quantisation that a model's files came with, such as `bitsandbytes`; None for a plain one."""
    stored = getattr(config, "quantization_config", None)
    if stored is None:
        return None
    kind = stored.get("quant_method") if isinstance(stored, dict) else stored.quant_method
    return str(getattr(kind, "value", kind))


def list_quantised(network: nn.Module) -> dict[str, Any]:  # Any: layers of several packages
    """Return the linear layers whose weights are, or will be, codes of a few bits, by full name."""
    return {name: module for name, module in network.named_modules() if is_quantised(module)}


def is_quantised(module: nn.Module) -> bool:
    """Return whether a layer's own weights are codes: by their type, or because they are bytes or packed integers."""
    if not hasattr(module, "in_features"):
        return False
    tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return any(_holds_codes(tensor) for tensor in tensors)


def count_elements(parameter: Tensor) -> int:
    """Return how many weights a tensor stands for: bitsandbytes holds two 4-bit codes in a byte."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(torch.Size(state.shape).numel())


def count_bytes(parameter: Tensor) -> float:
    """Return the bytes that a frozen weight takes: those of its codes, or 2 for each element in bf16."""
    of_codes = {"Params4bit": 0.5, "Int8Params": 1.0}.get(type(parameter).__name__)
    if of_codes is not None:  # a shape without weights has no codes yet
        return of_codes * count_elements(parameter)
    element_bytes = 2 if parameter.is_floating_point() else parameter.element_size()
    return float(element_bytes * parameter.numel())


def find_trained_codes(network: nn.Module) -> str | None:
    """Return the name of a parameter of a quantised layer that requires a gradient, if there is one.

    A step would round such a weight back to its code; bitsandbytes has no gradient for it, nor for a bias beside it.
    """
    for name, layer in list_quantised(network).items():
        for of_tensor, parameter in layer.named_parameters(recurse=False):
            if parameter.requires_grad:
                return f"{name}.{of_tensor}"
    return None


def quantise_shape(network: Any, quantizer: Any) -> None:  # Any: transformers' own types
    """Give a model without weights the layers that it has when it is loaded quantised.

    Args:
        quantizer: of `find_quantizer`.
    """
    quantizer.preprocess_model(network, device_map=None)
    quantizer.postprocess_model(network)  # sets what peft chooses its layers by
    require_true_weights(network)


def compute_in(model: nn.Module, dtype: torch.dtype) -> None:
    """Let 4-bit layers multiply in `dtype`, to which they expand their weights for each product."""
    for layer in list_quantised(model).values():
        if hasattr(layer, "compute_dtype"):
            layer.compute_dtype, layer.compute_type_is_set = dtype, True


@contextlib.contextmanager
def without_outliers(network: nn.Module) -> Iterator[None]:
    """Let 8-bit layers round each token alone inside the block, so that a model can be tested for what tokens see.

    Otherwise a large number in any token lets its column be multiplied unrounded for all tokens (LLM.int8()).
    """
    states = [layer.state for layer in list_quantised(network).values() if hasattr(layer, "state")]
    thresholds = [state.threshold for state in states]
    try:
        for state in states:
            state.threshold = 0.0
        yield
    finally:
        for state, threshold in zip(states, thresholds, strict=True):
            state.threshold = threshold


def move_states(model: nn.Module) -> None:
    """Move 8-bit codes to where their layers are: bitsandbytes keeps them beside the weight after a forward pass."""
    for layer in list_quantised(model).values():
        state = getattr(layer, "state", None)
        for name in ("CB", "SCB"):
            codes = getattr(state, name, None)
            if codes is not None:
                setattr(state, name, codes.to(layer.weight.device))


def make_safe(network: Any, name: str) -> None:
    """Prepare a network that was loaded quantised, before its first forward pass; a plain one stays as it is.

    On a CPU with AVX512-BF16, an evaluation makes bitsandbytes 0.50 repack 4-bit weights in place, after which
    gradients are wrong and merging destroys the model. It is told not to.

    Raises:
        ModelError: gradients are wrong all the same.
    """
    layers = list_quantised(network)
    compute_in(network, torch.float32)  # in bf16, a forward pass would round the layers' biases in place
    for layer in layers.values():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # it warns about every product
    require_true_weights(network)
    shapes = {(layer.in_features, layer.out_features): of_layer for of_layer, layer in layers.items()}
    for of_layer in shapes.values():
        if can_dequantise(layers[of_layer]):
            require_true_gradients(layers[of_layer], f"{name}, {of_layer}")


def require_true_weights(network: Any) -> None:
    """Check that 4-bit codes of layers as wide as the network's are decoded to the weights that they stand for.

    On a CPU with AVX-512, bitsandbytes 0.50 takes wrong scales where the rows of a weight are not whole blocks. A GPU
    is not checked.

    Raises:
        ModelError: they are not, so the model would be another one than on other machines.
    """
    if torch.cuda.is_available():
        return
    widths = {
        layer.in_features: name for name, layer in list_quantised(network).items() if hasattr(layer, "quant_state")
    }
    for width, name in widths.items():
        if not decodes_rows(width):
            raise ModelError(
                f"bitsandbytes decodes 4-bit weights in rows of {width}, as in {name}, wrongly on this processor: only "
                f"whole blocks of {BLOCK_SIZE} are right. Write model.quantise: int8, or leave it out."
            )


@cache
def decodes_rows(width: int) -> bool:
    """Return whether bitsandbytes decodes a weight with rows of `width` as it decodes the same codes in one row."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    weight_OI = torch.randn(BLOCK_SIZE, width, generator=torch.Generator().manual_seed(0))
    codes, state = quantize_4bit(weight_OI, blocksize=BLOCK_SIZE, quant_type="nf4")
    decoded_OI = dequantize_4bit(codes, state)
    state.shape = torch.Size([1, weight_OI.numel()])
    return torch.equal(decoded_OI.flatten(), dequantize_4bit(codes, state).flatten())


def require_true_gradients(layer: Any, name: str) -> None:
    """Compare the gradient that LoRA gets through a layer with that through its weights as floats.

    It is compared before and after an evaluation, and belongs to the matrix B of an update in front of the layer.

    Raises:
        ModelError: they point in different directions, so a training would quietly learn less.
    """
    weight_OI = dequantise_weight(layer).float()
    generator = torch.Generator().manual_seed(0)
    a_NR = torch.randn(ROWS, 4, generator=generator).to(weight_OI.device)
    upstream_NO = torch.randn(ROWS, layer.out_features, generator=generator).to(weight_OI.device)
    true_IR = (upstream_NO @ weight_OI).T @ a_NR
    was_training = layer.training
    try:
        for moment in ("before", "after"):
            cosine = _compare_gradients(layer, a_NR, upstream_NO, true_IR)
            if not cosine >= LEAST_COSINE:
                raise ModelError(
                    f"bitsandbytes computes wrong gradients through a quantised layer ({name}) {moment} an evaluation: "
                    f"their cosine with the true ones is {cosine:.3f}, so every method would quietly learn less. "
                    "Leave model.quantise out, or use another version of bitsandbytes or another machine."
                )
            with torch.no_grad():
                layer.eval()(a_NR.new_ones(ROWS, layer.in_features))
    finally:
        layer.train(was_training)


def _compare_gradients(layer: Any, a_NR: Tensor, upstream_NO: Tensor, true_IR: Tensor) -> float:
    """Return the cosine of the angle between the gradient of B through the layer and the true one."""
    b_IR = torch.zeros_like(true_IR, requires_grad=True)
    with torch.enable_grad():
        output_NO = layer.train()(a_NR @ b_IR.T)
        (gradient_IR,) = torch.autograd.grad(output_NO, b_IR, upstream_NO.to(output_NO.dtype))
    return float(nn.functional.cosine_similarity(gradient_IR.flatten(), true_IR.flatten(), dim=0))


def can_dequantise(layer: nn.Module) -> bool:
    """Return whether the layer's weights can be made floats again: those of bitsandbytes, and no bare shape."""
    weight = getattr(layer, "weight", None)
    return _is_of_bitsandbytes(weight) and weight is not None and weight.device.type != "meta"


def dequantise_weight(layer: Any) -> Tensor:
    """Return the weights that the codes of a layer stand for, (O, I)."""
    from transformers.integrations.bitsandbytes import dequantize_bnb_weight

    weight: Tensor = dequantize_bnb_weight(layer.weight, getattr(layer, "state", None))
    return weight


def dequantise(network: Any, name: str) -> None:
    """Replace each quantised layer by a plain one with the weights that its codes stand for, in float32.

    An adapter that was trained on the codes fits these weights, and not those of before they were rounded. Each layer
    gets the class that it had in the plain model, whose weights may be transposed (GPT-2).

    Raises:
        ModelError: only the package that made the codes can read them.
    """
    layers = list_quantised(network)
    for of_layer, layer in layers.items():
        if not can_dequantise(layer):
            raise ModelError(
                f"The weights of {name} cannot be made plain again: {of_layer} is a {type(layer).__name__}."
            )
        network.set_submodule(of_layer, _make_plain(layer, dequantise_weight(layer).float()))
    if layers:
        _forget_quantisation(network)


@contextlib.contextmanager
def plain_shape(network: nn.Module) -> Iterator[None]:
    """Let plain layers, which run without weights, stand in for the quantised ones inside the block."""
    layers = list_quantised(network)
    try:
        for name, layer in layers.items():
            weight_OI = torch.empty(layer.out_features, layer.in_features, device="meta")
            network.set_submodule(name, _make_plain(layer, weight_OI))
        yield
    finally:
        for name, layer in layers.items():
            network.set_submodule(name, layer)


def _make_plain(layer: Any, weight_OI: Tensor) -> nn.Module:
    """Return a layer of the class that a quantised one took the place of."""
    from transformers.pytorch_utils import Conv1D

    transposed = issubclass(getattr(layer, "source_cls", nn.Linear), Conv1D)
    with torch.device("meta"):
        plain: Any = (
            Conv1D(layer.out_features, layer.in_features)
            if transposed
            else nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
        )
    plain.weight = nn.Parameter(weight_OI.T.contiguous() if transposed else weight_OI, requires_grad=False)
    plain.bias = layer.bias
    plain.train(layer.training)
    return plain  # type: ignore[no-any-return]


def _forget_quantisation(network: Any) -> None:
    """Remove what transformers and peft would take the plain network for a quantised one by."""
    network.hf_quantizer.remove_quantization_config(network)
    for attribute in ("is_loaded_in_4bit", "is_loaded_in_8bit"):
        with contextlib.suppress(AttributeError):
            delattr(network, attribute)
    for module in network.modules():
        if hasattr(getattr(module, "config", None), "_is_quantized"):
            module.config._is_quantized = False


def list_operations(network: nn.Module) -> Iterator[tuple[Any, Any]]:  # Any: PyTorch's operators
    """Yield bitsandbytes' matrix products if the network has any, each with a function that counts operations."""
    if not any(can_dequantise(layer) for layer in list_quantised(network).values()):
        return
    operations = torch.ops.bitsandbytes
    yield operations.gemm_4bit, lambda a, b, shape_b, *_, **__: _count_product(a, int(shape_b[0]))
    yield operations.int8_scaled_mm, lambda a, b, *_, **__: _count_product(a, b[0])
    yield operations.int8_mixed_scaled_mm, lambda a, ca, cb, *_, **__: _count_product(a, cb[0])


def _count_product(shape: torch.Size, outputs: int) -> int:
    return 2 * int(torch.Size(shape).numel()) * outputs


def _holds_codes(tensor: Tensor) -> bool:
    is_packed = tensor.dtype == torch.int32 or (tensor.dtype.itemsize == 1 and tensor.dtype != torch.bool)
    return is_packed or _is_of_bitsandbytes(tensor)


def _is_of_bitsandbytes(tensor: object) -> bool:
    return type(tensor).__name__ in {"Params4bit", "Int8Params"}
