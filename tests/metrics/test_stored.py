"""Records of earlier versions have their scores, and stored predictions can be scored by metrics that came later."""

import json
from pathlib import Path

import pytest

from tests.api.stored_runs import write_run
from tests.report.synthetic import make_synthetic_run
from tuneoff.api.comparisons import report_run
from tuneoff.errors import MetricError
from tuneoff.metrics import LOSS, ROUGE_L
from tuneoff.metrics.stored import add_missing_scores
from tuneoff.records.record import Prediction, Record


@pytest.fixture
def record() -> Record:
    return make_synthetic_run(methods=["lora"]).records[0]


def test_a_prediction_of_an_earlier_version_has_its_rouge_as_scores() -> None:
    stored = {"row": 0, "source": "a", "reference": "b", "prediction": "c", "loss": 1.5, "target_tokens": 2}
    prediction = Prediction.model_validate_json(json.dumps(stored | {"rouge": {"rougeL": 0.5}}))
    assert (ROUGE_L.value(prediction), ROUGE_L.weight(prediction)) == (0.5, 1.0)
    assert prediction.accepted == ("b",)


def test_a_prediction_without_references_and_weights_is_written_without_them(record: Record) -> None:
    assert {"references", "weights"}.isdisjoint(record.predictions[0].model_dump())


def test_a_record_with_all_scores_stays_as_it_is(record: Record) -> None:
    assert add_missing_scores(record, [ROUGE_L, LOSS]) is record


def test_a_missing_score_is_computed_from_the_stored_text(record: Record) -> None:
    perfect = [p.model_copy(update={"scores": {}, "prediction": p.reference}) for p in record.predictions]
    scored = add_missing_scores(record.model_copy(update={"predictions": tuple(perfect)}), [ROUGE_L])
    assert {p.scores["rougeL"] for p in scored.predictions} == {1.0}
    assert scored.scores["test/rougeL"] == 1.0


def test_without_text_the_metric_is_refused_with_the_cure(record: Record) -> None:
    silent = [p.model_copy(update={"scores": {}, "prediction": None}) for p in record.predictions]
    with pytest.raises(MetricError, match="rougeL needs generated text"):
        add_missing_scores(record.model_copy(update={"predictions": tuple(silent)}), [ROUGE_L])


def test_a_report_against_a_run_with_other_metrics_scores_it_alike(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", methods={"base": {}, "lora": {}}, seeds=[0, 1], metrics=["chrf"])
    second = write_run(tmp_path / "b", methods={"base": {}, "lora": {}}, seeds=[0, 1], metrics=["exact"])
    report_run(first, against=second, to=tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Side by side" in page
    assert "chrF" in page
