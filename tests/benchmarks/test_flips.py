"""No single bit of a run directory changes a result without a word."""

from pathlib import Path

import pytest

from benchmarks.flips import SILENT, flip_bits, make_run


def test_no_flipped_bit_changes_a_result_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    outcomes = list(flip_bits(make_run(tmp_path / "run"), flips=1, seed=3))
    assert len(outcomes) > 20
    assert not [file for file, outcome in outcomes if outcome == SILENT]
