import json
from dataclasses import replace
from pathlib import Path

import altair as alt
import pytest

from tests.report.synthetic_sweep import (
    PARAMETERS,
    make_model_sweep,
    make_modules_sweep,
    make_rank_sweep,
    make_size_sweep,
)
from tests.report.test_page import Elements
from tuneoff.analysis.sweep import Sweep, build_sweep
from tuneoff.config.sweep import SweepOptions
from tuneoff.records.metrics import ROUGE_L
from tuneoff.report.charts.canvas import list_log_ticks
from tuneoff.report.charts.sweep import assign_line_colors, draw_sweep, list_titles
from tuneoff.report.escape import escape_control
from tuneoff.report.figures import Specification, make_page_specification
from tuneoff.report.hyperparameters import format_sweep_value
from tuneoff.report.sentences.sweep import describe_conclusions
from tuneoff.report.sweep_page import write_sweep_report


@pytest.fixture(scope="module")
def ranks() -> Sweep:
    return make_rank_sweep()


@pytest.fixture(scope="module")
def sizes() -> Sweep:
    return make_size_sweep()


@pytest.fixture(scope="module")
def models() -> Sweep:
    return make_model_sweep()


@pytest.fixture(scope="module")
def page(sizes: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep_report(sizes, tmp_path_factory.mktemp("study") / "report")


@pytest.fixture(scope="module")
def elements(page: Path) -> Elements:
    return Elements(page.read_text("utf-8"))


def place_of(chart: alt.LayerChart) -> Specification:
    layers = make_page_specification(chart)["layer"]
    found: Specification = next(x for layer in layers if "field" in (x := layer["encoding"].get("x", {})))
    return found


def renamed(sweep: Sweep, names: list[str]) -> Sweep:
    """The study with other words for its values."""
    recipe = sweep.recipe.model_copy(update={"sweep": SweepOptions(parameter="model.name", values=tuple(names))})
    lines = {
        label: tuple(replace(point, value=name) for point, name in zip(line, names, strict=True))
        for label, line in sweep.lines.items()
    }
    return replace(sweep, recipe=recipe, lines=lines)


def test_each_value_of_the_knob_is_a_point_with_its_interval(ranks: Sweep) -> None:
    rows = make_page_specification(draw_sweep(ranks)["study-rougeL"])["data"]["values"]
    points = [row for row in rows if row["kind"] == "point"]
    assert [row["place"] for row in points] == [1, 4, 16, 64]
    assert all(row["low"] < row["value"] < row["high"] for row in points)


def test_what_the_knob_does_not_touch_is_a_level(ranks: Sweep) -> None:
    rows = make_page_specification(draw_sweep(ranks)["study-rougeL"])["data"]["values"]
    assert {row["method"] for row in rows if row["kind"] == "level"} == {"base", "full"}


def test_more_than_a_decade_is_drawn_by_powers(ranks: Sweep) -> None:
    assert place_of(draw_sweep(ranks)["study-rougeL"])["scale"]["type"] == "log"


def test_words_stand_side_by_side_in_the_order_of_the_recipe() -> None:
    place = place_of(draw_sweep(make_modules_sweep())["study-rougeL"])
    assert place["sort"] == ["attention", "all-linear"]
    assert place["type"] == "nominal"


def test_models_stand_at_their_size_under_their_own_names(models: Sweep) -> None:
    place = place_of(draw_sweep(models)["study-rougeL"])
    assert place["axis"]["values"] == list(PARAMETERS.values())
    assert '["SmolLM2-135M", "SmolLM2-360M", "SmolLM2-1.7B"][indexof(' in place["axis"]["labelExpr"]
    assert place["title"] == "model, by parameters (log scale)"


def test_a_name_is_as_short_as_tells_it_apart(models: Sweep) -> None:
    assert format_sweep_value(models, "HuggingFaceTB/SmolLM2-360M") == "SmolLM2-360M"
    assert format_sweep_value(renamed(models, ["a/same", "b/same", "other"]), "a/same") == "a/same"


def test_a_hostile_name_is_only_a_text_on_the_axis(models: Sweep) -> None:
    name = '"], alert(1), ["\u202e'
    label = place_of(draw_sweep(renamed(models, [name, "b", "c"]))["study-rougeL"])["axis"]["labelExpr"]
    assert json.loads(label.partition("[indexof(")[0]) == [escape_control(name), "b", "c"]
    assert "\u202e" not in label


def test_billions_of_parameters_are_no_giga(models: Sweep) -> None:
    layers = make_page_specification(draw_sweep(models)["study-trainable"])["layer"]
    assert "'G', 'B'" in layers[0]["encoding"]["y"]["axis"]["labelExpr"]


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [((3, 40), [5, 10, 20]), ((0.9, 1200), [1, 10, 100, 1000])],
)
def test_a_logarithmic_axis_has_ticks_between_few_powers_of_ten(ends: tuple[float, float], ticks: list[float]) -> None:
    assert list_log_ticks(*ends) == ticks


def test_nothing_is_drawn_between_two_words(ranks: Sweep) -> None:
    drawn = [
        {layer["mark"]["type"] for layer in make_page_specification(draw_sweep(sweep)["study-rougeL"])["layer"]}
        for sweep in (ranks, make_modules_sweep())
    ]
    assert drawn[0] - drawn[1] == {"line", "area"}


def test_quality_and_cost_are_drawn(sizes: Sweep) -> None:
    assert list(draw_sweep(sizes)) == list(list_titles(sizes))
    assert list_titles(sizes)["study-rougeL"] == "ROUGE-L by train examples"


def test_the_untouched_model_has_no_cost_of_training(sizes: Sweep) -> None:
    rows = make_page_specification(draw_sweep(sizes)["study-train_seconds"])["data"]["values"]
    assert {row["method"] for row in rows} == {"lora", "full"}


def test_a_rise_is_said_with_its_ends(sizes: Sweep) -> None:
    assert next(iter(describe_conclusions(sizes))).startswith("ROUGE-L of lora rises from ")
    assert " at 100 train examples to " in next(iter(describe_conclusions(sizes)))
    assert next(iter(describe_conclusions(sizes))).endswith(" at 10,000 train examples.")


def test_beyond_where_more_helps_there_is_said_to_be_no_difference(ranks: Sweep) -> None:
    (loss,) = [sentence for sentence in describe_conclusions(ranks) if sentence.startswith("Evaluation loss")]
    assert loss.endswith("at rank 16; beyond rank 16 it does not change significantly.")


def test_values_without_an_order_have_a_best() -> None:
    assert next(iter(describe_conclusions(make_modules_sweep()))).startswith("ROUGE-L of lora is best at all-linear")


def test_the_page_says_every_conclusion(sizes: Sweep, elements: Elements) -> None:
    text = elements.text.replace("\u2011", "-")
    assert [sentence for sentence in describe_conclusions(sizes) if sentence not in text] == []


def test_every_point_leads_to_the_page_of_its_comparison(sizes: Sweep, elements: Elements) -> None:
    links = {a["href"] for tag, a in elements.attributes if tag == "a"}
    assert links == {f"../values/{name}/report/index.html" for name in sizes.comparisons}


def test_every_chart_has_a_place_and_a_file(sizes: Sweep, page: Path, elements: Elements) -> None:
    places = {a["data-chart"] for _, a in elements.attributes if "data-chart" in a}
    assert places == set(draw_sweep(sizes))
    assert {path.stem for path in (page.parent / "figures").iterdir()} == places


def test_a_method_has_the_colour_of_its_comparisons_page(sizes: Sweep) -> None:
    from tuneoff.report.charts import assign_colors

    assert assign_line_colors(sizes) == assign_colors(next(iter(sizes.comparisons.values())))


def test_a_study_without_a_score_is_a_page(ranks: Sweep, tmp_path: Path) -> None:
    text = Elements(write_sweep_report(build_sweep(ranks.recipe, {}), tmp_path).read_text("utf-8")).text
    assert "No two values of rank have scores to compare yet." in text


def test_the_gap_between_methods_is_said_at_both_ends_as_their_paired_difference() -> None:
    sweep = make_model_sweep()
    sentences = [s for s in describe_conclusions(sweep) if s.startswith("ROUGE-L: lora is ahead of soft-prompt by ")]
    first, last = (
        point.comparison.find_pair(ROUGE_L, point.row, soft.row).difference
        for point, soft in zip(sweep.lines["lora"][::2], sweep.lines["soft-prompt"][::2], strict=True)
    )
    expected = f"{first.mean:.1f} ({first.low:.1f} to {first.high:.1f}) at SmolLM2-135M, and by {last.mean:.1f} ("
    assert len(sentences) == 1
    assert expected in sentences[0]
