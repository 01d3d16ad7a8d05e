from pathlib import Path

import pytest

from tests.report.synthetic import altered, synthetic_comparison, synthetic_run
from tests.report.synthetic_search import searched_comparison
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
    return synthetic_comparison(name="fair", methods=[*LABELS, "full"])


@pytest.fixture(scope="module")
def shared() -> Comparison:
    """All at one rate, which LoRA does badly at; fewer epochs, so another setting."""
    methods = {label: {} if label == "base" else {"learning_rate": 5e-3} for label in LABELS}
    run = synthetic_run(name="shared-rate", methods=methods, training={"epochs": 3, "patience": 1})
    (lora,) = [record for record in run.records if record.trial.label == "lora"]
    worse = tuple(
        answer.model_copy(update={"rouge": {name: 0.6 * value for name, value in answer.rouge.items()}})
        for answer in lora.predictions
    )
    return altered(run, "lora", predictions=worse)


@pytest.fixture(scope="module")
def both(fair: Comparison, shared: Comparison) -> SideBySide:
    return compare_runs(fair, shared)


def test_each_side_has_its_own_verdict_and_its_own_ranking(
    fair: Comparison, shared: Comparison, both: SideBySide
) -> None:
    assert (both.there.name, both.here.name) == ("shared-rate", "fair")
    assert (both.there.headline, both.here.headline) == (describe_verdict(shared)[0], describe_verdict(fair)[0])
    assert [standing.label for standing in both.here.standings] == [row.label for row in fair.rows]
    assert [standing.label for standing in both.there.standings] == [row.label for row in shared.rows]


def test_a_methods_learning_rate_stands_on_both_sides(both: SideBySide) -> None:
    rates = [{s.label: s.rate for s in side.standings}["lora"] for side in (both.there, both.here)]
    assert rates == ["rate 5e-3", "rate 5e-4"]


def test_places_are_counted_among_the_methods_that_both_rank(both: SideBySide) -> None:
    moved = {standing.label: standing.moved for standing in both.here.standings}
    assert moved == {"lora": 2, "full": 0, "last-layer": -1, "soft-prompt": -1, "base": 0}
    assert "lora goes from place 3 to 1" in both.moved


def test_what_the_other_side_ranked_does_not_move(both: SideBySide) -> None:
    assert {standing.moved for standing in both.there.standings} == {0}


def test_every_differing_place_of_the_recipes_is_named_with_both_values(both: SideBySide) -> None:
    differing = {one.place: (one.there, one.here) for one in both.differing}
    assert differing["methods.lora.learning_rate"] == ("5e-3", "5e-4")
    assert differing["training.epochs"] == ("3", "4")
    assert differing["methods.full"][0] == "–"
    assert "name" not in differing


def test_a_knob_that_was_searched_is_said_to_be(shared: Comparison) -> None:
    searched = searched_comparison(methods={"base": {}, "lora": {}, "full": {}}, configurations=4)
    differing = {one.place: (one.there, one.here) for one in compare_runs(searched, shared).differing}
    assert differing["methods.lora.learning_rate"] == ("5e-3", "searched")
    assert differing["methods.full"] == ("–", "method full · rate searched · weight decay searched")


def test_unequal_settings_are_said_to_be_never_ranked_together(both: SideBySide) -> None:
    assert both.unequal.startswith("The settings are unequal (training)")
    assert "never ranked together" in both.unequal


def test_a_comparison_beside_itself_has_nothing_that_differs(fair: Comparison) -> None:
    same = compare_runs(fair, fair)
    assert same.differing == ()
    assert same.moved == "Every method that both rank has the same place in both"
    assert same.unequal.startswith("Both have the same setting")


def test_the_picture_shows_places_and_no_scores_on_an_axis(fair: Comparison, shared: Comparison) -> None:
    rows = make_page_specification(draw_figures(fair, shared)["ranks"])["data"]["values"]
    lora = {row["run"]: row["place"] for row in rows if row["method"] == "lora"}
    assert lora == {"fair": 1, "shared-rate": 3}
    assert "full" not in {row["method"] for row in rows}


def test_the_page_shows_both(fair: Comparison, shared: Comparison, tmp_path: Path) -> None:
    text = Elements(write_report(fair, tmp_path, against=shared).read_text("utf-8")).text
    assert "Beside shared-rate" in text
    assert "methods.lora.learning_rate" in text
    assert describe_verdict(shared)[0] in text.replace("\u2011", "-")


def test_a_page_without_another_says_nothing_of_one(fair: Comparison, tmp_path: Path) -> None:
    assert "<h2>Beside" not in write_report(fair, tmp_path).read_text("utf-8")
    assert not (tmp_path / "figures" / "ranks.svg").exists()
