"""What tools are told follows from the records alone."""

import math

import pytest

from tuneoff.records.record import Record
from tuneoff.tracking.content import Group, build_points, describe_trial


def test_the_curve_is_told_by_step_with_epochs_tokens_and_seconds(long_record: Record) -> None:
    points = {point.step: point.values for point in build_points(long_record)}
    assert points[0] == {"epoch": 0, "validation/loss": 3.5, "train/seconds": 0, "train/tokens": 0}
    assert points[9] == {
        "train/loss": 2.75, "epoch": 1, "validation/loss": 2.8, "train/learning_rate": 4e-4, "train/seconds": 7.5,
        "train/tokens": 900,
    }  # fmt: skip
    assert points[18]["train/tokens"] == 1810
    assert points[18]["train/seconds"] == 14.75


def test_values_that_are_not_finite_are_left_out(long_record: Record) -> None:
    points = build_points(long_record)
    assert all(math.isfinite(value) for point in points for value in point.values.values())
    assert [point.step for point in points] == [0, 3, 9, 12, 18]  # step 6 and 15 had no finite loss
    assert "validation/loss" not in points[-1].values


def test_every_step_is_told_once_in_ascending_order(records: dict[str, Record], long_record: Record) -> None:
    for record in (*records.values(), long_record):
        steps = [point.step for point in build_points(record)]
        assert steps == sorted(set(steps))


def test_the_last_point_has_the_scores_and_costs_of_the_record(records: dict[str, Record]) -> None:
    record = records["lora 1"]
    final = build_points(record)[-1].values
    assert {name: final[f"score/{name}"] for name in record.scores} == dict(record.scores)
    assert record.costs is not None
    assert final["cost/train_seconds"] == record.costs.train_seconds


def test_a_record_of_an_early_version_has_a_loss_for_each_epoch(records: dict[str, Record]) -> None:
    record = records["lora 0"]
    losses = [point.values["train/loss"] for point in build_points(record) if "train/loss" in point.values]
    assert losses == [row.train_loss for row in record.curve if row.steps]


def test_a_failed_trial_is_told_with_its_reason_and_no_points(records: dict[str, Record], group: Group) -> None:
    run = describe_trial(records["lora-r256 0"], group, with_text=False)
    assert run.failed
    assert run.points == ()
    assert "OutOfMemoryError" in run.note
    assert "failed" in run.tags


def test_two_seeds_of_a_method_are_two_runs_in_one_group(records: dict[str, Record], group: Group) -> None:
    first, second = (describe_trial(records[f"lora {seed}"], group, with_text=False) for seed in (0, 1))
    assert first.group == second.group
    assert first.id != second.id
    assert first.name != second.name


def test_the_same_trial_of_another_run_directory_is_another_run(records: dict[str, Record], group: Group) -> None:
    other = Group(id="f" * 16, project=group.project, name=group.name)
    assert len({describe_trial(records["lora 0"], of, with_text=False).id for of in (group, other)}) == 2


def test_text_is_told_only_when_asked_for(records: dict[str, Record], group: Group) -> None:
    assert describe_trial(records["lora 0"], group, with_text=False).tables == ()
    (table,) = describe_trial(records["lora 0"], group, with_text=True).tables
    assert table.rows[0][1] == records["lora 0"].predictions[0].source


def test_no_secret_of_a_path_or_an_error_is_told(
    records: dict[str, Record], group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789secret")
    failed = records["lora-r256 0"].model_copy(update={"reason": "cannot log in with 0123456789secret"})
    assert "secret" not in describe_trial(failed, group, with_text=True).note
