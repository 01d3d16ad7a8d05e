import pytest

from tuneoff.report.escape import escape_control


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("\ud800", "⟨U+D800⟩"),
        ("lo\u200dra", "lo⟨U+200D⟩ra"),
        ("\u200c", "⟨U+200C⟩"),
        ("a\u3164b", "a⟨U+3164⟩b"),
    ],
)
def test_control_characters_are_made_visible(hidden: str, shown: str) -> None:
    assert escape_control(hidden) == shown


@pytest.mark.parametrize("text", ["Two\nlines\tand a tab", "Größe, 東京, שלום", "👩‍🔬", "می\u200cخواهم"])
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert escape_control(text) == text
