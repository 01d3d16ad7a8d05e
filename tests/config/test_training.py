"""How a trial is trained, and on how many devices."""

import pytest

from tuneoff.config.training import TrainingOptions
from tuneoff.errors import RecipeError


def test_one_device_is_not_written_so_that_trials_keep_their_ids() -> None:
    assert "devices" not in TrainingOptions().model_dump(mode="json")
    assert TrainingOptions(devices=2).model_dump(mode="json")["devices"] == 2


def test_more_devices_than_examples_of_a_step_are_refused_with_the_number_that_fits() -> None:
    assert TrainingOptions(devices=4, batch_size=2, accumulation=2).devices == 4
    with pytest.raises(RecipeError, match=r"training: devices is 5.*a step has 4 examples.*write devices: 4 or fewer"):
        TrainingOptions.read({"devices": 5, "batch_size": 2, "accumulation": 2}, "training")


def test_compiled_blocks_are_for_one_device() -> None:
    with pytest.raises(RecipeError, match="compile is for one device: remove compile or devices"):
        TrainingOptions.read({"devices": 2, "compile": True}, "training")


def test_a_model_is_divided_among_several_devices_only() -> None:
    assert "shard" not in TrainingOptions().model_dump(mode="json")
    assert TrainingOptions(devices=2, shard=True).shard
    with pytest.raises(RecipeError, match="shard divides a model among devices, and there is one: write devices: 2"):
        TrainingOptions.read({"shard": True}, "training")
