"""A function of the user's own scores every example, and a mistake in it names the row."""

from pathlib import Path

import pytest

from tuneoff.config.metrics import MetricOptions
from tuneoff.errors import MetricError
from tuneoff.metrics import Answer
from tuneoff.metrics.own import make_own_metric
from tuneoff.metrics.scoring import score_answers

ANSWERS = [
    Answer(prediction="a b", references=("x", "y"), source="first", row={"weight": 2}),
    Answer(prediction="a", references=("x",), source="second", row={}),
]


def score(tmp_path: Path, body: str) -> list[float]:
    file = tmp_path / "mine.py"
    file.write_text(f"def score(prediction, references, row):\n    {body}\n")
    metric = make_own_metric("mine", MetricOptions(function=f"{file}:score"))
    return [result.scores["mine"] for result in score_answers([metric], ANSWERS)]


def test_it_gets_the_prediction_all_references_and_the_row(tmp_path: Path) -> None:
    assert score(tmp_path, "return len(prediction) + len(references) + row.get('weight', 0)") == [7.0, 2.0]


def test_a_module_is_imported() -> None:
    metric = make_own_metric("mine", MetricOptions(function="tests.metrics.test_own:count_words"))
    assert [result.scores["mine"] for result in score_answers([metric], ANSWERS)] == [2.0, 1.0]


def count_words(prediction: str, references: list[str], row: object) -> int:
    return len(prediction.split())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return row['weight']", r"failed on row 1 of the split \('second'\): KeyError"),
        ("return None", "returned None for row 0"),
        ("return 'high'", "returned 'high' for row 0"),
        ("return float('nan')", "mine of example 0 is nan"),
    ],
)
def test_a_mistake_names_the_row(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        score(tmp_path, body)
