"""What the verdict says of costs: which method is the cheapest, or that they cost the same."""

import pytest

from tests.report.synthetic import judge_records, make_synthetic_comparison, make_synthetic_run
from tuneoff.report.sentences.costs import describe_cheapest
from tuneoff.report.sentences.names import make_names


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (
            {"lora": 180.0, "full": 190.0},
            "; they cost the same (training time 3 min 0 s to 3 min 10 s), and lora is cheaper (trainable parameters "
            "4.9 M)",
        ),
        (
            {"lora": 190.0, "full": 180.0, "soft-prompt": 400.0},
            "; lora and full cost the same (training time 3 min 0 s to 3 min 10 s), and lora is the cheapest "
            "(trainable parameters 4.9 M)",
        ),
        ({"lora": 180.0, "full": 240.0}, "; lora is cheaper (training time 3 min 0 s)"),
    ],
)
def test_costs_that_are_the_same_are_said_to_be(seconds: dict[str, float], text: str) -> None:
    run = make_synthetic_run(methods=list(seconds))
    records = [
        r.model_copy(update={"costs": r.costs.model_copy(update={"train_seconds": seconds[r.trial.label]})})
        for r in run.records
        if r.costs
    ]
    comparison = judge_records(run, records)
    rows = {row.label: row for row in comparison.rows}
    assert describe_cheapest(comparison, [rows[label] for label in seconds], make_names(comparison)) == text


def test_rows_that_cost_the_same_in_every_way_have_no_cheapest() -> None:
    comparison = make_synthetic_comparison(
        methods={"lora": {}, "lora-again": {"method": "lora"}}, verdict={"cheaper_by": "adapter_bytes"}
    )
    text = describe_cheapest(comparison, comparison.rows, make_names(comparison))
    assert text == "; they cost the same (file size 19.6 MB)"
