import csv
from collections.abc import Callable

import pytest

from tests.report.outcomes import make_open, make_single_runs, make_tie, make_winner
from tests.report.synthetic import judge_records, make_synthetic_comparison
from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import ROUGE_L
from tuneoff.report.pairwise import Matrix, build_matrices, format_pairs_csv
from tuneoff.runs import Run


@pytest.fixture(scope="module")
def three_seeds() -> Comparison:
    return make_synthetic_comparison(seeds=[0, 1, 2], methods=["base", "last-layer", "lora", "full"])


@pytest.fixture(scope="module")
def rouge(three_seeds: Comparison) -> Matrix:
    return build_matrices(three_seeds)[0]


def test_there_is_a_matrix_for_rouge_and_one_for_the_loss(three_seeds: Comparison) -> None:
    assert [matrix.metric.name for matrix in build_matrices(three_seeds)] == ["rougeL", "loss"]


def test_methods_are_sorted_best_first_and_the_diagonal_is_empty(rouge: Matrix, three_seeds: Comparison) -> None:
    assert rouge.labels == tuple(row.label for row in three_seeds.rank(ROUGE_L))
    empty = [(i, j) for i, row in enumerate(rouge.rows) for j, cell in enumerate(row) if cell is None]
    assert empty == [(i, i) for i in range(4)]


def test_a_pair_has_a_cell_for_each_of_its_methods_with_opposite_signs(rouge: Matrix) -> None:
    cell, mirrored = rouge.rows[0][3], rouge.rows[3][0]
    assert cell is not None
    assert mirrored is not None
    assert (cell.direction, mirrored.direction) == ("ahead", "behind")
    assert (cell.text[0], mirrored.text[0]) == ("+", "−")
    assert cell.text[1:] == mirrored.text[1:]
    assert cell.decision == mirrored.decision == "matters"


def test_a_lower_loss_is_better(three_seeds: Comparison) -> None:
    best_against_worst = build_matrices(three_seeds)[1].rows[0][3]
    assert best_against_worst is not None
    assert best_against_worst.direction == "ahead"
    assert best_against_worst.text.startswith("−")


def test_a_decision_is_that_of_the_comparison(rouge: Matrix, three_seeds: Comparison) -> None:
    for pair in three_seeds.get_pairs(ROUGE_L):
        cell = rouge.rows[rouge.labels.index(pair.better.label)][rouge.labels.index(pair.other.label)]
        assert cell is not None
        assert cell.decision == pair.decision


def test_each_pair_is_a_line_of_csv(three_seeds: Comparison) -> None:
    lines = list(csv.DictReader(format_pairs_csv(three_seeds).splitlines()))
    assert len(lines) == 2 * 6
    assert {line["decision"] for line in lines} <= {"matters", "better", "equal", "open"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_winner, ("better by more than matters", "worse by more than matters")),
        (
            lambda: make_winner(margin_rouge=1.9),
            ("better, but perhaps by less than matters", "worse, but perhaps by less than matters"),
        ),
        (make_tie, ("equal: any difference is too small to matter",) * 2),
        (make_open, ("open: more seeds or test examples may decide it",) * 2),
        (make_single_runs, ("one run: how far another run would move is not known",) * 2),
    ],
    ids=["matters", "better", "equal", "open", "one run"],
)
def test_each_decision_has_its_words(make: Callable[[], Comparison], words: tuple[str, str]) -> None:
    rows = build_matrices(make())[0].rows
    meanings = [cell.meaning.split("; p = ")[0] for cell in (rows[0][1], rows[1][0]) if cell]
    assert tuple(meanings) == words


def test_the_p_value_is_adjusted_and_agrees_with_the_interval(three_seeds: Comparison) -> None:
    lines = list(csv.DictReader(format_pairs_csv(three_seeds).splitlines()))
    for line in lines:
        assert (float(line["p"]) < 0.05) == (float(line["low"]) > 0)


def test_a_single_run_has_no_p_value() -> None:
    lines = list(csv.DictReader(format_pairs_csv(make_single_runs()).splitlines()))
    assert {(line["p"], line["decision"]) for line in lines} == {("", "one run")}
    assert all("p = " not in cell.meaning for row in build_matrices(make_single_runs())[0].rows for cell in row if cell)


def test_the_first_matrix_is_by_the_primary_metric() -> None:
    assert [matrix.metric.name for matrix in build_matrices(make_winner(metric="loss"))] == ["loss", "rougeL"]


def test_a_single_method_has_no_differences(run: Run) -> None:
    assert build_matrices(judge_records(run, [r for r in run.records if r.trial.label == "base"])) == ()
