"""The costs that rows are compared by. A new column is one entry in `COSTS`, read from the costs in a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuneoff.records.record import Costs, Memory


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A column of what a trial cost."""

    name: str
    title: str
    unit: str
    meaning: str  # one sentence or two, shown with the column
    value: Callable[[Costs], float | None]  # None: was not measured or does not apply
    higher_is_better: bool = False
    zero_without_training: bool = False  # a base model without this cost has none, rather than an unknown one


def _peak_bytes(memory: Memory | None) -> int | None:
    return memory.peak_bytes if memory else None


COSTS: dict[str, Cost] = {  # in the order of the leaderboard's columns
    cost.name: cost
    for cost in (
        Cost(
            name="trainable",
            title="Trainable parameters",
            unit="",
            meaning="Parameters that training updates; a shared tensor counts once.",
            value=lambda c: c.trainable_parameters,
        ),
        Cost(
            name="share",
            title="Share",
            unit="%",
            meaning="Trainable parameters as a share of all parameters.",
            value=lambda c: 100 * c.trainable_parameters / c.total_parameters,
        ),
        Cost(
            name="train_seconds",
            title="Training",
            unit="s",
            meaning="Training steps, including building their batches, but no loading, evaluation or saving.",
            value=lambda c: c.train_seconds,
            zero_without_training=True,
        ),
        Cost(
            name="slowest_epoch",
            title="Slowest epoch",
            unit="s",
            meaning="Training steps of the slowest epoch.",
            value=lambda c: c.slowest_epoch_seconds,
            zero_without_training=True,
        ),
        Cost(
            name="target_rate",
            title="Target tokens per second",
            unit="1/s",
            meaning="Tokens that the loss scores, per second of training; padding is not counted.",
            value=lambda c: c.target_tokens_per_second,
            higher_is_better=True,
        ),
        Cost(
            name="training_memory",
            title="Peak memory, training",
            unit="bytes",
            meaning="The most bytes held while training: allocated on a GPU; on a CPU, resident in the process, "
            "including the copy of the best weights.",
            value=lambda c: _peak_bytes(c.training_memory),
            zero_without_training=True,
        ),
        Cost(
            name="evaluation_memory",
            title="Peak memory, evaluation",
            unit="bytes",
            meaning="The most bytes held while evaluating and generating, counted in the same way.",
            value=lambda c: _peak_bytes(c.evaluation_memory),
        ),
        Cost(
            name="adapter_bytes",
            title="Size of its files",
            unit="bytes",
            meaning="The files needed to use the result, in addition to the base model.",
            value=lambda c: c.adapter_bytes,
            zero_without_training=True,
        ),
        Cost(
            name="context_tokens",
            title="Context taken",
            unit="tokens",
            meaning="Positions of the model's context that the method takes away from the text.",
            value=lambda c: c.context_tokens,
        ),
        Cost(
            name="prefill_ms",
            title="Prefill",
            unit="ms",
            meaning="Time to read one prompt, as the method would be served.",
            value=lambda c: c.inference.prefill_ms if c.inference else None,
        ),
        Cost(
            name="token_ms",
            title="Each new token",
            unit="ms",
            meaning="Time of each generated token after the first, as the method would be served.",
            value=lambda c: c.inference.token_ms if c.inference else None,
        ),
        Cost(
            name="prefill_ratio",
            title="Prefill, times the base's",
            unit="×",
            meaning="Prefill as a multiple of the base model's, timed alternately in the same process.",
            value=lambda c: c.inference.prefill_ms / c.inference.base_prefill_ms if c.inference else None,
        ),
        Cost(
            name="token_ratio",
            title="New token, times the base's",
            unit="×",
            meaning="A new token as a multiple of the base model's, timed alternately in the same process.",
            value=lambda c: c.inference.token_ms / c.inference.base_token_ms if c.inference else None,
        ),
    )
}
