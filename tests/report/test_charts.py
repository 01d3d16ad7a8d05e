from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
import pytest

from tests.report.synthetic import synthetic_comparison, with_records
from tests.report.synthetic_search import searched_comparison
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.report.charts import CURVES, FIGURES, TITLES, TRADE_OFFS, assign_colors, draw_figures
from tuneoff.report.charts.rows import get_cost
from tuneoff.report.figures import make_file_specification, make_page_specification, write_figures
from tuneoff.report.format import ROUGE_L
from tuneoff.runs import Run


@pytest.fixture(scope="module")
def charts(comparison: Comparison) -> dict[str, alt.LayerChart]:
    return draw_figures(comparison)


def rows_of(chart: alt.LayerChart) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = make_page_specification(chart)["data"]["values"]
    return rows


def scales_of(value: object, axes: tuple[str, ...] = ("x", "y")) -> list[dict[str, Any]]:
    """Every scale that a specification names for an axis."""
    if isinstance(value, list):
        return [scale for part in value for scale in scales_of(part, axes)]
    if not isinstance(value, dict):
        return []
    here = [value[axis]["scale"] for axis in axes if isinstance(value.get(axis), dict) and "scale" in value[axis]]
    return here + [scale for part in value.values() for scale in scales_of(part, axes)]


def test_a_whole_run_has_every_figure(charts: dict[str, alt.LayerChart]) -> None:
    assert list(charts) == [*FIGURES, *CURVES, *TRADE_OFFS]


def test_a_method_has_one_colour_in_all_figures(comparison: Comparison, charts: dict[str, alt.LayerChart]) -> None:
    palette = assign_colors(comparison)
    for chart in charts.values():
        for layer in make_page_specification(chart)["layer"]:
            scale = layer["encoding"].get("color", {}).get("scale")
            if scale:
                assert dict(zip(scale["domain"], scale["range"], strict=True)).items() <= palette.items()


def test_no_two_methods_share_a_colour(comparison: Comparison) -> None:
    palette = assign_colors(comparison)
    assert len(set(palette.values())) == len(palette)


def test_a_method_keeps_its_colour_in_half_a_run(run: Run, comparison: Comparison) -> None:
    half = judge(replace(run, records=tuple(r for r in run.records if r.trial.label in {"base", "full"})))
    assert assign_colors(half)["full"] == assign_colors(comparison)["full"]


@pytest.mark.parametrize("name", ["slowest-epoch", "peak-memory", "rouge"])
def test_bars_start_at_zero(charts: dict[str, alt.LayerChart], name: str) -> None:
    domains = [scale["domain"] for scale in scales_of(make_page_specification(charts[name])) if "domain" in scale]
    assert {domain[0] for domain in domains} == {0}


@pytest.mark.parametrize(("name", "axis"), [("evaluation-loss", "x"), ("validation-loss", "y"), ("train-loss", "y")])
def test_a_loss_axis_begins_near_its_least_value(charts: dict[str, alt.LayerChart], name: str, axis: str) -> None:
    domains = [s["domain"] for s in scales_of(make_page_specification(charts[name]), (axis,)) if "domain" in s]
    assert all(domain[0] > 2 for domain in domains)


def test_the_untouched_model_has_a_value_and_no_bar_of_parameters(charts: dict[str, alt.LayerChart]) -> None:
    (base,) = [row for row in rows_of(charts["trainable-parameters"]) if row["method"] == "base"]
    assert (base["value"], base["drawn"], base["text"]) == (0, 1, "0")


def test_a_diverged_curve_does_not_stretch_the_axis(charts: dict[str, alt.LayerChart]) -> None:
    assert max(row["value"] for row in rows_of(charts["validation-loss"])) > 9
    domains = [s["domain"] for s in scales_of(make_page_specification(charts["validation-loss"])) if "domain" in s]
    assert all(domain[1] < 5 for domain in domains)


def test_the_validation_curve_begins_before_the_first_step(charts: dict[str, alt.LayerChart]) -> None:
    assert min(row["epoch"] for row in rows_of(charts["validation-loss"])) == 0


def test_every_seed_has_a_curve_of_its_own() -> None:
    charts = draw_figures(synthetic_comparison(seeds=[0, 1], methods=["base", "lora"]))
    assert {row["seed"] for row in rows_of(charts["validation-loss"])} == {0, 1}


def test_the_evaluation_loss_is_drawn_as_recorded(comparison: Comparison, charts: dict[str, alt.LayerChart]) -> None:
    drawn = {row["method"]: row["value"] for row in rows_of(charts["evaluation-loss"])}
    recorded = {r.trial.label: r.scores["test/loss"] for r in comparison.run.records if r.status == "done"}
    assert drawn == pytest.approx(recorded)


def test_a_chart_names_no_address(charts: dict[str, alt.LayerChart]) -> None:
    assert "http" not in str([make_page_specification(chart) for chart in charts.values()])


def test_a_chart_on_a_page_takes_the_colour_of_its_text(charts: dict[str, alt.LayerChart]) -> None:
    assert make_page_specification(charts["rouge"])["config"]["axis"]["labelColor"] == "currentColor"


def test_a_chart_in_a_file_has_its_title(charts: dict[str, alt.LayerChart]) -> None:
    assert make_file_specification("ROUGE", charts["rouge"])["title"] == "ROUGE"


def test_the_front_is_the_comparisons_own_and_is_drawn_filled(
    comparison: Comparison, charts: dict[str, alt.LayerChart]
) -> None:
    drawn = {row["method"] for row in rows_of(charts["quality-time"]) if row["front"] == "yes"}
    assert drawn == comparison.front(ROUGE_L, get_cost("train_seconds"))
    assert drawn < {row["method"] for row in rows_of(charts["quality-time"])}


def test_a_search_adds_no_curve_to_those_that_were_confirmed() -> None:
    searched = searched_comparison(methods={"base": {}, "lora": {}}, configurations=4)
    assert {row["seed"] for row in rows_of(draw_figures(searched)["validation-loss"])} == set(searched.run.recipe.seeds)


def test_with_the_untouched_model_alone_there_is_nothing_to_trade_off(run: Run) -> None:
    alone = with_records(run, [r for r in run.records if r.trial.label == "base"])
    assert list(draw_figures(alone)) == ["evaluation-loss", "rouge"]


def test_without_a_finished_trial_costs_and_curves_are_drawn_alone(run: Run) -> None:
    broken = with_records(run, [r for r in run.records if r.status != "done"])
    names = ["trainable-parameters", "slowest-epoch", "peak-memory", "validation-loss", "train-loss"]
    assert list(draw_figures(broken)) == names


def test_figures_are_written_in_all_formats(charts: dict[str, alt.LayerChart], tmp_path: Path) -> None:
    write_figures({"rouge": charts["rouge"]}, tmp_path, TITLES)
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "csv": b"method,"}
    assert {path.suffix[1:]: path.read_bytes()[: len(starts[path.suffix[1:]])] for path in tmp_path.iterdir()} == starts


def test_a_figure_of_an_older_report_goes(tmp_path: Path) -> None:
    old = tmp_path / "rouge.svg"
    old.write_text("old")
    write_figures({}, tmp_path, TITLES)
    assert not old.exists()
