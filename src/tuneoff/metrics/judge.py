"""The win rate that a judge gives: how often it prefers a method's answer.

The values of examples are not computed from texts but read from the judgements of a run, so the metric is only there
once a judge was asked, and for the examples that were judged.
"""

from tuneoff.metrics.metric import Metric

WIN_RATE = Metric(
    name="judge",
    title="Win rate",
    unit="%",
    meaning="Share of test examples on which the judge prefers the method's answer to the base model's, or to the "
    "reference; a tie counts as half.",
    higher_is_better=True,
    needs="judge",
    decimals=1,
    margin=lambda _: 5.0,
    scale=100.0,
    bounds=(0.0, 1.0),
)
