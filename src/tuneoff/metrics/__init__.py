"""The metrics. A new one is one file and one entry in `METRICS`."""

from __future__ import annotations

from tuneoff.metrics.loss import LOSS, compute_perplexity
from tuneoff.metrics.metric import Answer, Metric, Scores, TypicalNoise
from tuneoff.metrics.rouge import ROUGE_1, ROUGE_2, ROUGE_L, ROUGE_LSUM

METRICS: dict[str, Metric] = {  # in the order of the leaderboard's columns
    metric.name: metric for metric in (ROUGE_L, ROUGE_1, ROUGE_2, ROUGE_LSUM, LOSS)
}

__all__ = ["LOSS", "METRICS", "ROUGE_L", "Answer", "Metric", "Scores", "TypicalNoise", "compute_perplexity"]
