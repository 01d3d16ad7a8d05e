"""What a follower does in a training: the other side of `tuneoff.training.replicas`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor

from tuneoff.data.batches import unpack_batches
from tuneoff.evaluation.loss import compute_example_losses, compute_token_losses
from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing, uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.meter import MMAP_THRESHOLD, Meter, get_peak_resident_bytes, keep_freed_memory
from tuneoff.training.exchange import copy_from_first, sum_gradients
from tuneoff.training.gradients import accumulate_gradients, list_missing, seed_step
from tuneoff.training.sharding import (
    collect,
    collect_state,
    create_optimizer,
    find_groups,
    shard_model,
    spread,
    spread_state,
    sum_squares,
    take_step,
)
from tuneoff.training.sharing import identify_state, list_state, list_trained

Values = Mapping[str, Any]  # JSON
Answer = dict[str, Any]  # JSON


@final
class FollowerModel:
    """A follower's copy of a model in training.

    Args:
        model: on the device, as the first device has it, but for its numbers.
        device: the place of this device among all; the first one is 0.
    """

    def __init__(self, model: LanguageModel, context: TrialContext, device: int) -> None:
        self._language_model, self._context, self._device = model, context, device
        self._trained = list_trained(model)
        self._model = model if context.followers.in_step else context.accelerator.prepare(model)
        self._optimizer: torch.optim.Optimizer | None = None  # only where the model is divided
        self._phase = contextlib.ExitStack()
        self._meter = Meter(context.device)
        self.commands: Mapping[str, Callable[[Values, Mapping[str, Tensor]], Answer]] = {
            "describe": self._describe,
            "copy": self._copy,
            "begin": self._begin,
            "end": self._end,
            "accumulate": self._accumulate,
            "sum": self._sum,
            "losses": self._compute_losses,
            "shard": self._shard,
            "squares": self._sum_squares,
            "step": self._take_step,
            "read_weights": self._read_weights,
            "write_weights": self._write_weights,
            "read_optimizer": self._read_optimizer,
            "write_optimizer": self._write_optimizer,
        }

    def _describe(self, values: Values, _: Mapping[str, Tensor]) -> Answer:
        torch.set_num_threads(values["threads"])
        self._language_model.blocks_return_tuples = values["blocks_return_tuples"]
        return {"state": identify_state(self._language_model)}

    def _copy(self, values: Values, _: Mapping[str, Tensor]) -> Answer:
        copy_from_first(list_state(self._language_model) if values["all"] else self._trained)
        return {}

    def _begin(self, values: Values, _: Mapping[str, Tensor]) -> Answer:
        self._phase.close()
        self._meter = Meter(self._context.device)
        if max(parameter.nbytes for parameter in self._trained) > MMAP_THRESHOLD:
            self._phase.enter_context(keep_freed_memory())
        self._phase.enter_context(self._meter.phase(values["phase"]))
        return {}

    def _end(self, _: Values, __: Mapping[str, Tensor]) -> Answer:
        self._phase.close()
        (memory,) = self._meter.get_peaks().values()
        return {"memory": memory.model_dump(mode="json")}

    def _accumulate(self, values: Values, tensors: Mapping[str, Tensor]) -> Answer:
        seed, step = values["seed"]
        seed_step(seed, step, self._device)
        if values["checkpointing"] and not uses_gradient_checkpointing(self._language_model.base):
            set_gradient_checkpointing(self._language_model.base, True)
        self._model.zero_grad()
        for i, parameter in enumerate(self._trained):
            parameter.requires_grad_(i not in values["frozen"])
        self._model.train()
        nats = accumulate_gradients(
            [batch.to(self._context.device) for batch in unpack_batches(tensors)],
            values["target_tokens"],
            lambda batch: compute_token_losses(self._model, batch).sum(),
            self._context.accelerator.backward,
            in_step=values["in_step"],
        )
        return {
            "nats": nats, "missing": list_missing(self._trained), "resident_bytes": get_peak_resident_bytes(),
        }  # fmt: skip

    def _sum(self, values: Values, _: Mapping[str, Tensor]) -> Answer:
        missing = set(values["missing"])
        sum_gradients([parameter for i, parameter in enumerate(self._trained) if i not in missing])
        return {}

    @torch.no_grad()
    def _compute_losses(self, _: Values, tensors: Mapping[str, Tensor]) -> Answer:
        self._model.eval()
        with self._context.accelerator.autocast():
            batches = [batch.to(self._context.device) for batch in unpack_batches(tensors)]
            nats = [compute_example_losses(self._model, batch).tolist() for batch in batches]
        return {"nats": [value for values in nats for value in values]}

    def _shard(self, values: Values, _: Mapping[str, Tensor]) -> Answer:
        sharded = shard_model(self._language_model, self._context.device)
        groups = find_groups(values["groups"], sharded)
        self._optimizer = create_optimizer(values["optimizer"], sharded, groups, values["rate"], values["decay"])
        self._trained = [
            parameter for _, parameters in groups for parameter in parameters
        ]  # in the order of the groups
        self._model = self._context.accelerator.prepare(sharded)
        return {}

    def _sum_squares(self, _: Values, __: Mapping[str, Tensor]) -> Answer:
        return {"squares": sum_squares(self._trained)}

    def _take_step(self, values: Values, _: Mapping[str, Tensor]) -> Answer:
        take_step(self._get_optimizer(), values["rates"], values["factor"])
        return {}

    def _read_weights(self, _: Values, __: Mapping[str, Tensor]) -> Answer:
        collect(self._trained)
        return {}

    def _write_weights(self, _: Values, __: Mapping[str, Tensor]) -> Answer:
        spread([], self._trained)
        return {}

    def _read_optimizer(self, _: Values, __: Mapping[str, Tensor]) -> Answer:
        collect_state(self._get_optimizer())
        return {}

    def _write_optimizer(self, values: Values, _: Mapping[str, Tensor]) -> Answer:
        spread_state(self._get_optimizer(), [], values["places"], values["numbers"], None)
        return {}

    def _get_optimizer(self) -> torch.optim.Optimizer:
        assert self._optimizer is not None, "the model is divided"
        return self._optimizer
