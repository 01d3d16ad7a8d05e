"""Values of any type as text."""

import ast
import datetime
import inspect
import json
import textwrap
from decimal import Decimal

import pytest

from tuneoff.config.data import TextOptions
from tuneoff.data.rows import convert_dataset, make_rows
from tuneoff.data.splits import draw_splits
from tuneoff.data.values import UnusableRowError, convert_answers, convert_text
from tuneoff.errors import DataError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (-5, "-5"),
        (7.0, "7"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        (datetime.date(2026, 11, 26), "2026-11-26"),
        (datetime.datetime(2026, 11, 26), "2026-11-26"),
        (datetime.datetime(2026, 11, 26, 7, 5), "2026-11-26 07:05:00"),
        ({"b": 1, "a": {"ü": None}}, '{"a": {"ü": null}, "b": 1}'),
        ([{"name": "x"}], '[{"name": "x"}]'),
        ("  kept \n", "  kept \n"),
    ],
)
def test_a_value_has_one_text(value, text):
    assert convert_text("target", value) == text


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_value_has_none(missing):
    with pytest.raises(UnusableRowError, match="target is missing"):
        convert_text("target", missing)


def test_json_that_is_none_is_refused():
    with pytest.raises(UnusableRowError, match="target cannot be written as JSON"):
        convert_text("target", {"a": float("nan")})


def test_numbers_in_a_list_are_answers_as_text():
    assert convert_answers([4, 4.0, "four", None], TextOptions()) == ("4", "four")


def test_a_class_is_written_by_its_name():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    data = datasets.Dataset.from_dict(
        {"text": [f"t{i}" for i in range(20)], "label": [i % 2 for i in range(19)] + [-1]}, features
    )
    splits = draw_splits({"train": convert_dataset("here", data)}, TextOptions()).by_name
    assert {example.target for split in splits.values() for example in split.examples} == {"no", "yes"}
    assert sum(split.left_out for split in splits.values()) == 1  # -1 marks a row without a label


def draw(targets, **options):
    rows = make_rows("a.csv", [{"source": f"s{i}", "target": target} for i, target in enumerate(targets)])
    others = {
        name: make_rows(name, [{"source": f"{name}{i}", "target": "x"} for i in range(2)])
        for name in ("validation", "test")
    }
    return draw_splits({"train": rows, **others}, TextOptions(**options)).by_name["train"]


@pytest.mark.parametrize("spelling", ["NA", "nan", "None", "NULL", "#N/A"])
def test_a_target_that_spells_a_missing_value_is_kept_and_counted(spelling):
    train = draw(["a", spelling, "b"])
    assert [example.target for example in train.examples] == ["a", spelling, "b"]
    assert (train.na_targets, train.na_examples) == (1, [f"row 2: {spelling!r}"])


def test_it_is_left_out_on_request():
    train = draw(["a", "NA", "b"], na="leave-out")
    assert (train.left_out_examples, train.na_targets) == (["row 2: target spells a missing value: 'NA'"], 0)


@pytest.mark.parametrize("missing", ["NA", None])
def test_it_is_refused_on_request_with_its_row(missing):
    with pytest.raises(DataError, match=r"a\.csv, row 2: target .*data\.na: leave-out"):
        draw(["a", missing, "b"], na="refuse")


def test_a_missing_value_is_left_out_by_default():
    assert draw(["a", None, "b"]).left_out_examples == ["row 2: target is missing"]


def test_empty_targets_are_left_out_or_kept():
    assert draw(["a", "", "b"]).left_out_examples == ["row 2: target is empty"]
    assert [example.target for example in draw(["a", "", "b"], empty_targets="keep").examples] == ["a", "", "b"]


def test_more_than_half_left_out_is_refused_unless_asked_for():
    with pytest.raises(DataError, match=r"3 of 4 rows for train are no usable examples.*allow_left_out: true"):
        draw(["a", None, None, None])
    assert draw(["a", None, None, None], allow_left_out=True).left_out == 3


def test_functions_as_targets_still_parse():
    modules = (textwrap, json.decoder, inspect)
    sources = [
        textwrap.dedent(inspect.getsource(function))
        for module in modules
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
    ][:16]
    kept = [example.target for example in draw(sources).examples]
    assert len([ast.parse(code) for code in kept]) == 16
    assert kept == sources


@pytest.mark.parametrize("text", ["a:\n  - b\n\n  - c\n", "| a | b |\n|---|---|\n", "Roses\n\n    are red  \n", "\tx"])
def test_tables_yaml_and_verse_keep_their_white_space(text):
    assert draw(["a", text]).examples[1].target == text


def draw_rows(rows, **options):
    splits = draw_splits({"train": make_rows("a.jsonl", rows)}, TextOptions(**options)).by_name
    return [example.target for split in splits.values() for example in split.examples]


def test_an_empty_list_among_lists_of_objects_is_json():
    rows = [{"source": f"text {i}", "target": [{"type": "PER", "at": i}] if i % 2 else []} for i in range(20)]
    assert draw_rows(rows).count("[]") == 10


def test_an_empty_list_of_texts_is_an_empty_answer_on_request():
    rows = [{"source": f"text {i}", "target": [] if i % 3 else [f"answer {i}"]} for i in range(30)]
    assert draw_rows(rows, empty_targets="keep").count("") == 20
    with pytest.raises(DataError, match=r"an empty list.*write data\.empty_targets: keep, if an empty answer is right"):
        draw_rows(rows)
