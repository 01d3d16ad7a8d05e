"""What all methods that peft implements share: peft builds the adapter from a config and defines the file format."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor

    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.outer_adapter import OuterAdapter
    from tuneoff.models.row_changes import RowChanges

OUTSIDE = {"PREFIX_TUNING", "CARTRIDGE", "POLY", "XLORA", "SHADOW"}  # types that only peft's own forward pass applies


class PeftAdapter(Method, ABC):
    """An adapter of peft. Plain peft loads what is saved."""

    @abstractmethod
    def make_config(self, base: LanguageModel) -> PeftConfig:
        """Return peft's config of the adapter for this base model."""

    def apply(self, base: LanguageModel) -> LanguageModel:
        return add_adapter(base, self.make_config(base))

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        # With "auto", peft would ask the hub for the base model's config to see whether the vocabulary has grown.
        sort_sets(tuned.network.active_peft_config)
        tuned.network.save_pretrained(folder, save_embedding_layers=False)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        return load_adapter(base, folder)

    def merge(self, tuned: LanguageModel) -> LanguageModel:
        return merge_adapter(tuned)

    def find_row_changes(self, base: LanguageModel, tuned: LanguageModel) -> RowChanges | None:
        from tuneoff.methods.peft_rows import find_row_changes

        return find_row_changes(tuned)


def add_adapter(base: LanguageModel, config: PeftConfig) -> LanguageModel:
    """Return the base model with a new adapter, whose parameters alone are trainable."""
    from peft import get_peft_model

    with silence_peft():
        network = get_peft_model(base.network, config)
    config = network.active_peft_config  # saved with the adapter, so it must not name folders of this machine's cache
    config.base_model_name_or_path = base.known_as
    if hasattr(config, "tokenizer_name_or_path"):
        config.tokenizer_name_or_path = base.known_as
    return base.with_network(network, make_outer_adapter(network))


def describe_shape(base: LanguageModel) -> dict[str, int]:
    """Return the arguments of a prompt's config that peft cannot read from some models' configs.

    Raises:
        ValueError: the model has no input embedding that a prompt could stand beside.
    """
    embedding = base.base.get_input_embeddings()
    if not hasattr(embedding, "weight"):
        raise ValueError(f"a {type(base.base).__name__} does not say which embedding its input goes through")
    if "inputs_embeds" not in inspect.signature(base.base.prepare_inputs_for_generation).parameters:
        raise ValueError(f"transformers cannot generate with a prompt of vectors in a {type(base.base).__name__}")
    return {
        "token_dim": embedding.weight.shape[1],
        "num_layers": len(base.blocks),
        "num_attention_heads": getattr(base.base.config, "num_attention_heads", None) or 1,
    }


def load_adapter(base: LanguageModel, folder: Path) -> LanguageModel:
    """Return the base model with the adapter in `folder`.

    Raises:
        ModelError: the weights are not safetensors.
    """
    from peft import PeftModel

    from tuneoff.models.safe_weights import require_safe_adapter

    require_safe_adapter(folder)
    with silence_peft():
        network = PeftModel.from_pretrained(base.network, folder)
    return base.with_network(network, make_outer_adapter(network))


def merge_adapter(tuned: LanguageModel) -> LanguageModel:
    """Return the base model with the adapter's update added to its weights.

    The adapter is used up. A model with an adapter that cannot be merged is returned as it is, and so is one with a
    quantised base: rounding the sum to codes again would change it. So is one in which layers share a weight (Zamba):
    each would add its own update to it.
    """
    from tuneoff.models.quantisation import list_quantised

    if list_quantised(tuned.network):
        return tuned
    if tuned.outer_adapter and tuned.outer_adapter.needs_own_generate:
        return tuned  # there is no weight to merge into, and peft would silently drop a SHADOW adapter
    if _shares_weights(tuned.network):
        return tuned
    try:
        return tuned.with_network(tuned.network.merge_and_unload())
    except (AttributeError, NotImplementedError, ValueError):  # what the types of adapters raise that cannot be merged
        return tuned


def _shares_weights(network: Any) -> bool:  # Any: peft's models are not typed
    """Return whether two layers of an adapter are around one weight."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = (module.get_base_layer() for module in network.modules() if isinstance(module, BaseTunerLayer))
    weights = [id(layer.weight) for layer in layers if getattr(layer, "weight", None) is not None]
    return len(set(weights)) < len(weights)


def get_adapter_state(tuned: LanguageModel) -> dict[str, Tensor]:
    """Return the adapter's tensors under their names in a saved file."""
    from peft import get_peft_model_state_dict

    return cast("dict[str, Tensor]", get_peft_model_state_dict(tuned.network, save_embedding_layers=False))


def write_adapter(state: dict[str, Tensor], config: PeftConfig, folder: Path) -> None:
    """Write tensors and a config as an adapter of peft."""
    from peft.utils import SAFETENSORS_WEIGHTS_NAME
    from safetensors.torch import save_file

    config.inference_mode = True
    sort_sets(config)
    config.save_pretrained(folder)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / SAFETENSORS_WEIGHTS_NAME)


def sort_sets(config: PeftConfig) -> None:
    """Make the sets of a config sorted lists, which peft saves in an order that is the same in every process."""
    for name, value in vars(config).items():
        if isinstance(value, set):
            setattr(config, name, sorted(value))


def make_outer_adapter(network: Any) -> OuterAdapter:  # Any: peft's models are not typed
    """Return how to use a model of peft."""
    from tuneoff.models.outer_adapter import OuterAdapter

    config = network.active_peft_config
    return OuterAdapter(
        get_base=_get_base,
        make_inputs=_make_task_ids,
        compute_prompt=_compute_prompt if config.is_prompt_learning else None,
        needs_own_generate=config.peft_type.value in OUTSIDE,
    )


def _get_base(network: Any) -> Any:
    return network.get_base_model()


def _make_task_ids(network: Any, rows: int) -> dict[str, Tensor]:
    """Assign all rows to the first task, for an adapter that distinguishes tasks."""
    import torch

    if not any(getattr(network.active_peft_config, name, None) for name in ("num_tasks", "n_tasks")):
        return {}
    return {"task_ids": torch.zeros(rows, dtype=torch.long, device=network.device)}


def _compute_prompt(network: Any) -> Tensor:
    return cast("Tensor", network.get_prompt(batch_size=1, **_make_task_ids(network, 1))[0])


@contextlib.contextmanager
def silence_peft() -> Iterator[None]:
    """Hide peft's warnings about its own internals, which a user cannot act on."""
    with warnings.catch_warnings():
        for module in ("peft", "torch.utils.cpp_extension"):  # BOFT looks for a GPU compiler and works without one
            warnings.filterwarnings("ignore", module=module)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft uses the old name
        yield
