"""The metrics. A new one is one file and one entry in `METRICS`."""

from tuneoff.metrics.choice import METRICS
from tuneoff.metrics.loss import LOSS, compute_perplexity
from tuneoff.metrics.metric import Answer, Metric, Scores, TypicalNoise
from tuneoff.metrics.rouge import ROUGE_L

__all__ = ["LOSS", "METRICS", "ROUGE_L", "Answer", "Metric", "Scores", "TypicalNoise", "compute_perplexity"]
