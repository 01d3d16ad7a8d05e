"""Questions on a terminal."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuneoff.console import asking


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of a pseudo-terminal, to type and read on."""
    controller, terminal = os.openpty()
    monkeypatch.setattr(asking, "TERMINAL", Path(os.ttyname(terminal)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    yield controller
    os.close(controller)
    os.close(terminal)


def read_until(descriptor: int, end: bytes) -> bytes:
    """Return what a terminal shows up to some bytes: first the echo of what was typed, in one or several pieces."""
    shown = b""
    while end not in shown:
        shown += os.read(descriptor, 1000)
    return shown


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False)])
def test_only_a_yes_agrees(keyboard: int, typed: str, agreed: bool) -> None:
    os.write(keyboard, typed.encode())
    assert asking.ask_on_terminal("Leave out full? [y/N] ") is agreed
    assert b"Leave out full? [y/N]" in read_until(keyboard, b"]")


def test_nobody_is_asked_without_a_terminal(keyboard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    os.write(keyboard, b"y\n")
    assert not asking.ask_on_terminal("Leave out full? [y/N] ")


def test_a_process_without_a_controlling_terminal_gets_no_answer(
    keyboard: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(asking, "TERMINAL", tmp_path / "no terminal")
    assert not asking.ask_on_terminal("Leave out full? [y/N] ")
