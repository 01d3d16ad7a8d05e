"""Rows with equal source, or questions about one text, stay in one split; what remains in common is counted."""

import itertools
import random

import pytest

from tuneoff.config.data import TextOptions
from tuneoff.data.near_duplicates import NearDuplicates
from tuneoff.data.rows import make_rows
from tuneoff.data.splits import draw_splits
from tuneoff.errors import DataError


def make_pairs(pairs, place="here"):
    return make_rows(place, [{"source": source, "target": target} for source, target in pairs])


def draw(rows, **options):
    rows = rows if isinstance(rows, dict) else {"train": rows}
    return draw_splits(rows, TextOptions(**options))


def list_sources(splits, name):
    return {example.origin for example in splits.by_name[name].examples}


PAPERS = make_pairs([(f"paper {i % 150}", f"summary {i}") for i in range(431)])


def test_no_source_of_431_rows_from_150_papers_is_in_two_splits():
    splits = draw(PAPERS)
    for one, other in itertools.combinations(("train", "validation", "test"), 2):
        assert not list_sources(splits, one) & list_sources(splits, other)


def test_whole_papers_are_drawn_so_that_few_rows_are_lost():
    splits = draw(PAPERS)
    assert sum(split.sources_removed for split in splits.by_name.values()) <= 4  # of the two papers that a size cuts


def test_papers_are_the_groups_over_which_intervals_are():
    splits = draw(PAPERS)
    test = splits.by_name["test"]
    assert splits.groups_by_source
    assert len(set(test.groups)) == len(list_sources(splits, "test")) < len(test.examples)


def test_questions_about_one_text_stay_in_one_split():
    rows = [
        {"context": f"document {i}", "question": f"question {k}?", "answer": f"{i} {k}"}
        for i in range(60)
        for k in range(5)
    ]
    splits = draw(make_rows("here", rows))
    assert not list_sources(splits, "train") & list_sources(splits, "test")
    assert len(set(splits.by_name["test"].groups)) == 6


def test_different_sources_are_drawn_as_if_there_were_no_groups():
    rows = make_pairs([(f"s{i}", f"t{i}") for i in range(20)])
    grouped, separate = (draw(rows, equal_sources=rule) for rule in ("group", "separate"))
    assert [split.rows for split in grouped.by_name.values()] == [split.rows for split in separate.by_name.values()]
    assert not grouped.groups_by_source
    assert grouped.by_name["test"].groups == []


def test_a_source_of_given_test_rows_is_removed_from_train_and_counted():
    rows = {
        "train": make_pairs([("a", "1"), ("b", "2"), ("c", "3")]),
        "validation": make_pairs([("x", "1")]),
        "test": make_pairs([("a", "9"), ("d", "1")]),
    }
    splits = draw(rows)
    assert list_sources(splits, "train") == {"b", "c"}
    assert (splits.by_name["train"].sources_removed, splits.shared_sources) == (1, {"train-test": 1})


def test_it_is_kept_on_request_and_still_counted():
    rows = {
        "train": make_pairs([("a", "1"), ("b", "2")]),
        "validation": make_pairs([("x", "1")]),
        "test": make_pairs([("a", "9"), ("d", "1")]),
    }
    splits = draw(rows, equal_sources="separate")
    assert list_sources(splits, "train") == {"a", "b"}
    assert splits.shared_sources == {"train-test": 1}


def test_the_same_test_row_eight_times_is_one_group():
    rows = {
        "train": make_pairs([("a", "1")]),
        "validation": make_pairs([("x", "1")]),
        "test": make_pairs([("d", "1")] * 8 + [("e", "1"), ("f", "1")]),
    }
    test = draw(rows).by_name["test"]
    assert (test.repeated, len(test.examples), len(set(test.groups))) == (7, 10, 3)


def test_one_source_in_all_rows_is_refused_with_the_cure():
    rows = make_pairs([("Write a poem.", f"poem {i}") for i in range(30)])
    with pytest.raises(DataError, match=r"whose source is not in another split.*data\.equal_sources: separate"):
        draw(rows)
    assert len(draw(rows, equal_sources="separate").by_name["train"].examples) == 24


def make_sentence(numbers):
    return " ".join(f"word{number}" for number in numbers)


def change_words(text, count):
    words = text.split()
    for place in range(count):
        words[place * (len(words) // count)] = "other"
    return " ".join(words)


GENERATOR = random.Random(0)
TEXTS = [make_sentence(GENERATOR.choices(range(3000), k=80)) for _ in range(60)]


def test_texts_with_a_few_other_words_are_near_and_new_texts_are_not():
    index = NearDuplicates(TEXTS[:40])
    near = [index.has_near(change_words(text, 3)) for text in TEXTS]
    assert near == [True] * 40 + [False] * 20


def test_texts_with_many_other_words_are_not_near():
    index = NearDuplicates(TEXTS)
    assert not any(index.has_near(change_words(text, 16)) for text in TEXTS)


@pytest.mark.parametrize(
    ("one", "other", "is_near"),
    [
        ("Is it good?", "is it  GOOD ?", True),
        ("12 + 7 =", "12 + 8 =", False),
        ("我们提出了一种新的方法来总结论文", "我们提出了一种新的方法来总结论文。", True),
        ("", "", False),
    ],
)
def test_short_texts_are_near_if_their_words_are_equal(one, other, is_near):
    assert NearDuplicates([one]).has_near(other) == is_near


@pytest.mark.parametrize(("rule", "kept"), [("report", 20), ("remove", 15)])
def test_near_duplicates_of_test_are_reported_or_removed_from_train(rule, kept):
    rows = {
        "train": make_pairs(
            [(change_words(text, 2), "t") for text in TEXTS[:5]] + [(text, "t") for text in TEXTS[5:20]]
        ),
        "validation": make_pairs([(text, "t") for text in TEXTS[40:50]]),
        "test": make_pairs([(text, "t") for text in TEXTS[:5]]),
    }
    train = draw(rows, near_duplicates=rule).by_name["train"]
    assert (len(train.examples), train.near_duplicates, train.near_checked) == (kept, 5, 20)


def test_only_as_many_are_compared_as_are_said(monkeypatch):
    monkeypatch.setattr("tuneoff.data.pools.MOST_CHECKED", 7)
    rows = make_pairs([(text, "t") for text in TEXTS])
    assert draw(rows).by_name["train"].near_checked == 7
    assert draw(rows, near_duplicates="remove").by_name["train"].near_checked == 48
