"""Scores made from known noise, as arrays and as whole comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.report.synthetic import judge_records, make_synthetic_run
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.statistics import PairedDifference, ScoreMatrix
from tuneoff.records.record import Costs, Prediction, Record

Array = NDArray[np.float64]


def simulate_pair(
    generator: np.random.Generator,
    *,
    seeds: int = 3,
    examples: int = 40,
    seed_effect: float = 0.0,
    interaction: float = 8.0,
    own: float = 0.0,
    difference: float = 0.0,
) -> PairedDifference:
    """Two methods whose scores differ by `difference`, and by chance.

    Args:
        seed_effect: standard deviation of a training, on all of its answers alike.
        interaction: of a training on each single answer.
        own: of a method on each example, whatever the seed.
    """
    hardness_E = generator.normal(20, 8, size=examples)

    def side(stream: int, mean: float) -> ScoreMatrix:
        seed_effects_S1 = generator.normal(0, seed_effect, size=(seeds, 1))
        rest_SE = generator.normal(0, interaction, size=(seeds, examples))
        numerators_SE = mean + hardness_E + generator.normal(0, own, size=examples) + seed_effects_S1 + rest_SE
        return ScoreMatrix(numerators_SE, np.ones(examples), stream)

    return PairedDifference(side(0, difference), side(1, 0.0))


def make_comparison(
    rouge_SE: Mapping[str, Array], /, costs: Mapping[str, Mapping[str, Any]] | None = None, **verdict: Any
) -> Comparison:
    """A comparison in which the methods score so, F1 × 100, by every ROUGE; the loss falls as ROUGE rises.

    Args:
        costs: fields of `Costs` that are other than the synthetic run has them, by label.
        verdict: the recipe's options of that name.
    """
    most = max(len(scores_SE) for scores_SE in rouge_SE.values())
    run = make_synthetic_run(methods=list(rouge_SE), seeds=list(range(most)), verdict=verdict)
    return judge_records(
        run, [_scoring(r, rouge_SE[r.trial.label], (costs or {}).get(r.trial.label, {})) for r in run.records]
    )


def _scoring(record: Record, rouge_SE: Array, costs: Mapping[str, Any]) -> Record:
    """A seed that a method has no scores of failed."""
    if record.trial.seed >= len(rouge_SE):
        return record.model_copy(update={"status": "failed", "reason": "no room", "scores": {}, "predictions": ()})
    assert isinstance(record.costs, Costs)
    answers = _answers(record.predictions[0], rouge_SE[record.trial.seed])
    return record.model_copy(update={"predictions": answers, "costs": record.costs.model_copy(update=costs)})


def _answers(like: Prediction, rouge_E: Sequence[float] | Array) -> tuple[Prediction, ...]:
    return tuple(
        like.model_copy(
            update={
                "row": row,
                "rouge": dict.fromkeys(like.rouge, float(value) / 100),
                "loss": like.target_tokens * (5 - float(value) / 100),
            }
        )
        for row, value in enumerate(rouge_E)
    )
