"""No single bit of a run directory changes a result without a word."""

from pathlib import Path

import pytest

from benchmarks.flips import SILENT, flip_bits, make_run, prepare_comparison, prepare_report


def test_no_flipped_bit_changes_a_result_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    run = make_run(tmp_path / "run")
    outcomes = list(flip_bits([run], prepare_report(run), flips=1, seed=3))
    assert len(outcomes) > 20
    assert not [file for file, outcome in outcomes if outcome == SILENT]


@pytest.mark.slow
@pytest.mark.model
def test_a_comparison_whose_cache_has_a_flipped_bit_makes_it_again_and_has_the_same_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    classify = prepare_comparison(tmp_path, tmp_path / "run")
    outcomes = [outcome for _, outcome in flip_bits([tmp_path / "cache" / "tokens"], classify, flips=1, seed=0)]
    assert "made again with a message, equal" in outcomes
    assert SILENT not in outcomes
