"""What is scored and what it costs: a new metric or cost is one entry of a table here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuneoff.records.record import Costs, Memory, Prediction


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What is scored on the test split, per example: a ratio of sums whose direction is known."""

    name: str
    title: str
    unit: str
    higher_is_better: bool
    numerator: Callable[[Prediction], float]
    denominator: Callable[[Prediction], float]


def _rouge(name: str, title: str) -> Metric:
    return Metric(
        name=name,
        title=title,
        unit="F1 × 100",
        higher_is_better=True,
        numerator=lambda p: 100 * p.rouge[name],
        denominator=lambda p: 1.0,
    )


METRICS = (
    _rouge("rougeL", "ROUGE-L"),
    _rouge("rouge1", "ROUGE-1"),
    _rouge("rouge2", "ROUGE-2"),
    _rouge("rougeLsum", "ROUGE-Lsum"),
    Metric(
        name="loss",
        title="Evaluation loss",
        unit="nats per target token",
        higher_is_better=False,
        numerator=lambda p: p.loss,
        denominator=lambda p: p.target_tokens,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A column of what a trial cost."""

    name: str
    title: str
    unit: str
    of: Callable[[Costs], float | None]
    higher_is_better: bool = False


def _peak(memory: Memory | None) -> int | None:
    return memory.peak_bytes if memory else None


COSTS = (
    Cost(name="trainable", title="Trainable parameters", unit="", of=lambda c: c.trainable_parameters),
    Cost(name="share", title="Share", unit="%", of=lambda c: 100 * c.trainable_parameters / c.total_parameters),
    Cost(name="train_seconds", title="Training", unit="s", of=lambda c: c.train_seconds),
    Cost(name="slowest_epoch", title="Slowest epoch", unit="s", of=lambda c: c.slowest_epoch_seconds),
    Cost(
        name="target_rate",
        title="Target tokens per second",
        unit="1/s",
        of=lambda c: c.target_tokens_per_second,
        higher_is_better=True,
    ),
    Cost(name="training_memory", title="Peak memory, training", unit="bytes", of=lambda c: _peak(c.training_memory)),
    Cost(
        name="evaluation_memory", title="Peak memory, evaluation", unit="bytes", of=lambda c: _peak(c.evaluation_memory)
    ),
    Cost(name="adapter_bytes", title="Size of its files", unit="bytes", of=lambda c: c.adapter_bytes),
    Cost(name="context_tokens", title="Context taken", unit="tokens", of=lambda c: c.context_tokens),
    Cost(name="prefill_ms", title="Prefill", unit="ms", of=lambda c: c.inference.prefill_ms if c.inference else None),
    Cost(
        name="token_ms", title="Each new token", unit="ms", of=lambda c: c.inference.token_ms if c.inference else None
    ),
    Cost(
        name="prefill_ratio",
        title="Prefill, times the base's",
        unit="×",
        of=lambda c: c.inference.prefill_ms / c.inference.base_prefill_ms if c.inference else None,
    ),
    Cost(
        name="token_ratio",
        title="New token, times the base's",
        unit="×",
        of=lambda c: c.inference.token_ms / c.inference.base_token_ms if c.inference else None,
    ),
)
