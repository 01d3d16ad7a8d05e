"""What the page says of metrics: labels, charts of their own, and references that a metric cannot see."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.report.charts import draw_figures, list_titles
from tuneoff.report.diagnostics import diagnose
from tuneoff.report.label_table import build_label_table
from tuneoff.report.page import render_page

LANGUAGES = ("C", "C++", "C#")


def make_comparison(references: Sequence[str], predictions: Sequence[str], **changes: Any) -> Comparison:
    """A comparison whose references and predictions are these, over and over."""
    run = make_synthetic_run(methods=["base", "lora"], seeds=[0, 1], **changes)
    records = []
    for record in run.records:
        answers = [
            p.model_copy(
                update={
                    "reference": references[p.row % len(references)],
                    "prediction": predictions[p.row % len(predictions)],
                    "scores": {},
                }
            )
            for p in record.predictions
        ]
        records.append(record.model_copy(update={"predictions": tuple(answers)}))
    return judge(type(run)(recipe=run.recipe, environment=run.environment, data=run.data, records=tuple(records)))


def find_texts(comparison: Comparison, kind: str) -> list[str]:
    return [diagnosis.text for diagnosis in diagnose(comparison) if diagnosis.kind == kind]


def test_labels_that_rouge_reads_as_one_are_reported_with_the_cure() -> None:
    comparison = make_comparison(LANGUAGES, ["C"])
    assert comparison.rows[0].scores["rougeL"].mean == 100  # although most answers are wrong
    (text,) = find_texts(comparison, "metric cannot tell references apart")
    assert "ROUGE reads different references as the same: “C”, “C++” and “C#”" in text
    assert "40 of 40" in text
    assert "verdict.metric: exact" in text


@pytest.mark.parametrize("metric", ["accuracy", "exact"])
def test_a_metric_that_tells_them_apart_scores_them_and_is_not_reported(metric: str) -> None:
    comparison = make_comparison(LANGUAGES, ["C"], metrics=[metric])
    assert comparison.rows[0].scores[metric].mean == pytest.approx(100 * 14 / 40)
    assert find_texts(comparison, "metric cannot tell references apart") == []


@pytest.mark.parametrize(
    "pair", [("universal plan", "university plan"), ('{"age": -3}', '{"age": 3}'), ("Größe", "Grüße")]
)
def test_answers_that_stemming_or_dropping_makes_equal_are_reported(pair: tuple[str, str]) -> None:
    assert find_texts(make_comparison(pair, pair[::-1]), "metric cannot tell references apart")


def test_references_that_differ_in_case_alone_are_no_finding() -> None:
    assert find_texts(make_comparison(["Yes", "yes", "no"], ["no"]), "metric cannot tell references apart") == []


def test_text_that_the_tokenizer_drops_is_reported_with_the_right_tokenizer() -> None:
    comparison = make_comparison(["Река поднялась ночью"], ["Река поднялась ночью"])
    assert comparison.rows[0].scores["rougeL"].mean == 0
    (text,) = find_texts(comparison, "metric cannot read references")
    assert "have no words for ROUGE" in text
    assert "Set metrics.rougeL.tokenizer to words." in text


def test_with_that_tokenizer_a_perfect_answer_scores_fully_and_the_page_says_so() -> None:
    metrics = {"rougeL": {"tokenizer": "words"}}
    comparison = make_comparison(["Река поднялась ночью"], ["Река поднялась ночью"], metrics=metrics)
    assert comparison.rows[0].scores["rougeL"].mean == 100
    assert find_texts(comparison, "metric cannot read references") == []
    assert "tokenizer: words, without stemming" in render_page(comparison, {}, {})


def test_every_label_has_its_f1_and_every_method_its_confusions() -> None:
    table = build_label_table(make_comparison(LANGUAGES, ["C", "C++", "nonsense"], metrics=["accuracy"]))
    assert table is not None
    assert [(name, scores) for name, _, scores in table.classes] == [
        ("C", ("100.0", "100.0")), ("C++", ("100.0", "100.0")), ("C#", ("0.0", "0.0")),
    ]  # fmt: skip
    assert sum(count for _, count, _ in table.classes) == 40
    matrix = table.matrices[0]
    assert matrix.columns == (*LANGUAGES, "(other)")
    assert dict(matrix.rows)["C#"][-1] > 0
    assert (matrix.runs, sum(map(sum, dict(matrix.rows).values()))) in [(1, 40), (2, 80)]


def test_the_page_shows_labels_only_where_there_are_any() -> None:
    assert "Confusion matrix" in render_page(make_comparison(LANGUAGES, ["C"], metrics=["macro_f1"]), {}, {})
    assert "Confusion matrix" not in render_page(make_comparison(LANGUAGES, ["C"]), {}, {})


def test_macro_f1_is_the_same_on_the_leaderboard_and_over_the_labels() -> None:
    comparison = make_comparison(LANGUAGES, ["C", "C++", "C"], metrics=["macro_f1"])
    table = build_label_table(comparison)
    assert table is not None
    mean = sum(float(scores[0]) for _, _, scores in table.classes) / 3
    assert comparison.rows[0].scores["macro_f1"].mean == pytest.approx(mean, abs=0.05)


def test_metrics_from_0_to_100_share_a_chart_and_others_have_their_own() -> None:
    mine = {"function": "tests.report.test_metrics:count_letters", "title": "Letters", "unit": "letters"}
    comparison = make_comparison(LANGUAGES, ["C"], metrics={"exact": None, "chrf": None, "mine": mine})
    charts, titles = draw_figures(comparison), list_titles(comparison)
    assert titles["scores"] == "Scores of the predictions"
    assert titles["score-mine"] == "Letters"
    assert {"scores", "score-mine"} <= charts.keys()
    assert {row["metric"] for row in next(iter(charts["scores"].to_dict()["datasets"].values()))} == {
        "chrF",
        "Exact match",
    }


def count_letters(prediction: str, references: list[str], row: object) -> int:
    return len(prediction)
