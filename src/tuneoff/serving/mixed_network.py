"""One base model whose batches have rows of several arms, each with its own changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tuneoff.models.language_model import LanguageModel
from tuneoff.models.row_changes import RowChange

Rows = Tensor | slice  # the rows of a batch that belong to one arm


class NotByRowError(Exception):
    """A changed module gets its inputs in another form than one row for each row of the batch."""


class MixedNetwork:
    """Puts changes into the modules of a model, which must not be used for anything else.

    Args:
        model: the base model, or a copy that shares its weights.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._changes: dict[str, dict[Hashable, RowChange]] = {}  # by module, then by arm
        self._rows: dict[Hashable, Rows] = {}  # of the batch in a forward pass
        self._row_count = 0

    def add(self, arm: Hashable, changes: dict[str, RowChange]) -> None:
        """Let an arm change modules, by their full names in transformers' own model."""
        for name, change in changes.items():
            if name not in self._changes:
                module = self.model.base.get_submodule(name)
                self._changes[name] = {}
                module.forward = partial(self._run, self._changes[name], module.forward)
            self._changes[name][arm] = change

    def remove(self, arm: Hashable) -> None:
        """Forget an arm. Modules that no other arm changes run as they did before."""
        for name in [name for name, by_arm in self._changes.items() if arm in by_arm]:
            del self._changes[name][arm]
            if not self._changes[name]:
                del self._changes[name]
                del self.model.base.get_submodule(name).forward  # on the instance, where it hides its class's

    @contextlib.contextmanager
    def batch(self, arms: Sequence[Hashable]) -> Iterator[None]:
        """Let the rows of the forward passes within the block belong to these arms, one for each row."""
        numbers: dict[Hashable, list[int]] = {}
        for row, arm in enumerate(arms):
            numbers.setdefault(arm, []).append(row)
        device = self.model.base.device
        self._row_count = len(arms)
        self._rows = {
            arm: slice(None) if len(rows) == len(arms) else torch.tensor(rows, device=device)
            for arm, rows in numbers.items()
        }
        try:
            yield
        finally:
            self._rows, self._row_count = {}, 0

    def _run(
        self, by_arm: dict[Hashable, RowChange], forward: Callable[..., Any], inputs: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        """Run a module with the changes of the arms in the batch."""
        changed = [(rows, by_arm[arm]) for arm, rows in self._rows.items() if arm in by_arm]
        if not changed:
            return forward(inputs, *args, **kwargs)
        if len(inputs) != self._row_count:
            raise NotByRowError(f"{len(inputs)} inputs for {self._row_count} rows")
        own_inputs, inputs = inputs, _change_inputs(inputs, changed)
        replaced = [(rows, change) for rows, change in changed if change.replaces]
        others = [rows for arm, rows in self._rows.items() if arm not in by_arm or not by_arm[arm].replaces]
        output: Any = (
            _run_parts(lambda part: forward(part, *args, **kwargs), inputs, replaced, others)
            if replaced
            else forward(inputs, *args, **kwargs)
        )
        first: Tensor = output[0] if isinstance(output, tuple) else output
        for rows, change in changed:
            if not change.replaces:
                first[rows] = change.change_outputs(own_inputs[rows], first[rows]).to(first.dtype)
        return output


def _change_inputs(inputs: Tensor, changed: Sequence[tuple[Rows, RowChange]]) -> Tensor:
    changing = [(rows, change) for rows, change in changed if change.changes_inputs]
    if not changing:
        return inputs
    inputs = inputs.clone()
    for rows, change in changing:
        inputs[rows] = change.change_inputs(inputs[rows])
    return inputs


def _run_parts(
    forward: Callable[..., Tensor], inputs: Tensor, replaced: Sequence[tuple[Rows, RowChange]], others: Sequence[Rows]
) -> Tensor:
    """Run the replacements for their rows, and the module itself for the others."""
    parts = [(rows, change.change_outputs(inputs[rows], inputs[rows])) for rows, change in replaced]
    if others:
        rest = torch.cat([rows for rows in others if isinstance(rows, Tensor)])
        parts.append((rest, forward(inputs[rest])))
    if len(parts) == 1:
        return parts[0][1]
    output = parts[0][1].new_empty(len(inputs), *parts[0][1].shape[1:])
    for rows, part in parts:
        output[rows] = part.to(output.dtype)
    return output
