"""The figures of a comparison, and their files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
import pytest

from tests.report.outcomes import add_loss, lose_runs, make_outcome, make_winner
from tests.report.synthetic import judge_records, judge_with_changes, make_synthetic_comparison
from tests.report.synthetic_search import make_searched_comparison
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.analysis.costs import COSTS
from tuneoff.metrics import ROUGE_L
from tuneoff.records.record import Record, TrainingPart
from tuneoff.report.charts import CURVES, FIGURES, TRADE_OFFS, assign_colors, draw_figures, list_titles
from tuneoff.report.figures import make_file_specification, make_page_specification, write_figures
from tuneoff.runs import Run


@pytest.fixture(scope="module")
def charts(comparison: Comparison) -> dict[str, alt.LayerChart]:
    return draw_figures(comparison)


def get_rows(chart: alt.LayerChart) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = make_page_specification(chart)["data"]["values"]
    return rows


def find_scales(value: object, axes: tuple[str, ...] = ("x", "y")) -> list[dict[str, Any]]:
    """Return every scale that a specification has for these axes."""
    if isinstance(value, list):
        return [scale for part in value for scale in find_scales(part, axes)]
    if not isinstance(value, dict):
        return []
    scales = [value[axis]["scale"] for axis in axes if isinstance(value.get(axis), dict) and "scale" in value[axis]]
    return scales + [scale for part in value.values() for scale in find_scales(part, axes)]


def test_a_complete_run_has_every_figure(charts: dict[str, alt.LayerChart]) -> None:
    assert list(charts) == [*FIGURES, *CURVES, *TRADE_OFFS]


def test_a_method_has_the_same_color_in_all_figures(comparison: Comparison, charts: dict[str, alt.LayerChart]) -> None:
    palette = assign_colors(comparison)
    for chart in charts.values():
        for layer in make_page_specification(chart)["layer"]:
            scale = layer["encoding"].get("color", {}).get("scale")
            if scale:
                assert dict(zip(scale["domain"], scale["range"], strict=True)).items() <= palette.items()


def test_no_two_methods_share_a_color(comparison: Comparison) -> None:
    palette = assign_colors(comparison)
    assert len(set(palette.values())) == len(palette)


def test_a_method_keeps_its_color_in_an_unfinished_run(run: Run, comparison: Comparison) -> None:
    half = judge(replace(run, records=tuple(r for r in run.records if r.trial.label in {"base", "full"})))
    assert assign_colors(half)["full"] == assign_colors(comparison)["full"]


@pytest.mark.parametrize("name", ["slowest-epoch", "peak-memory", "scores"])
def test_bars_start_at_zero(charts: dict[str, alt.LayerChart], name: str) -> None:
    domains = [scale["domain"] for scale in find_scales(make_page_specification(charts[name])) if "domain" in scale]
    assert {domain[0] for domain in domains} == {0}


@pytest.mark.parametrize(("name", "axis"), [("evaluation-loss", "x"), ("validation-loss", "y"), ("train-loss", "y")])
def test_a_loss_axis_starts_near_its_lowest_value(charts: dict[str, alt.LayerChart], name: str, axis: str) -> None:
    domains = [s["domain"] for s in find_scales(make_page_specification(charts[name]), (axis,)) if "domain" in s]
    assert all(domain[0] > 2 for domain in domains)


def test_the_base_model_has_a_value_and_no_bar_of_trainable_parameters(charts: dict[str, alt.LayerChart]) -> None:
    (base,) = [row for row in get_rows(charts["trainable-parameters"]) if row["method"] == "base"]
    assert (base["value"], base["drawn"], base["text"]) == (0, 1, "0")


def test_a_diverged_curve_does_not_stretch_the_axis(charts: dict[str, alt.LayerChart]) -> None:
    assert max(row["value"] for row in get_rows(charts["validation-loss"])) > 9
    scales = find_scales(make_page_specification(charts["validation-loss"]), ("y",))
    domains = [scale["domain"] for scale in scales if "domain" in scale]
    assert domains
    assert all(domain[1] < 5 for domain in domains)


def test_the_validation_curve_begins_before_the_first_step(charts: dict[str, alt.LayerChart]) -> None:
    assert min(row["epoch"] for row in get_rows(charts["validation-loss"])) == 0


def test_the_training_loss_of_one_epoch_has_a_point_for_each_part_of_its_steps(run: Run) -> None:
    parts = tuple(TrainingPart(steps=5, train_loss=3 - i / 10) for i in range(5))
    record = next(r for r in run.records if r.trial.label == "full")
    curve = (record.curve[0], record.curve[1].model_copy(update={"parts": parts}))
    chart = draw_figures(judge_with_changes(run, "full", curve=curve, best_epoch=1))["train-loss"]
    rows = [row for row in get_rows(chart) if row["method"] == "full"]
    assert [(row["step"], row["kept"]) for row in rows] == [(5, None), (10, None), (15, None), (20, None), (25, "yes")]
    assert [row["value"] for row in rows] == [part.train_loss for part in parts]


def test_a_curve_of_an_older_record_has_a_point_for_each_epoch(charts: dict[str, alt.LayerChart]) -> None:
    assert {row["step"] for row in get_rows(charts["train-loss"])} == {25, 50, 75, 100}
    assert {row["step"] for row in get_rows(charts["validation-loss"])} == {0, 25, 50, 75, 100}


def test_no_two_names_of_a_trade_off_are_in_one_place(run: Run) -> None:
    twins = make_synthetic_comparison(methods={"base": {}} | {f"lora-{i}": {"method": "lora"} for i in range(6)})
    for name in TRADE_OFFS:
        rows = [row for row in get_rows(draw_figures(twins)[name]) if not row["is_base"]]
        assert len({(row["side"], row["down"]) for row in rows}) == 6


def test_every_seed_has_its_own_curve() -> None:
    charts = draw_figures(make_synthetic_comparison(seeds=[0, 1], methods=["base", "lora"]))
    assert {row["seed"] for row in get_rows(charts["validation-loss"])} == {0, 1}


def test_the_evaluation_loss_is_drawn_as_recorded(comparison: Comparison, charts: dict[str, alt.LayerChart]) -> None:
    drawn = {row["method"]: row["value"] for row in get_rows(charts["evaluation-loss"])}
    recorded = {r.trial.label: r.scores["test/loss"] for r in comparison.run.records if r.status == "done"}
    assert drawn == pytest.approx(recorded)


def test_a_chart_contains_no_url(charts: dict[str, alt.LayerChart]) -> None:
    assert "http" not in str([make_page_specification(chart) for chart in charts.values()])


def test_a_chart_on_a_page_takes_the_color_of_its_text(charts: dict[str, alt.LayerChart]) -> None:
    assert make_page_specification(charts["scores"])["config"]["axis"]["labelColor"] == "currentColor"


def test_a_chart_in_a_file_has_its_title(charts: dict[str, alt.LayerChart]) -> None:
    assert make_file_specification("ROUGE", charts["scores"])["title"] == "ROUGE"


def test_the_pareto_front_is_that_of_the_comparison(comparison: Comparison, charts: dict[str, alt.LayerChart]) -> None:
    drawn = {row["method"] for row in get_rows(charts["quality-time"]) if row["front"] == "yes"}
    assert drawn == comparison.find_front(ROUGE_L, COSTS["train_seconds"])
    assert drawn < {row["method"] for row in get_rows(charts["quality-time"])}


def test_only_confirmed_trials_of_a_search_have_a_curve() -> None:
    searched = make_searched_comparison(methods={"base": {}, "lora": {}}, configurations=4)
    assert {row["seed"] for row in get_rows(draw_figures(searched)["validation-loss"])} == set(
        searched.run.recipe.seeds
    )


def test_a_run_of_the_base_model_alone_has_scores_and_no_trade_offs(run: Run) -> None:
    alone = judge_records(run, [r for r in run.records if r.trial.label == "base"])
    assert list(draw_figures(alone)) == ["evaluation-loss", "scores"]


def test_a_run_without_a_finished_trial_has_costs_and_curves_only(run: Run) -> None:
    broken = judge_records(run, [r for r in run.records if r.status != "done"])
    names = ["trainable-parameters", "slowest-epoch", "peak-memory", "validation-loss", "train-loss"]
    assert list(draw_figures(broken)) == names


def test_every_run_is_a_dot_and_a_lost_one_a_cross_at_the_base_models_score() -> None:
    charts = draw_figures(lose_runs(make_winner(5), "lora", 2))
    for name in ("scores", "evaluation-loss", "quality-time", "quality-memory", "quality-parameters"):
        rows = {row["method"]: row for row in get_rows(charts[name])}
        lora, full, base = rows["lora"], rows["full"], rows["base"]
        assert (len(lora["runs"]), len(full["runs"]), len(base["runs"])) == (3, 5, 1)
        assert sum(full["runs"]) / 5 == pytest.approx(full["value"])
        assert (lora["lost_runs"], full["lost_runs"]) == ([base["value"]] * 2, [])
        drawn = [layer["encoding"] for layer in make_page_specification(charts[name])["layer"]]
        fields = {axis.get("field") for encoding in drawn for axis in encoding.values() if isinstance(axis, dict)}
        assert {"runs", "lost_runs"} <= fields


def test_a_run_outside_the_interval_is_inside_the_axis() -> None:
    rows = get_rows(draw_figures(make_outcome(3, 3.0, lora=24, full=22))["evaluation-loss"])
    assert all(row["least"] <= min(row["runs"]) and max(row["runs"]) <= row["end"] <= row["most"] for row in rows)


def test_quality_is_drawn_by_the_primary_metric() -> None:
    by_loss = add_loss(make_winner(metric="loss"), "lora", 0.5)
    chart = draw_figures(by_loss)["quality-time"]
    assert next(row["method"] for row in get_rows(chart)) == "full"
    assert chart.description == "Evaluation loss by training time"
    assert {row["metric"] for row in get_rows(chart)} == {"Evaluation loss"}


def test_figures_are_written_in_all_formats(
    comparison: Comparison, charts: dict[str, alt.LayerChart], tmp_path: Path
) -> None:
    write_figures({"scores": charts["scores"]}, tmp_path, list_titles(comparison))
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "csv": b"method,"}
    assert {path.suffix[1:]: path.read_bytes()[: len(starts[path.suffix[1:]])] for path in tmp_path.iterdir()} == starts


def test_a_figure_of_an_older_report_is_removed(comparison: Comparison, tmp_path: Path) -> None:
    old = tmp_path / "rouge.svg"
    old.write_text("old")
    write_figures({}, tmp_path, list_titles(comparison))
    assert not old.exists()


def make_varying_costs(*factors: float) -> Comparison:
    """A comparison in which the time and memory of each seed are multiplied by its factor."""
    run = make_synthetic_comparison(methods=["base", "lora", "full"], seeds=list(range(len(factors)))).run

    def scale(record: Record) -> Record:
        factor, costs = factors[record.trial.seed], record.costs
        if costs is None or not costs.train_seconds or costs.slowest_epoch_seconds is None:
            return record
        changed = {
            "train_seconds": factor * costs.train_seconds,
            "slowest_epoch_seconds": factor * costs.slowest_epoch_seconds,
        }
        return record.model_copy(update={"costs": costs.model_copy(update=changed)})

    return judge(replace(run, records=tuple(map(scale, run.records))))


def list_fields(chart: alt.LayerChart, channel: str) -> list[str]:
    layers = make_page_specification(chart)["layer"]
    return [layer["encoding"].get(channel, {}).get("field", "") for layer in layers]


@pytest.mark.parametrize("name", ["slowest-epoch", "quality-time"])
def test_costs_are_drawn_with_their_intervals_over_seeds(name: str) -> None:
    comparison = make_varying_costs(0.9, 1.0, 1.1)
    chart = draw_figures(comparison)[name]
    assert "cost_high" in list_fields(chart, "x2")
    cost = COSTS["slowest_epoch" if name == "slowest-epoch" else "train_seconds"]
    rows = {row["method"]: row for row in get_rows(chart)}
    lora = next(row for row in comparison.rows if row.label == "lora")
    interval = lora.amounts[cost.name].interval
    assert interval is not None
    assert (rows["lora"]["cost_low"], rows["lora"]["cost_high"]) == pytest.approx(interval)
    assert " to " in rows["lora"]["cost_interval"]


def test_a_cost_without_an_interval_has_no_line() -> None:
    charts = draw_figures(make_varying_costs(1.0))
    rows = [row for name in ("slowest-epoch", "trainable-parameters") for row in get_rows(charts[name])]
    assert {row["cost_high"] for row in rows} == {None}


def test_an_interval_of_two_runs_far_apart_leaves_the_bars_visible() -> None:
    comparison = make_varying_costs(0.5, 2.0)
    rows = get_rows(draw_figures(comparison)["slowest-epoch"])
    assert max(row["cost_high"] for row in rows if row["cost_high"]) <= 1.5 * max(row["value"] for row in rows) + 1e-9
