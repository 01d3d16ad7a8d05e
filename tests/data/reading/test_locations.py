"""Paths, patterns, folders and lists, and the splits that names of files say."""

import json

import pytest

from tuneoff.data.reading import read_rows
from tuneoff.data.reading.split_names import find_split, name_splits
from tuneoff.errors import DataError


@pytest.fixture
def fill(tmp_path, rows):
    """A function that writes a row into each file of a folder."""

    def _fill(*names):
        for i, name in enumerate(names):
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(rows(i, i + 1)[0]))
        return tmp_path / "data"

    return _fill


@pytest.fixture
def read(options):
    def _read(files):
        splits = read_rows(options(source="files", files=files))
        return {split: [row["source"] for row in rows.take(range(rows.count))] for split, rows in splits.items()}

    return _read


def test_a_folder_is_divided_by_the_names_of_its_files(fill, read):
    folder = fill("train.jsonl", "dev.jsonl", "test.jsonl")
    assert read(str(folder)) == {"train": ["text 0"], "validation": ["text 1"], "test": ["text 2"]}


def test_the_note_says_which_file_is_which_split(fill, options):
    rows = read_rows(options(source="files", files=str(fill("train.jsonl", "dev.jsonl"))))["train"]
    assert rows.notes[0].endswith("follow the names of the files: validation is dev.jsonl; train is train.jsonl.")


def test_folders_may_be_named_for_the_splits(fill, read):
    folder = fill("train/0.jsonl", "train/1.jsonl", "valid/0.jsonl")
    assert read(str(folder)) == {"train": ["text 0", "text 1"], "validation": ["text 2"]}


def test_a_pattern_finds_files_in_order(fill, read):
    folder = fill("a-2.jsonl", "a-1.jsonl", "b.jsonl")
    assert read(f"{folder}/a-*.jsonl") == {"train": ["text 1", "text 0"]}


def test_a_pattern_may_cross_folders(fill, read):
    folder = fill("x/one.jsonl", "x/y/two.jsonl")
    assert read(f"{folder}/**/*.jsonl") == {"train": ["text 0", "text 1"]}


def test_a_list_of_files_is_read_in_its_order(fill, read):
    folder = fill("a.jsonl", "b.jsonl")
    assert read([f"{folder}/b.jsonl", f"{folder}/a.jsonl"]) == {"train": ["text 1", "text 0"]}


def test_each_split_may_have_several_files(fill, read):
    folder = fill("a.jsonl", "b.jsonl", "c.jsonl")
    files = {"train": [f"{folder}/a.jsonl", f"{folder}/b.jsonl"], "test": f"{folder}/c.jsonl"}
    assert read(files) == {"train": ["text 0", "text 1"], "test": ["text 2"]}


def test_a_file_that_is_named_alone_is_train_whatever_its_name(fill, read):
    assert read(f"{fill('test.jsonl')}/test.jsonl") == {"train": ["text 0"]}


def test_other_files_of_a_folder_are_left_out(fill, read):
    folder = fill("a.jsonl")
    for name in ("README.md", "LICENSE.txt", "picture.png", ".hidden.jsonl", "dataset_infos.json"):
        (folder / name).write_text("no data")
    assert read(str(folder)) == {"train": ["text 0"]}


def test_a_file_whose_split_is_not_clear_is_refused(fill, read):
    folder = fill("train.jsonl", "test.jsonl", "extra.jsonl")
    with pytest.raises(DataError, match=r"that of extra\.jsonl does not\. Name the files of each split"):
        read(str(folder))


def test_the_files_beside_a_test_file_are_train(fill, read):
    assert read(str(fill("rows.jsonl", "test.jsonl"))) == {"train": ["text 0"], "test": ["text 1"]}


def test_a_file_of_two_splits_is_refused(fill, read):
    path = f"{fill('a.jsonl')}/a.jsonl"
    with pytest.raises(DataError, match=r"a\.jsonl is named for train and for test"):
        read({"train": path, "test": path})


def test_a_folder_without_data_is_named(tmp_path, read):
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(DataError, match=r"is a folder without data: it has notes\.docx"):
        read(str(tmp_path))


def test_a_pattern_that_matches_nothing_is_refused(tmp_path, read):
    with pytest.raises(DataError, match=r"\*\.jsonl matches no file"):
        read(f"{tmp_path}/*.jsonl")


def test_files_with_other_columns_are_refused(write, read):
    files = [write("a.csv", "source,target\na,b\n"), write("b.csv", "source,label\na,b\n")]
    with pytest.raises(DataError, match=r"b\.csv has no column 'target', which .*a\.csv has"):
        read(files)


def test_files_of_several_formats_may_follow_one_another(write, read):
    files = [write("a.csv", "source,target\na,b\n"), write("b.jsonl", '{"source": "c", "target": "d"}\n')]
    assert read(files) == {"train": ["a", "c"]}


def test_the_names_of_splits_are_known():
    names = ["training", "dev", "testing"]
    assert name_splits(names) == {"training": "train", "dev": "validation", "testing": "test"}


@pytest.mark.parametrize(
    ("names", "split"), [(["train", "eval"], "validation"), (["train", "validation", "eval"], "test")]
)
def test_eval_is_whichever_evaluation_split_is_missing(names, split):
    assert name_splits(names)["eval"] == split


def test_two_splits_with_the_same_meaning_are_not_chosen_from():
    assert find_split("validation", ["train", "dev", "valid"]) is None
