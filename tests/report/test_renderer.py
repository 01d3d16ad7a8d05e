"""The chart library, which is bundled once and then read from the cache."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tuneoff.report import renderer
from tuneoff.report.figures import get_vega_lite_version


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """An empty cache, and the tasks of the renderer, which does none of them."""
    tasks: list[Mapping[str, Any]] = []

    def draw(task: Mapping[str, Any]) -> dict[str, Any]:
        tasks.append(task)
        return {"library": "var a = 'é';\r\n"}

    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    monkeypatch.setattr(renderer, "_draw", draw)
    return tasks


def test_the_library_is_bundled_once_and_read_back_as_it_was(bundled: list[Mapping[str, Any]]) -> None:
    version = get_vega_lite_version()
    assert renderer.bundle_library(version) == renderer.bundle_library(version) == "var a = 'é';\r\n"
    assert len(bundled) == 1


def test_a_damaged_library_is_bundled_again(
    bundled: list[Mapping[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = get_vega_lite_version()
    renderer.bundle_library(version)
    (file,) = tmp_path.rglob("library.js")
    file.write_text("alert(1)")
    with caplog.at_level(logging.WARNING):
        assert renderer.bundle_library(version) == "var a = 'é';\r\n"
    assert len(bundled) == 2
    assert "is damaged" in caplog.text


def test_another_version_has_a_library_of_its_own(bundled: list[Mapping[str, Any]]) -> None:
    renderer.bundle_library("6.4")
    renderer.bundle_library("6.3")
    assert len(bundled) == 2


def test_a_cache_that_cannot_be_written_does_no_harm(
    bundled: list[Mapping[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "file"))
    assert renderer.bundle_library(get_vega_lite_version()) == "var a = 'é';\r\n"
