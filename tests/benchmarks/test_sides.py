"""Both sides of the benchmark do the same comparison on text whose lengths vary."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import ours, usual, work
from benchmarks.turns import LOSS_TOLERANCE, list_cases
from benchmarks.work import Case
from tuneoff.data.statistics import compute_fingerprint

CASE = Case(shape="tiny", task="comparison", method="lora", on_text=True)


@pytest.fixture
def tiny_folder(model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a tiny Llama, and rows that are few and short."""
    for module in (ours, usual):
        monkeypatch.setattr(module, "TRAINED", 8)
        monkeypatch.setattr(module, "VALIDATED", 4)
        monkeypatch.setattr(module, "TESTED", 4)
        monkeypatch.setattr(module, "NEW_TOKENS", 3)
    monkeypatch.setattr(work, "TEXT_LENGTHS", (30, 60))
    monkeypatch.setattr(work, "TEXT_TARGET", 4)
    return model_folder("llama")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the usual libraries warn about each other
def test_both_sides_compare_methods_on_text_and_have_the_same_losses(tiny_folder: Path) -> None:
    sides = ours.Side(CASE, tiny_folder, "cpu"), usual.Side(CASE, tiny_folder, "cpu", bf16=True)
    (our_seconds, our_loss), (their_seconds, their_loss) = (side.run_round() for side in sides)
    assert our_loss == pytest.approx(their_loss, abs=LOSS_TOLERANCE)
    assert min(our_seconds, their_seconds) > 0
    assert all(side.get_peak_bytes() > 0 for side in sides)


def test_rows_of_text_vary_in_length_and_all_have_the_same_target(tiny_folder: Path) -> None:
    rows = ours.Side(CASE, tiny_folder, "cpu").make_rows(12)
    lengths = [len(tokens) for tokens in rows["tokens"]]
    assert len(set(lengths)) > 6
    assert {length - prompt for length, prompt in zip(lengths, rows["prompt_tokens"], strict=True)} == {4}


def test_every_shape_has_a_comparison_on_text() -> None:
    names = [case.name for case in list_cases()]
    assert "smollm2-135m comparison on text, batch 4" in names
    assert len(set(names)) == len(names)


def test_rows_have_the_columns_that_a_training_with_stored_hidden_states_reads() -> None:
    assert len(compute_fingerprint({"train": work.make_rows(2)})) > 8
