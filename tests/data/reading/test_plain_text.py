"""Plain text is divided into documents, paragraphs or lines."""

import pytest

from tuneoff.data.reading import read_rows
from tuneoff.errors import DataError

PROSE = "One line, and more.\nIts second line.\n\n\nAnother paragraph,\nwith a comma.\n"
PARAGRAPHS = ["One line, and more.\nIts second line.", "Another paragraph,\nwith a comma."]


def list_texts(rows):
    return [row["text"] for row in rows]


def test_a_file_with_blank_lines_has_paragraphs(read_dicts):
    assert list_texts(read_dicts("a.txt", PROSE)) == PARAGRAPHS


def test_a_file_without_blank_lines_has_lines(read_dicts):
    assert list_texts(read_dicts("a.txt", "one, two\nthree\n  four\n")) == ["one, two", "three", "  four"]


@pytest.mark.parametrize(("unit", "count"), [("line", 4), ("paragraph", 2), ("document", 1)])
def test_the_recipe_says_what_a_row_is(read_dicts, unit, count):
    assert len(read_dicts("a.txt", PROSE, records=unit)) == count


def test_a_document_is_kept_as_it_is(read_dicts):
    assert list_texts(read_dicts("a.txt", PROSE, records="document")) == [PROSE]


def test_each_of_several_files_is_a_document(write, options):
    files = [write("a.txt", PROSE), write("b.txt", "x\n")]
    rows = read_rows(options(source="files", files=files))["train"]
    assert list_texts(rows.take([0, 1])) == [PROSE, "x\n"]


def test_the_note_says_what_a_row_is(read_as_train):
    assert read_as_train("a.txt", PROSE).notes[0].endswith("a.txt is plain text; each paragraph is a row.")


def test_an_unknown_unit_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"data\.records.* Did you mean 'paragraph'\?"):
        read_dicts("a.txt", PROSE, records="paragraphs")


def test_old_mac_line_ends_divide_too(read_dicts):
    assert list_texts(read_dicts("a.txt", PROSE.replace("\n", "\r"))) == PARAGRAPHS
