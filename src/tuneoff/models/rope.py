"""How many positions the rows of a batch may have, also where rotary embeddings depend on the longest of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def count_positions(config: Any) -> int | None:
    """Return the positions of a model, or fewer if longer rows would change others in a batch; None: it does not say.

    Args:
        config: of transformers.
    """
    limits = (
        getattr(config.get_text_config(decoder=True), "max_position_embeddings", None),
        count_stable_positions(config),
    )
    return min((limit for limit in limits if limit is not None), default=None)


def count_stable_positions(config: Any) -> int | None:
    """Return the positions up to which no row of a batch changes another's rotations; None: no row ever does.

    transformers chooses the frequencies of two types by the highest position in the whole batch: `longrope` has other
    factors beyond the original context, and `dynamic` (NTK) stretches them with the length, also for later batches.

    Args:
        config: of transformers.

    Source: `dynamic_rope_update` in transformers' `modeling_rope_utils`; also PhiMoE's own `forward`.
    """
    text_config = config.get_text_config(decoder=True)
    return min(_list_limits(text_config), default=None)


def _list_limits(config: Any) -> Iterator[int]:
    parameters = getattr(config, "rope_parameters", None) or {}
    for one in (parameters, *parameters.values()):  # some models have parameters for each type of layer
        rope_type = one.get("rope_type") if isinstance(one, Mapping) else None
        if rope_type == "longrope":
            yield one["original_max_position_embeddings"]
        elif rope_type is not None and "dynamic" in rope_type:
            yield config.max_position_embeddings
