from tests.report.synthetic import EXAMPLES, judge_records
from tuneoff.analysis.comparison import Comparison
from tuneoff.report.examples import choose_examples, pick_evenly
from tuneoff.runs import Run


def test_examples_are_evenly_spaced_from_first_to_last() -> None:
    assert pick_evenly(list(range(100)), 10) == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


def test_a_small_test_split_is_shown_completely() -> None:
    assert pick_evenly([0, 1, 2], 10) == [0, 1, 2]


def test_ten_examples_are_shown(comparison: Comparison) -> None:
    rows = [example.row for example in choose_examples(comparison)]
    assert (len(rows), rows[0], rows[-1]) == (10, 0, EXAMPLES - 1)


def test_every_finished_method_has_a_prediction_in_the_order_of_the_leaderboard(comparison: Comparison) -> None:
    finished = [row.label for row in comparison.rows if row.finished]
    assert [prediction.label for prediction in choose_examples(comparison)[0].predictions] == finished


def test_a_prediction_is_that_of_the_record(comparison: Comparison) -> None:
    example = choose_examples(comparison)[3]
    (record,) = [r for r in comparison.run.records if r.trial.label == "lora"]
    (shown,) = [prediction for prediction in example.predictions if prediction.label == "lora"]
    assert shown.prediction == record.predictions[example.row].prediction
    assert shown.score == f"{100 * record.predictions[example.row].scores['rougeL']:.1f}"


def test_without_a_finished_trial_there_are_no_examples(run: Run) -> None:
    assert choose_examples(judge_records(run, [r for r in run.records if r.status != "done"])) == ()
