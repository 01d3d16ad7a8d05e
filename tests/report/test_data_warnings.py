"""What stands at the top of a plan, of a result and of a page about the data."""

from dataclasses import replace

import pytest

from tests.report.synthetic import make_synthetic_data
from tuneoff.analysis.comparison import judge
from tuneoff.console.results import print_comparison
from tuneoff.data import DataSummary
from tuneoff.report.data_warnings import describe_rows, list_data_warnings
from tuneoff.report.diagnostics.examples import list_shared_sources
from tuneoff.report.page import render_page

MANY = {"left_out": 20, "left_out_examples": ["row 7: target is missing"]}


def test_more_than_five_percent_left_out_is_a_warning():
    assert list_data_warnings(make_synthetic_data(**MANY)) == [
        "16.7 % of the rows for train are left out (20 of 120), because they are no usable examples: "
        "row 7: target is missing."
    ]


def test_a_few_rows_left_out_are_no_warning():
    assert list_data_warnings(make_synthetic_data(left_out=5, left_out_examples=["row 7: target is missing"])) == []


def test_targets_that_spell_a_missing_value_are_a_warning_with_the_cure():
    (warning,) = list_data_warnings(make_synthetic_data(na_targets=1, na_examples=["row 3: 'NA'"]))
    assert "1 target of train may mean a missing value, kept as text: row 3: 'NA'." in warning
    assert warning.endswith("write data.na: leave-out.")


@pytest.mark.parametrize("count", [0, 20])
def test_the_page_begins_with_the_warnings(run, count):
    data = make_synthetic_data(left_out=count, left_out_examples=[])
    page = render_page(judge(replace(run, data=data)), {}, {})
    assert ("of the rows for train are left out" in page.partition("<h2>")[0]) == bool(count)


def test_the_terminal_begins_with_the_warnings(run, tmp_path, capsys):
    print_comparison(judge(replace(run, data=make_synthetic_data(**MANY))), tmp_path)
    assert capsys.readouterr().out.startswith("Warning: 16.7 % of the rows for train are left out")


def test_what_was_recognized_is_said():
    shape = {"shape": "pairs (source: en, target: de)", "shape_recognized": True, "task": "translation"}
    data = make_synthetic_data().model_copy(update={**shape, "languages": {"source": "English", "target": "German"}})
    assert describe_rows(data) == (
        "pairs (source: en, target: de), recognized by columns and values; task translation, English to German"
    )


def test_a_script_is_not_taken_for_a_language():
    data = make_synthetic_data()
    assert describe_rows(data.model_copy(update={"languages": {"source": "English", "target": "Latin"}})).endswith(
        "English to Latin script"
    )


@pytest.mark.parametrize(("prompts", "count"), [(3, 1), (100, 0), (98, 0)])
def test_different_sources_that_make_one_prompt_are_a_warning(prompts, count):
    warnings = list_data_warnings(make_synthetic_data(distinct_sources=100, distinct_prompts=prompts))
    assert sum("different sources of train make only" in warning for warning in warnings) == count


@pytest.mark.parametrize(("removed", "sentences"), [(0, 1), (2, 0)])
def test_a_source_that_two_splits_keep_with_other_targets_is_said(removed, sentences):
    data = make_synthetic_data(sources_removed=removed).model_copy(update={"shared_sources": {"train-test": 2}})
    said = [sentence for _, sentence in list_shared_sources(data)]
    assert said == ["2 examples of train have a source that test has too, with another target"][:sentences]


def with_test_groups(examples: int, groups: int | None) -> DataSummary:
    data = make_synthetic_data()
    test = data.splits["test"].model_copy(update={"examples": examples, "groups": groups})
    return data.model_copy(update={"splits": {**data.splits, "test": test}})


@pytest.mark.parametrize(("groups", "warns"), [(4, True), (19, True), (20, False), (None, False)])
def test_few_groups_of_test_examples_are_a_warning(groups: int | None, warns: bool) -> None:
    data = with_test_groups(60, groups)
    warnings = [text for text in list_data_warnings(data) if "groups" in text]
    assert [text.startswith(f"The 60 test examples are of only {groups} groups (data.fields.group), so they say") for
            text in warnings] == [True] * warns  # fmt: skip


def test_few_groups_of_few_examples_are_no_warning() -> None:
    assert list_data_warnings(with_test_groups(16, 10)) == []
