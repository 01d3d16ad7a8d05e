"""The progress bars of libraries do not get into logs."""

import io

import pytest
from tqdm.auto import tqdm

from tuneoff.system.progress_bars import limit_progress_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("file", "to_terminals", "is_shown"), [
    (Terminal, True, True), (io.StringIO, True, False), (Terminal, False, False),
])  # fmt: skip
def test_a_bar_is_shown_in_a_terminal_at_most(file: type[io.StringIO], to_terminals: bool, is_shown: bool) -> None:
    shown = file()
    with limit_progress_bars(to_terminals=to_terminals):
        assert list(tqdm([1, 2], file=shown)) == [1, 2]
    assert ("2/2" in shown.getvalue()) == is_shown


def test_other_bars_are_left_alone() -> None:
    shown = io.StringIO()
    with limit_progress_bars():
        pass
    list(tqdm([1, 2], file=shown))
    assert "2/2" in shown.getvalue()
