import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneoff.config.data import CleaningOptions, TextOptions
from tuneoff.data.cleaning import clean_text, make_builder
from tuneoff.data.rows import make_rows
from tuneoff.data.shapes.recognize import choose_shape
from tuneoff.data.values import UnusableRowError


def test_white_space_is_collapsed_on_request():
    assert clean_text(" a\n\n b\t\u00a0c ", CleaningOptions(whitespace=True)) == "a\nb c"


def test_white_space_is_kept_by_default():
    assert clean_text(" a\n b", CleaningOptions()) == " a\n b"


def test_text_is_converted_to_lower_case_on_request():
    assert clean_text("ÉCOLE", CleaningOptions(lower=True)) == "école"


def test_punctuation_of_any_script_is_removed_and_other_symbols_stay():
    cleaned = clean_text("«Well-known», don't: 3 + 4 = 7 €。", CleaningOptions(punctuation=True))
    assert cleaned == "Wellknown dont 3 + 4 = 7 €"


@given(st.text(), st.builds(CleaningOptions, lower=st.booleans(), punctuation=st.booleans(), whitespace=st.booleans()))
def test_cleaning_twice_changes_nothing(text, clean):
    cleaned = clean_text(text, clean)
    assert clean_text(cleaned, clean) == cleaned


def build(row, **options):
    text = TextOptions(**options)
    rows = make_rows("here", [row])
    return make_builder(rows, choose_shape(rows, text), text).build(row)


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        ((None, "b"), "source is missing"),
        (("a", b"5"), "target is not text but bytes: b'5'"),
        (("a", " \n"), "target is empty$"),
        (("...", "b"), "source is empty once cleaned"),
        (("a", "b\ud800"), "target holds half of a surrogate pair"),
    ],
)
def test_a_row_without_text_is_refused_with_its_reason(pair, reason):
    with pytest.raises(UnusableRowError, match=reason):
        build(dict(zip(("source", "target"), pair, strict=True)), clean={"punctuation": True})
