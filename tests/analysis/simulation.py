"""Simulated scores with known variance components, as arrays and as comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.report.synthetic import judge_records, make_synthetic_run
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.family import PairedDifference, compare_all
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.records.record import Costs, Prediction, Record

Array = NDArray[np.float64]


def make_scores(scores_SE: object, *, trained: bool = True) -> ScoreMatrix:
    """Make the scores of one method, with equal weights of the examples."""
    numerators_SE = np.array(scores_SE, dtype=float)
    return ScoreMatrix(numerators_SE, np.ones(numerators_SE.shape[1]), trained=trained)


def simulate_pair(
    generator: np.random.Generator,
    *,
    seeds: int = 3,
    examples: int = 40,
    seed_effect: float = 0.0,
    interaction: float = 8.0,
    example_effect: float = 0.0,
    difference: float = 0.0,
) -> PairedDifference:
    """Simulate two methods whose scores differ by `difference`, and by chance.

    Args:
        seed_effect: standard deviation of the effect of a seed, equal for all its examples.
        interaction: of the effect of a seed on single examples.
        example_effect: of the effect of an example on one method, equal for all seeds.
    """
    difficulty_E = generator.normal(20, 8, size=examples)

    def simulate_side(mean: float) -> ScoreMatrix:
        seed_effects_S1 = generator.normal(0, seed_effect, size=(seeds, 1))
        interaction_SE = generator.normal(0, interaction, size=(seeds, examples))
        example_effects_E = generator.normal(0, example_effect, size=examples)
        numerators_SE = mean + difficulty_E + example_effects_E + seed_effects_S1 + interaction_SE
        return ScoreMatrix(numerators_SE, np.ones(examples))

    return compare_all([simulate_side(difference), simulate_side(0.0)])[0, 1]


def make_comparison(
    rouge_SE: Mapping[str, Array], /, costs: Mapping[str, Mapping[str, Any]] | None = None, **verdict: Any
) -> Comparison:
    """Make a comparison with these scores of each method, F1 × 100, by every ROUGE; the loss falls as ROUGE rises.

    Args:
        costs: fields of `Costs` that replace the synthetic run's, by label.
        verdict: the recipe's options of that name.
    """
    seeds = max(len(scores_SE) for scores_SE in rouge_SE.values())
    run = make_synthetic_run(methods=list(rouge_SE), seeds=list(range(seeds)), verdict=verdict)
    return judge_records(
        run, [give_scores(r, rouge_SE[r.trial.label], (costs or {}).get(r.trial.label, {})) for r in run.records]
    )


def give_scores(record: Record, rouge_SE: Array, costs: Mapping[str, Any] | None = None) -> Record:
    """Give a record the scores of its seed, or make it fail if there are none."""
    if record.trial.seed >= len(rouge_SE):
        return record.model_copy(update={"status": "failed", "reason": "no memory", "scores": {}, "predictions": ()})
    assert isinstance(record.costs, Costs)
    predictions = _make_predictions(record.predictions[0], rouge_SE[record.trial.seed])
    return record.model_copy(update={"predictions": predictions, "costs": record.costs.model_copy(update=costs or {})})


def _make_predictions(template: Prediction, rouge_E: Sequence[float] | Array) -> tuple[Prediction, ...]:
    return tuple(
        template.model_copy(
            update={
                "row": row,
                "scores": dict.fromkeys(template.scores, float(value) / 100),
                "loss": template.target_tokens * (5 - float(value) / 100),
            }
        )
        for row, value in enumerate(rouge_E)
    )
