import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneoff.config.data import Clean
from tuneoff.data.cleaning import UnusableRowError, clean_pair, clean_text


def test_white_space_is_collapsed_by_default():
    assert clean_text(" a\n\n b\t\u00a0c ", Clean()) == "a\nb c"


def test_white_space_can_be_kept():
    assert clean_text(" a\n b", Clean(whitespace=False)) == " a\n b"


def test_text_is_lowered_on_request():
    assert clean_text("ÉCOLE", Clean(lower=True)) == "école"


def test_punctuation_of_any_script_goes_but_signs_of_other_kinds_stay():
    assert clean_text("«Well-known», don't: 3 + 4 = 7 €。", Clean(punctuation=True)) == "Wellknown dont 3 + 4 = 7 €"


@given(st.text(), st.builds(Clean, lower=st.booleans(), punctuation=st.booleans()))
def test_what_is_clean_stays_as_it_is(text, clean):
    once = clean_text(text, clean)
    assert clean_text(once, clean) == once


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        ((None, "b"), "source is missing"),
        (("a", 5), "target is not text but int: 5"),
        (("a", " \n"), "target is empty$"),
        (("...", "b"), "source is empty once cleaned"),
        (("a", "b\ud800"), "target holds half of a surrogate pair"),
    ],
)
def test_a_row_without_text_is_refused_with_its_reason(pair, reason):
    with pytest.raises(UnusableRowError, match=reason):
        clean_pair(pair, Clean(punctuation=True))
