"""The page of families: columns that are checked later are added to those that it has."""

import pytest

from benchmarks.families.__main__ import format_page, read_page
from benchmarks.families.checks import CHECKED, Outcome

FITS, MISFIT = Outcome(), Outcome(reason="the model (as it is) has none")
FIRST = ("full", "bitfit", "prefix")
ROWS = [
    ("llama", "", {"full": FITS, "bitfit": MISFIT, "prefix": FITS}),
    ("opt", "", dict.fromkeys(FIRST, FITS)),
    ("gemma2", "", {"full": FITS, "bitfit": MISFIT, "prefix": FITS}),
]


def test_a_page_is_read_as_it_was_written() -> None:
    assert read_page(format_page(ROWS)) == {architecture: outcomes for architecture, _, outcomes in ROWS}


def test_columns_are_in_the_order_of_the_methods_and_a_page_says_which_were_added() -> None:
    page = format_page([(a, "", {**outcomes, "lora": FITS}) for a, _, outcomes in ROWS], added=["lora"])
    assert "| | full | bitfit | lora | prefix |" in page
    assert "with the same versions: lora" in page
    assert list(CHECKED).index("bitfit") < list(CHECKED).index("lora") < list(CHECKED).index("prefix")


def test_a_page_of_other_versions_or_with_a_broken_promise_is_refused() -> None:
    with pytest.raises(ValueError, match="not made with"):
        read_page(format_page(ROWS).replace("peft 0", "peft 9"))
    with pytest.raises(ValueError, match="broken for t5"):
        read_page(format_page([*ROWS, ("t5", "", dict.fromkeys(FIRST, Outcome(broken=("x",))))]))


def test_what_was_not_checked_is_blank_and_said() -> None:
    partial = [(a, "", {**outcomes, "lora": FITS} if a == "opt" else outcomes) for a, _, outcomes in ROWS]
    page = format_page(partial, added=["lora"])
    assert "| llama | ✓ | – |  | ✓ |" in page
    assert "A blank cell was not checked." in page
    assert "A blank cell" not in format_page(ROWS)
    assert read_page(page) == {architecture: outcomes for architecture, _, outcomes in partial}
