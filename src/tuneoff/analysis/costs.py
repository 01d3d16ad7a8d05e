"""The costs that rows are compared by. A new column is one entry in `COSTS`, read from the costs in a record.

A measured cost has noise, so two rows cost the same if they differ by less than a tenth or within noise. A counted cost
has none, so every difference is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuneoff.analysis.latency import compute_ratio
from tuneoff.records.record import Costs, Memory

TOLERANCE = 0.1  # a smaller share of a measured cost is no reason to prefer a row
HEADER_SHARE = 0.01  # of a file: two adapters of equal size differ by the names in their files


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
    counted: bool = False  # known exactly, rather than measured
    tolerance: float = TOLERANCE  # rows whose costs differ by at most this share cost the same
    compared_by: str | None = None  # another cost that tells whether two rows cost the same; None: this one
    counted_as: str | None = None  # the counted cost behind a measured one


def _peak_bytes(memory: Memory | None) -> int | None:
    return memory.peak_bytes if memory else None


COSTS: dict[str, Cost] = {  # in the order of the leaderboard's columns
    cost.name: cost
    for cost in (
        Cost(
            name="trainable",
            title="Trainable parameters",
            unit="",
            meaning="Number of parameters that are trained. A shared tensor counts once.",
            value=lambda c: c.trainable_parameters,
            counted=True,
            tolerance=0,
        ),
        Cost(
            name="share",
            title="Share",
            unit="%",
            meaning="Trainable parameters as a share of all parameters.",
            value=lambda c: 100 * c.trainable_parameters / c.total_parameters,
            counted=True,
            tolerance=0,
        ),
        Cost(
            name="train_seconds",
            title="Training time",
            unit="s",
            meaning="Time of the training steps, including batch preparation, but not loading, evaluation and saving.",
            value=lambda c: c.train_seconds,
            zero_without_training=True,
        ),
        Cost(
            name="slowest_epoch",
            title="Slowest epoch",
            unit="s",
            meaning="Time of the training steps of the slowest epoch.",
            value=lambda c: c.slowest_epoch_seconds,
            zero_without_training=True,
        ),
        Cost(
            name="target_rate",
            title="Target tokens per second",
            unit="1/s",
            meaning="Tokens scored by the loss, per second of training. Padding is not counted.",
            value=lambda c: c.target_tokens_per_second,
            higher_is_better=True,
        ),
        Cost(
            name="training_memory",
            title="Peak memory, training",
            unit="bytes",
            meaning="Peak memory during training. On a GPU, allocated memory; on a CPU, resident memory of the "
            "process, including the copy of the best weights.",
            value=lambda c: _peak_bytes(c.training_memory),
            zero_without_training=True,
        ),
        Cost(
            name="evaluation_memory",
            title="Peak memory, evaluation",
            unit="bytes",
            meaning="Peak memory during evaluation and generation, measured in the same way.",
            value=lambda c: _peak_bytes(c.evaluation_memory),
        ),
        Cost(
            name="adapter_bytes",
            title="File size",
            unit="bytes",
            meaning="Size of the files needed to use the trained model, in addition to the base model.",
            value=lambda c: c.adapter_bytes,
            zero_without_training=True,
            counted=True,
            tolerance=HEADER_SHARE,
        ),
        Cost(
            name="context_tokens",
            title="Context used",
            unit="tokens",
            meaning="Positions in the model's context window that the method uses up.",
            value=lambda c: c.context_tokens,
            counted=True,
            tolerance=0,
        ),
        Cost(
            name="prefill_ms",
            title="Prefill",
            unit="ms",
            meaning="Time to process one prompt, with the model as it would be deployed: the base model's time over "
            "all trials, times the ratio to it.",
            value=lambda c: c.inference.prefill_ms if c.inference else None,
            compared_by="prefill_ratio",
        ),
        Cost(
            name="token_ms",
            title="Time per new token",
            unit="ms",
            meaning="Time per generated token after the first, with the model as it would be deployed: the base "
            "model's time over all trials, times the ratio to it.",
            value=lambda c: c.inference.token_ms if c.inference else None,
            compared_by="token_ratio",
            counted_as="token_flops",
        ),
        Cost(
            name="prefill_ratio",
            title="Prefill, relative to base",
            unit="×",
            meaning="Prefill time divided by the base model's, measured alternately in the same process. One if the "
            "deployed model is the base model's network with other weights.",
            value=lambda c: compute_ratio(c.inference, "prefill_ms") if c.inference else None,
        ),
        Cost(
            name="token_ratio",
            title="Time per new token, relative to base",
            unit="×",
            meaning="Time per new token divided by the base model's, measured alternately in the same process. One if "
            "the deployed model is the base model's network with other weights.",
            value=lambda c: compute_ratio(c.inference, "token_ms") if c.inference else None,
        ),
        Cost(
            name="token_flops",
            title="Operations per new token",
            unit="flops",
            meaning="Floating-point operations to generate one token after the prompt, counted while the deployed "
            "model runs: matrix products, convolutions and attention, two for a multiplication and an addition.",
            value=lambda c: c.inference.token_flops if c.inference else None,
            counted=True,
            tolerance=0,
        ),
    )
}
