"""The evaluation loss, and perplexity, which is the same loss on another scale."""

import math

from tuneoff.metrics.metric import Metric, TypicalNoise

LOSS = Metric(
    name="loss",
    title="Evaluation loss",
    unit="nats per target token",
    meaning="Cross-entropy on the test split in nats per target token. Lower is better.",
    higher_is_better=False,
    needs="loss",
    decimals=3,
    margin=lambda options: options.margin_loss,
    bounds=(0.0, math.inf),
    noise=TypicalNoise(seed_sd=0.03, example_sd=0.2, base_sd=0.78),  # of the recipe fair: docs/how-to/plan.md
)


def compute_perplexity(nats_per_token: float) -> float:
    """Return e to the power of the loss, or infinity where a float would overflow (above 709)."""
    return math.exp(nats_per_token) if nats_per_token < 700 else math.inf
