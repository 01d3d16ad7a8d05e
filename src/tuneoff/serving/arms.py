"""The arms of a server: trained models that share the weights of one base model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import DynamicCache

from tuneoff.errors import ModelError, RunError
from tuneoff.methods import Method
from tuneoff.models.greedy_decoding import can_generate, has_window
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_inference
from tuneoff.models.prefix_attention import Layers
from tuneoff.models.row_changes import RowChanges
from tuneoff.models.shared_weights import copy_sharing_weights
from tuneoff.serving.prompts import Prompts
from tuneoff.system.checksums import hash_files


@dataclass(frozen=True, kw_only=True)
class ArmSource:
    """Where an arm comes from.

    Args:
        method: with the hyperparameters of the trial.
        folder: what the trial trained; None for a method that trains nothing.
        ends: tokens that end an answer, besides those of the base model.
        prompts: how the run asks the model; None: it comes from no run.
        fingerprint: of the base model for which it was trained; None: unknown.
        base: the name of the base model for which it was trained.
        place: for error messages.
        note: what whoever asks should know.
    """

    method: Method
    folder: Path | None = None
    ends: tuple[int, ...] = ()
    prompts: Prompts | None = None
    fingerprint: str | None = None
    base: str = ""
    place: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """What an arm has in memory.

    Args:
        model: the trained model itself, which shares the weights that were not trained with the base model.
        changes: what it changes for its rows of a batch; None if it needs batches of its own.
        prefix: keys and values before the text of each of its rows, computed once.
    """

    model: LanguageModel
    changes: RowChanges | None
    prefix: Layers | None = None

    def set_apart(self) -> Weights:
        """Return them for batches of their own."""
        if self.changes is None:
            return self
        prefix = None if self.changes.prefix is not None else self.prefix  # the trained model has a learned one itself
        return replace(self, changes=None, prefix=prefix)


@dataclass(kw_only=True, eq=False)
class Arm:
    """A model that is served.

    Args:
        name: what requests call it.
        source: where it comes from.
        checksums: of the files it comes from.
        weights: None while they are not in memory.
        prefix_tokens: positions of the cache before the text.
        mixes: whether its rows share batches with those of other arms.
        bytes: memory besides the base model.
        note: why it does not share batches, or what it costs.
    """

    name: str
    source: ArmSource
    checksums: Mapping[str, str]
    weights: Weights | None
    prefix_tokens: int
    mixes: bool
    bytes: int
    note: str = ""

    @property
    def context_tokens(self) -> int:
        """Positions of the model's context that the text cannot use."""
        return self.source.method.context_tokens

    @property
    def loaded(self) -> Weights:
        """The weights, which must be in memory."""
        assert self.weights is not None, f"{self.name} is not in memory"
        return self.weights

    def set_apart(self, note: str) -> Arm:
        """Return an arm with batches of its own."""
        apart = self.loaded.set_apart()
        return replace(self, weights=apart, mixes=False, prefix_tokens=_count_tokens(apart.prefix), note=note)


def load_arm(name: str, source: ArmSource, base: LanguageModel) -> Arm:
    """Load an arm beside the base model, which stays as it is.

    Raises:
        RunError: what was trained cannot be loaded, or does not fit the base model, or cannot be served.
    """
    versions = [parameter._version for parameter in base.parameters()]
    try:
        tuned = source.method.load(copy_sharing_weights(base), source.folder or Path())
    except (OSError, ModelError, ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(
            f"{name} cannot be loaded from {source.place or source.folder}: {reason}. It must be trained from the base "
            f"model that is served, {base.known_as}."
        ) from error
    tuned = hold_for_inference(tuned, next(base.parameters()).dtype)
    if versions != [parameter._version for parameter in base.parameters()]:
        raise RunError(f"{name} cannot be served: loading it changes the weights of the base model in place.")
    changes = source.method.find_row_changes(base, tuned)
    if not can_generate(tuned.base) or (tuned.outer_adapter and tuned.outer_adapter.needs_own_generate):
        raise RunError(
            f"{name} cannot be served: only the generation of its own library applies it. Load it with "
            "tuneoff.load, or export it."
        )
    note = "" if changes else "It is no change of single modules, so its rows have batches of their own."
    if changes and changes.prefix is not None and has_window(base.base):
        changes, note = (
            None,
            "Its prefix is seen beyond the window of the layers, so its rows have batches of their own.",
        )
    prefix = _compute_prefix(tuned, changes) if changes else None
    changed_bytes = changes.count_bytes(base) if changes else _count_own_bytes(base, tuned)
    return Arm(
        name=name,
        source=source,
        checksums=_hash_files(source),
        weights=Weights(model=tuned, changes=changes, prefix=prefix),
        prefix_tokens=_count_tokens(prefix),
        mixes=changes is not None,
        bytes=changed_bytes + sum(tensor.nbytes for pair in prefix or () for tensor in pair),
        note=note,
    )


def read_again(arm: Arm, base: LanguageModel) -> Weights:
    """Return the weights of an arm that was in memory before.

    Raises:
        RunError: its files are gone, or are not those of the time when it was added.
    """
    if _hash_files(arm.source) != arm.checksums:
        raise RunError(
            f"The files of {arm.name} in {arm.source.folder} are gone, or others than when it was added. Restore them, "
            "or remove the model and add it again."
        )
    weights = load_arm(arm.name, arm.source, base).loaded
    return weights if arm.mixes else weights.set_apart()


def _hash_files(source: ArmSource) -> Mapping[str, str]:
    if source.folder is None:
        return {}
    return hash_files((file for file in source.folder.rglob("*") if file.is_file()), source.folder)


def _count_tokens(prefix: Layers | None) -> int:
    return 0 if prefix is None else prefix[0][0].shape[1]


@torch.no_grad()
def _compute_prefix(tuned: LanguageModel, changes: RowChanges) -> Layers | None:
    """Return the keys and values that stand before the text: the learned ones, or those of a soft prompt."""
    dtype = tuned.base.get_input_embeddings().weight.dtype
    if changes.prefix is not None:
        return [(keys.to(dtype), values.to(dtype)) for keys, values in changes.prefix]
    if changes.prompt_PD is None:
        return None
    cache = DynamicCache()  # without the config, so that every layer keeps all positions
    tuned.base(inputs_embeds=changes.prompt_PD[None].to(dtype), past_key_values=cache, use_cache=True)
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def _count_own_bytes(base: LanguageModel, tuned: LanguageModel) -> int:
    known = {parameter.data_ptr() for parameter in base.parameters()}
    return sum({p.data_ptr(): p.nbytes for p in tuned.parameters() if p.data_ptr() not in known}.values())


def list_ends(base: LanguageModel, source: ArmSource) -> frozenset[int]:
    """Return the ids of the tokens that end an answer of an arm."""
    own = base.base.generation_config.eos_token_id
    of_model: Sequence[int] = [own] if isinstance(own, int) else own or []
    return frozenset((*of_model, *source.ends))
