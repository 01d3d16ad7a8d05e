"""A model of which each device holds a part: PyTorch's FSDP2. What is here runs on every device at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tuneoff.models.language_model import LanguageModel
from tuneoff.optimizers import OPTIMIZERS, OptimizerName, ParameterGroups, build_groups

NamedGroups = Sequence[tuple[float, Sequence[str]]]  # (multiple of the learning rate, names of its parameters)
Places = Sequence[tuple[int, str]]  # of tensors in an optimizer's state: the number of the parameter, and the key


def shard_model(model: LanguageModel, device: torch.device) -> LanguageModel:
    """Divide a model on the CPU among the devices of the group, in place: this process keeps its part, on its device.

    Every device has to run the same number of passes through it. Gradients are summed over them, and a block's weights
    are put together for its forward and its backward pass alone.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)  # by default the gradients are a mean over the devices
            module.set_force_sum_reduction_for_comms(True)
    return model


def name_groups(groups: ParameterGroups, model: nn.Module) -> NamedGroups:
    """Return the names of the parameters of groups."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [(multiple, [names[id(parameter)] for parameter in parameters]) for multiple, parameters in groups]


def find_groups(named: NamedGroups, model: nn.Module) -> list[tuple[float, list[nn.Parameter]]]:
    """Return the groups with the parameters of a sharded model."""
    parameters = dict(model.named_parameters())
    return [(multiple, [parameters[name] for name in names]) for multiple, names in named]


def create_optimizer(
    name: OptimizerName, model: LanguageModel, groups: ParameterGroups, rate: float, decay: float
) -> torch.optim.Optimizer:
    """Return the optimizer of the parts that this device holds."""
    return OPTIMIZERS[name].create(model, build_groups(groups, rate, decay))


def sum_squares(parameters: Iterable[nn.Parameter]) -> float:
    """Return the sum of the squared gradients in the parts of this device. Over all devices they add up."""
    squares = [get_part(p.grad).double().square().sum() for p in parameters if p.grad is not None]
    return float(torch.stack(squares).sum()) if squares else 0.0


def take_step(optimizer: torch.optim.Optimizer, rates: Sequence[float], factor: float) -> None:
    """Take a step with the gradients multiplied by a factor, at these rates of the groups."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        for parameter in group["params"]:
            if parameter.grad is not None:
                get_part(parameter.grad).mul_(factor)
    optimizer.step()
    optimizer.zero_grad()


@torch.no_grad()
def collect(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return sharded tensors whole, on the CPU of the first device; others get nothing."""
    wholes = []
    for tensor in tensors:
        whole = tensor.full_tensor()  # type: ignore[attr-defined]  # of DTensor
        if dist.get_rank() == 0:
            wholes.append(whole.cpu())
    return wholes


@torch.no_grad()
def spread(wholes: Sequence[Tensor], tensors: Sequence[Tensor]) -> None:
    """Give sharded tensors the values that the first device has whole; others have no wholes."""
    for i, tensor in enumerate(tensors):
        part = get_part(tensor)
        whole = wholes[i].to(part) if wholes else torch.empty(tensor.shape, dtype=part.dtype, device=part.device)
        dist.broadcast(whole, src=0)
        part.copy_(get_part(_divide_like(whole, tensor)))


def collect_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:  # Any: an optimizer's own types
    """Return the state of an optimizer with whole tensors on the first device; others have none of those."""
    state = optimizer.state_dict()
    places = list_places(state["state"])
    wholes = collect(state["state"][number][key] for number, key in places)
    for (number, key), whole in zip(places, wholes, strict=bool(wholes)):
        state["state"][number] = {**state["state"][number], key: whole}
    return state


def list_places(state: Mapping[int, Mapping[str, Any]]) -> Places:
    """Return where the state has tensors of the size of their parameter."""
    return [
        (number, key)
        for number, values in sorted(state.items())
        for key, value in sorted(values.items())
        if isinstance(value, Tensor) and value.ndim
    ]


def spread_state(
    optimizer: torch.optim.Optimizer,
    wholes: Sequence[Tensor],
    places: Places,
    numbers: Sequence[tuple[int, str, float]],
    groups: Sequence[dict[str, Any]] | None,
) -> None:
    """Give an optimizer a state that the first device has whole.

    Args:
        wholes: the tensors at the places; empty on other devices.
        numbers: what of the state is one number, such as the steps: the parameter, the key and the value.
        groups: the options of the groups; None keeps them.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parts = [torch.zeros_like(parameters[number]) for number, _ in places]
    spread(wholes, parts)
    state: dict[int, dict[str, Any]] = {}
    for (number, key), part in zip(places, parts, strict=True):
        state.setdefault(number, {})[key] = part
    for number, key, value in numbers:
        state.setdefault(number, {})[key] = torch.tensor(value)
    optimizer.load_state_dict({"state": state, "param_groups": groups or optimizer.state_dict()["param_groups"]})


def get_part(tensor: Tensor) -> Tensor:
    """Return the part of a sharded tensor that this device holds, in the same memory."""
    part: Tensor = tensor.detach().to_local()  # type: ignore[attr-defined]  # of DTensor
    return part


def _divide_like(whole: Tensor, tensor: Tensor) -> Tensor:
    """Return a tensor that every device has whole, divided as another one is."""
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = tensor.device_mesh, tensor.placements  # type: ignore[attr-defined]  # of DTensor
    return distribute_tensor(whole, mesh, placements, src_data_rank=None)
