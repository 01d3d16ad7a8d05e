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
from tuneoff.metrics import ROUGE_L
from tuneoff.report.charts.canvas import list_log_ticks
from tuneoff.report.charts.sweep import assign_line_colors, draw_sweep, list_titles
from tuneoff.report.escape import escape_control
from tuneoff.report.figures import Specification, make_page_specification
from tuneoff.report.hyperparameters import format_sweep_value, format_value
from tuneoff.report.sentences.sweep import describe_conclusions, describe_misfits
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


def get_x_encoding(chart: alt.LayerChart) -> Specification:
    layers = make_page_specification(chart)["layer"]
    encoding: Specification = next(x for layer in layers if "field" in (x := layer["encoding"].get("x", {})))
    return encoding


def rename_values(sweep: Sweep, names: list[str]) -> Sweep:
    """Return the sweep with other names for its values."""
    recipe = sweep.recipe.model_copy(update={"sweep": SweepOptions(parameter="model.name", values=tuple(names))})
    lines = {
        label: tuple(replace(point, value=name) for point, name in zip(line, names, strict=True))
        for label, line in sweep.lines.items()
    }
    return replace(sweep, recipe=recipe, lines=lines)


def test_each_value_of_the_parameter_is_a_point_with_its_interval(ranks: Sweep) -> None:
    rows = make_page_specification(draw_sweep(ranks)["study-rougeL"])["data"]["values"]
    points = [row for row in rows if row["kind"] == "point"]
    assert [row["place"] for row in points] == [1, 4, 16, 64]
    assert all(row["low"] < row["value"] < row["high"] for row in points)


def test_a_method_that_the_parameter_does_not_change_is_a_horizontal_line(ranks: Sweep) -> None:
    rows = make_page_specification(draw_sweep(ranks)["study-rougeL"])["data"]["values"]
    assert {row["method"] for row in rows if row["kind"] == "level"} == {"base", "full"}


def test_an_axis_of_more_than_a_decade_is_logarithmic(ranks: Sweep) -> None:
    assert get_x_encoding(draw_sweep(ranks)["study-rougeL"])["scale"]["type"] == "log"


def test_words_are_in_the_order_of_the_recipe() -> None:
    place = get_x_encoding(draw_sweep(make_modules_sweep())["study-rougeL"])
    assert place["sort"] == ["attention", "all-linear"]
    assert place["type"] == "nominal"


def test_models_are_placed_by_size_and_labelled_by_name(models: Sweep) -> None:
    place = get_x_encoding(draw_sweep(models)["study-rougeL"])
    assert place["axis"]["values"] == list(PARAMETERS.values())
    assert '["SmolLM2-135M", "SmolLM2-360M", "SmolLM2-1.7B"][indexof(' in place["axis"]["labelExpr"]
    assert place["title"] == "model, by parameters (log scale)"


def test_a_name_is_shortened_as_long_as_it_is_unique(models: Sweep) -> None:
    assert format_sweep_value(models, "HuggingFaceTB/SmolLM2-360M") == "SmolLM2-360M"
    assert format_sweep_value(rename_values(models, ["a/same", "b/same", "other"]), "a/same") == "a/same"


def test_a_hostile_name_is_only_a_text_on_the_axis(models: Sweep) -> None:
    name = '"], alert(1), ["\u202e'
    label = get_x_encoding(draw_sweep(rename_values(models, [name, "b", "c"]))["study-rougeL"])["axis"]["labelExpr"]
    assert json.loads(label.partition("[indexof(")[0]) == [escape_control(name), "b", "c"]
    assert "\u202e" not in label


def test_billions_of_parameters_have_the_unit_b_and_not_g(models: Sweep) -> None:
    layers = make_page_specification(draw_sweep(models)["study-trainable"])["layer"]
    assert "'G', 'B'" in layers[0]["encoding"]["y"]["axis"]["labelExpr"]


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [((3, 40), [5, 10, 20]), ((0.9, 1200), [1, 10, 100, 1000])],
)
def test_a_logarithmic_axis_has_ticks_between_few_powers_of_ten(ends: tuple[float, float], ticks: list[float]) -> None:
    assert list_log_ticks(*ends) == ticks


def test_values_without_an_order_are_not_connected(ranks: Sweep) -> None:
    drawn = [
        {layer["mark"]["type"] for layer in make_page_specification(draw_sweep(sweep)["study-rougeL"])["layer"]}
        for sweep in (ranks, make_modules_sweep())
    ]
    assert drawn[0] - drawn[1] == {"line", "area"}


def test_quality_and_cost_are_drawn(sizes: Sweep) -> None:
    assert list(draw_sweep(sizes)) == list(list_titles(sizes))
    assert list_titles(sizes)["study-rougeL"] == "ROUGE-L by train examples"


def test_the_base_model_has_no_training_cost(sizes: Sweep) -> None:
    rows = make_page_specification(draw_sweep(sizes)["study-train_seconds"])["data"]["values"]
    assert {row["method"] for row in rows} == {"lora", "full"}


def test_a_rise_is_described_with_its_ends(sizes: Sweep) -> None:
    assert next(iter(describe_conclusions(sizes))).startswith("ROUGE-L of lora rises from ")
    assert " at 100 train examples to " in next(iter(describe_conclusions(sizes)))
    assert next(iter(describe_conclusions(sizes))).endswith(" at 10,000 train examples.")


def test_the_value_beyond_which_nothing_changes_beyond_noise_is_named(ranks: Sweep) -> None:
    (loss,) = [sentence for sentence in describe_conclusions(ranks) if sentence.startswith("Evaluation loss")]
    assert loss.endswith("at rank 16; beyond rank 16 any change is within noise.")


def test_with_one_run_no_change_is_beyond_or_within_noise() -> None:
    for sweep in (make_rank_sweep(seeds=[0]), make_modules_sweep(seeds=[0])):
        for sentence in describe_conclusions(sweep):
            assert sentence.endswith("; how far another run would move is not known.")
            assert "noise" not in sentence


def test_values_without_an_order_have_a_best() -> None:
    assert next(iter(describe_conclusions(make_modules_sweep()))).startswith("ROUGE-L of lora is best at all-linear")


def test_the_page_shows_every_conclusion(sizes: Sweep, elements: Elements) -> None:
    text = elements.text.replace("\u2011", "-")
    assert [sentence for sentence in describe_conclusions(sizes) if sentence not in text] == []


def test_every_point_links_to_the_page_of_its_comparison(sizes: Sweep, elements: Elements) -> None:
    links = {a["href"] for tag, a in elements.attributes if tag == "a"}
    assert links == {f"../values/{name}/report/index.html" for name in sizes.comparisons}


def test_every_chart_is_on_the_page_and_in_a_file(sizes: Sweep, page: Path, elements: Elements) -> None:
    places = {a["data-chart"] for _, a in elements.attributes if "data-chart" in a}
    assert places == set(draw_sweep(sizes))
    assert {path.stem for path in (page.parent / "figures").iterdir()} == places


def test_a_method_has_the_color_that_it_has_on_the_page_of_its_comparison(sizes: Sweep) -> None:
    from tuneoff.report.charts import assign_colors

    assert assign_line_colors(sizes) == assign_colors(next(iter(sizes.comparisons.values())))


def test_a_page_can_be_written_for_a_sweep_without_a_score(ranks: Sweep, tmp_path: Path) -> None:
    text = Elements(write_sweep_report(build_sweep(ranks.recipe, {}), tmp_path).read_text("utf-8")).text
    assert "No two values of rank have scores to compare yet." in text


def test_the_gap_between_methods_is_their_paired_difference_at_both_ends() -> None:
    sweep = make_model_sweep()
    sentences = [s for s in describe_conclusions(sweep) if s.startswith("ROUGE-L: full is ahead of soft-prompt by ")]
    first, last = (
        point.comparison.find_pair(ROUGE_L, point.row, soft.row).difference
        for point, soft in zip(sweep.lines["full"][::2], sweep.lines["soft-prompt"][::2], strict=True)
    )
    expected = f"{first.mean:.1f} ({first.low:.1f} to {first.high:.1f}) at SmolLM2-135M, and by {last.mean:.1f} ("
    assert len(sentences) == 1
    assert expected in sentences[0]


def test_the_page_says_which_methods_do_not_fit_at_which_values(sizes: Sweep, ranks: Sweep, tmp_path: Path) -> None:
    def misfit(sweep: Sweep, *names: str) -> Sweep:
        comparisons = {
            name: replace(c, run=replace(c.run, misfits={"pissa": "no <codes>"})) if name in names else c
            for name, c in sweep.comparisons.items()
        }
        return replace(sweep, comparisons=comparisons)

    some = misfit(sizes, "100", "1000")
    assert list(describe_misfits(some)) == ["pissa does not fit at 100 and 1,000: no <codes>."]
    assert list(describe_misfits(misfit(ranks, "all"))) == ["pissa does not fit: no <codes>."]
    assert not list(describe_misfits(sizes))
    page = write_sweep_report(some, tmp_path / "report").read_text("utf-8")
    assert "pissa does not fit at 100 and 1,000: no &lt;codes&gt;." in page


def test_a_value_that_is_nothing_is_called_as_in_a_recipe() -> None:
    assert format_value(None) == "null"
