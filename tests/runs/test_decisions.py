"""Decisions are lines that are checked before they are written, and never taken out."""

from pathlib import Path

import pytest

from tests.samples import make_recipe
from tuneoff.errors import RunError
from tuneoff.runs.decisions import FILE, add_decision, apply_decisions, list_stopped, read_decisions

RECIPE = make_recipe(["base", "lora", "full"], budget="2h")


def test_a_decision_says_who_when_and_why(tmp_path: Path) -> None:
    decision = add_decision(tmp_path, RECIPE, "drop-method", by="ada", why="too slow", method="full")
    assert read_decisions(tmp_path) == (decision,)
    assert decision.describe_whole() == f"full was left out by ada on {decision.at:%Y-%m-%d %H:%M} UTC: too slow."


def test_a_method_that_is_left_out_is_not_in_the_recipe(tmp_path: Path) -> None:
    add_decision(tmp_path, RECIPE, "drop-method", by="ada", method="full")
    assert list(apply_decisions(RECIPE, read_decisions(tmp_path)).methods) == ["base", "lora"]


@pytest.mark.parametrize(
    ("budget", "field", "grown"),
    [("2h", "time", "9000s"), ({"money": 10, "price_per_hour": 4}, "money", 12.0)],
)
def test_a_budget_grows_in_its_own_unit(tmp_path: Path, budget: object, field: str, grown: object) -> None:
    recipe = make_recipe(["base", "lora"], budget=budget)
    add_decision(tmp_path, recipe, "extend-budget", by="ada", seconds=1800)
    extended = apply_decisions(recipe, read_decisions(tmp_path)).budget
    assert extended is not None
    assert getattr(extended, field) == grown


@pytest.mark.parametrize(
    ("changes", "fields", "reason"),
    [
        ({}, {"kind": "drop-method", "method": "lorra"}, "Did you mean 'lora'"),
        ({"methods": ["base", "lora"]}, {"kind": "drop-method", "method": "lora"}, "nothing to compare"),
        ({"budget": None}, {"kind": "extend-budget", "seconds": 60}, "no budget"),
        ({"budget": {"until": "18:30"}}, {"kind": "extend-budget", "seconds": 60}, "time of day"),
        ({}, {"kind": "extend-budget", "seconds": -60}, "greater than 0"),
        ({}, {"kind": "extend-budget"}, "by how much"),
        ({}, {"kind": "stop-trial"}, "by its id"),
        ({}, {"kind": "stop-trial", "trial": "a", "why": "x" * 501}, "at most 500"),
    ],
)
def test_what_cannot_be_carried_out_is_not_written(
    tmp_path: Path, changes: dict[str, object], fields: dict[str, object], reason: str
) -> None:
    recipe = make_recipe(**{"methods": ["base", "lora", "full"], "budget": "2h", **changes})  # type: ignore[arg-type]
    with pytest.raises(RunError, match=reason):
        add_decision(tmp_path, recipe, by="ada", **fields)  # type: ignore[arg-type]
    assert not (tmp_path / FILE).exists()


def test_a_method_is_left_out_once(tmp_path: Path) -> None:
    add_decision(tmp_path, RECIPE, "drop-method", by="ada", method="full")
    with pytest.raises(RunError, match="left out already, by ada"):
        add_decision(tmp_path, RECIPE, "drop-method", by="bob", method="full")


def test_running_failed_trials_again_voids_earlier_stops(tmp_path: Path) -> None:
    add_decision(tmp_path, RECIPE, "stop-trial", by="ada", trial="a")
    add_decision(tmp_path, RECIPE, "retry", by="--retry")
    add_decision(tmp_path, RECIPE, "stop-trial", by="ada", trial="b")
    assert list(list_stopped(read_decisions(tmp_path))) == ["b"]


@pytest.mark.parametrize(
    ("old", "new"),
    [('"full"', '"lora"'), ("drop-method", "drop-methoe"), ('"sha256": "', '"sha256": "0')],
)
def test_a_damaged_line_does_not_count_and_that_is_said(
    old: str, new: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_decision(tmp_path, RECIPE, "drop-method", by="ada", method="full")
    file = tmp_path / FILE
    file.write_text(file.read_text().replace(old, new))
    assert read_decisions(tmp_path) == ()
    assert f"Line 1 of {file} cannot be read, so that decision does not count." in caplog.text


def test_a_line_of_a_version_without_checksums_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"at": "2026-11-27T05:00:00Z", "by": "ada", "kind": "stop-trial", "trial": "a"}\n')
    assert list(list_stopped(read_decisions(tmp_path))) == ["a"]


def test_a_half_written_line_is_skipped(tmp_path: Path) -> None:
    decision = add_decision(tmp_path, RECIPE, "stop-trial", by="ada", trial="a")
    with (tmp_path / FILE).open("a") as stream:
        stream.write('{"at": "2026')
    assert read_decisions(tmp_path) == (decision,)
