"""A comparison that runs until it is decided, end to end with tiny models."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tuneoff.api import load_comparison
from tuneoff.records.record import Record
from tuneoff.runner.listener import SilentListener, Tallies, Tally

pytestmark = pytest.mark.usefixtures("quick_comparisons")


class NotingListener(SilentListener):
    """Keeps messages and counts, and stops the run after so many trials."""

    def __init__(self, stops_after: int | None = None) -> None:
        self.messages: list[str] = []
        self.tallies: list[Tallies] = []
        self._left = stops_after

    def on_message(self, text: str) -> None:
        self.messages.append(text)

    def on_start(self, tallies: Tallies) -> None:
        self.tallies.append(tallies)

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self._left = self._left and self._left - 1
        if self._left == 0:
            raise KeyboardInterrupt


@pytest.fixture
def recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """Two methods that learn alike, and one that learns nothing."""
    full = {"method": "full", "learning_rate": 1e-2}
    idle = {"method": "lora", "learning_rate": 1e-6}
    return recipe | {
        "methods": {"full": full, "slower": full | {"learning_rate": 9e-3}, "idle": idle},
        "data": recipe["data"] | {"sizes": {"validation": 2, "test": 6}},
        "training": {"epochs": 2, "batch_size": 2},
        "seeds": [0, 1, 2, 3],
        "verdict": {"metric": "loss", "margin_loss": 0.0, "confidence": 0.7},
        "until_decided": True,
    }


def test_a_method_that_is_shown_to_be_worse_gets_no_further_seed(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tuneoff.compare(recipe, run=tmp_path / "run", listener=NotingListener(stops_after=4))
    listener = NotingListener()
    comparison = tuneoff.compare(recipe, run=tmp_path / "run", listener=listener)
    assert comparison.rounds is not None
    assert list(comparison.rounds.dropped) == ["idle"]
    assert comparison.partial is None
    seeds = {row.label: len(row.records) for row in comparison.rows}
    assert seeds == {"full": 4, "slower": 4, "idle": comparison.rounds.dropped["idle"].seeds}
    assert listener.tallies[0]["confirm"] == Tally(done=4, of=12, is_most=True)
    assert "idle is worse than" in " ".join(listener.messages)
    assert load_comparison(tmp_path / "run").rounds == comparison.rounds


def test_every_look_is_a_use_of_the_test_split(recipe: dict[str, Any], tmp_path: Path) -> None:
    comparison = tuneoff.compare(recipe, run=tmp_path / "run", listener=SilentListener())
    assert comparison.rounds is not None
    assert comparison.split_use is not None
    assert comparison.split_use.looks >= len(comparison.rounds.looks) > 1
