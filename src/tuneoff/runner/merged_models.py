"""Several LoRA of a run in one set of weights, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from tuneoff.data.example import Row
from tuneoff.errors import RunError, suggest
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.merged_swap import MergedSwap, Updates, read_low_rank_updates
from tuneoff.models.precision import get_dtype, hold_for_inference
from tuneoff.models.sources import find_source
from tuneoff.records.record import Record
from tuneoff.runner.trained_model import make_trained_model, require_adapter, require_same_model
from tuneoff.runs import RunDirectory


@final
class MergedModels:
    """Models of plain LoRA in the weights of one base model. Each answers at the base model's speed.

    Args:
        directory: the run.
        records: of finished trials of one setting.
        capacity: how many LoRA stay in memory; those that were not used for longest are read again.

    Raises:
        ModelError: the base model cannot be loaded.
        RunError: it has changed since the run, or is quantised, so that nothing can be added to its weights.
    """

    def __init__(self, directory: RunDirectory, records: Sequence[Record], *, capacity: int) -> None:
        setting = records[0].trial.setting
        if setting.model.quantise:
            raise RunError(f"{setting.model.name} is quantised, and codes take no LoRA. Use tuneoff.load.")
        source = find_source(setting.model)
        require_same_model(source, setting)
        base = load_model(source, setting.model, load_tokenizer(source, setting.model))
        base = hold_for_inference(base, get_dtype(setting.precision))
        self._directory = directory
        self._records = {record.trial.label: record for record in records}
        self._models = {record.trial.label: make_trained_model(record, base) for record in records}
        self._swap = MergedSwap(base.network, self._read, capacity=capacity)

    @property
    def labels(self) -> tuple[str, ...]:
        """The models, as the recipe labels them."""
        return tuple(self._models)

    @property
    def merged(self) -> str | None:
        """The one that is in the weights now; None: none is."""
        return self._swap.current

    def generate(
        self, label: str, sources: Sequence[str | Row | Sequence[Row]], *, max_new_tokens: int | None = None
    ) -> list[str]:
        """Return what one of the models writes for each source; see `TrainedModel.generate`.

        Raises:
            RunError: there is no such model, its adapter is missing or damaged, or it is no plain LoRA.
            DataError, RecipeError: as for `TrainedModel.generate`.
        """
        if label not in self._models:
            raise RunError(f"There is no model {label!r} here.{suggest(label, self._models)}")
        self._swap.swap_to(label)
        return self._models[label].generate(sources, max_new_tokens=max_new_tokens)

    def _read(self, label: str) -> Updates:
        record = self._records[label]
        require_adapter(self._directory, record)
        return read_low_rank_updates(self._directory.get_adapter_folder(record.trial))
