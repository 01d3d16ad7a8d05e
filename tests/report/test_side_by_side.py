from pathlib import Path

import pytest

from tests.report.outcomes import add_loss, make_disagreement, make_tie, make_winner
from tests.report.synthetic import judge_with_changes, make_synthetic_comparison, make_synthetic_run
from tests.report.synthetic_search import make_searched_comparison
from tests.report.test_page import Elements
from tuneoff.analysis.comparison import Comparison
from tuneoff.report.charts import draw_figures
from tuneoff.report.figures import make_page_specification
from tuneoff.report.page import write_report
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.side_by_side import SideBySide, compare_runs

LABELS = ("base", "last-layer", "lora", "soft-prompt")


@pytest.fixture(scope="module")
def fair() -> Comparison:
    return make_synthetic_comparison(name="fair", methods=[*LABELS, "full"])


@pytest.fixture(scope="module")
def shared() -> Comparison:
    """All methods at one rate, which suits LoRA badly, and fewer epochs, so that the setting differs."""
    methods = {label: {} if label == "base" else {"learning_rate": 5e-3} for label in LABELS}
    run = make_synthetic_run(name="shared-rate", methods=methods, training={"epochs": 3, "patience": 1})
    (lora,) = [record for record in run.records if record.trial.label == "lora"]
    worse = tuple(
        answer.model_copy(update={"scores": {name: 0.6 * value for name, value in answer.scores.items()}})
        for answer in lora.predictions
    )
    return judge_with_changes(run, "lora", predictions=worse)


@pytest.fixture(scope="module")
def pair(fair: Comparison, shared: Comparison) -> SideBySide:
    return compare_runs(fair, shared)


def test_each_side_has_its_own_verdict_and_its_own_ranking(
    fair: Comparison, shared: Comparison, pair: SideBySide
) -> None:
    assert (pair.other.name, pair.this.name) == ("shared-rate", "fair")
    assert (pair.other.headline, pair.this.headline) == (
        describe_verdict(shared).headline,
        describe_verdict(fair).headline,
    )
    assert [method.label for method in pair.this.ranking] == [row.label for row in fair.rows]
    assert [method.label for method in pair.other.ranking] == [row.label for row in shared.rows]


def test_a_methods_learning_rate_is_shown_on_both_sides(pair: SideBySide) -> None:
    rates = [{method.label: method.rate for method in side.ranking}["lora"] for side in (pair.other, pair.this)]
    assert rates == ["rate 5e-3", "rate 5e-4"]


def test_ranks_are_counted_among_the_methods_in_both(pair: SideBySide) -> None:
    changes = {method.label: method.change for method in pair.this.ranking}
    assert changes == {"lora": 2, "full": 0, "last-layer": -1, "soft-prompt": -1, "base": 0}
    assert "lora moves from rank 3 to 1" in pair.changes


def test_the_other_side_has_no_rank_changes(pair: SideBySide) -> None:
    assert {method.change for method in pair.other.ranking} == {0}


def test_every_differing_key_of_the_recipes_is_listed_with_both_values(pair: SideBySide) -> None:
    differences = {difference.key: (difference.other, difference.this) for difference in pair.differences}
    assert differences["methods.lora.learning_rate"] == ("5e-3", "5e-4")
    assert differences["training.epochs"] == ("3", "4")
    assert differences["methods.full"][0] == "–"
    assert "name" not in differences


def test_a_searched_hyperparameter_is_marked_as_searched(shared: Comparison) -> None:
    searched = make_searched_comparison(methods={"base": {}, "lora": {}, "full": {}}, configurations=4)
    differences = {
        difference.key: (difference.other, difference.this) for difference in compare_runs(searched, shared).differences
    }
    assert differences["methods.lora.learning_rate"] == ("5e-3", "searched")
    assert differences["methods.full"] == ("–", "method full · rate searched · weight decay searched")


def test_unequal_settings_are_pointed_out_and_never_ranked_together(pair: SideBySide) -> None:
    assert pair.settings.startswith("The settings differ (training)")
    assert "never ranked together" in pair.settings


def test_a_comparison_side_by_side_with_itself_has_no_differences(fair: Comparison) -> None:
    twins = compare_runs(fair, fair)
    assert twins.differences == ()
    assert twins.changes.startswith("Every method in both comparisons has the same rank in both.")
    assert twins.settings.startswith("The settings are equal")


def test_ranks_of_single_runs_may_change_by_chance(pair: SideBySide) -> None:
    assert pair.changes.endswith(
        "In fair and shared-rate methods have one finished run, and how far another run would move is not known, so a "
        "rank may change by chance."
    )
    for side in (pair.this, pair.other):
        assert "run beat th" in side.headline


def test_ranks_over_several_seeds_have_no_such_warning() -> None:
    twins = compare_runs(make_winner(), make_tie())
    assert "by chance" not in twins.changes
    assert (twins.this.headline[:9], twins.other.headline[:17]) == ("lora wins", "lora and full tie")


def test_both_sides_are_ranked_by_this_comparisons_primary_metric() -> None:
    by_rouge, by_loss = make_disagreement(), add_loss(make_winner(metric="loss"), "lora", 0.5)
    twins = compare_runs(by_loss, by_rouge)
    assert [method.label for method in twins.this.ranking] == [method.label for method in twins.other.ranking]
    assert twins.other.ranking[0].score == "4.780"


def test_the_figure_shows_ranks_and_no_scores_on_an_axis(fair: Comparison, shared: Comparison) -> None:
    rows = make_page_specification(draw_figures(fair, shared)["ranks"])["data"]["values"]
    lora = {row["run"]: row["place"] for row in rows if row["method"] == "lora"}
    assert lora == {"fair": 1, "shared-rate": 3}
    assert "full" not in {row["method"] for row in rows}


def test_the_page_shows_both(fair: Comparison, shared: Comparison, tmp_path: Path) -> None:
    text = Elements(write_report(fair, tmp_path, against=shared).read_text("utf-8")).text
    assert "Side by side with shared-rate" in text
    assert "methods.lora.learning_rate" in text
    assert describe_verdict(shared).headline in text.replace("\u2011", "-")


def test_a_page_without_another_comparison_has_no_such_section(fair: Comparison, tmp_path: Path) -> None:
    assert "<h2>Side by side" not in write_report(fair, tmp_path).read_text("utf-8")
    assert not (tmp_path / "figures" / "ranks.svg").exists()
