"""Where a plan learns the noise from: a stored run, or assumptions."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.stored_runs import write_run
from tests.report.synthetic import make_synthetic_data, make_synthetic_recipe
from tuneoff.analysis.plan import Plan
from tuneoff.analysis.sensitivity import Sensitivity
from tuneoff.api.sensitivity import find_sensitivity
from tuneoff.data import DataSummary
from tuneoff.errors import RunError

METHODS = ["base", "lora", "full"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def find(
    like: Path | None = None,
    differences: tuple[float, ...] = (1.0,),
    data_summary: DataSummary | None = None,
    **changes: Any,
) -> Sensitivity | None:
    recipe = make_synthetic_recipe(**{"methods": METHODS, "seeds": [1, 2, 3], **changes})
    parameters = {label: (0 if label == "base" else 10, 100) for label in recipe.methods}
    plan = Plan(recipe=recipe, data=data_summary or make_synthetic_data(), parameters=parameters, stages=())
    return find_sensitivity(plan, None, like, differences)


def get_source(sensitivity: Sensitivity | None) -> tuple[str, int]:
    assert sensitivity is not None
    return sensitivity.noise.measured_in, sensitivity.noise.runs.seeds


def test_a_run_given_with_like_is_measured() -> None:
    write_run(Path("other"), methods=METHODS, seeds=[0, 1])
    assert get_source(find(Path("other"))) == ("other", 2)


def test_the_recipes_own_run_is_measured_without_being_named() -> None:
    write_run(Path("runs/synthetic"), methods=METHODS, seeds=[0, 1])
    assert get_source(find()) == ("runs/synthetic", 2)


def test_another_sample_of_the_same_data_is_like_it() -> None:
    write_run(Path("runs/synthetic"), methods=METHODS, seeds=[0, 1])
    data = {"source": "aclsum", "max_tokens": 176, "max_target_tokens": 48, "sizes": {"test": 80}}
    assert get_source(find(data=data))[0] == "runs/synthetic"


@pytest.mark.parametrize(
    "changes",
    [{"model": {"name": "another"}}, {"data": {"source": "aclsum", "max_tokens": 300}}],
    ids=["model", "data"],
)
def test_a_run_of_the_same_name_on_another_model_or_data_is_not_used(changes: dict[str, Any]) -> None:
    write_run(Path("runs/synthetic"), methods=METHODS, seeds=[0, 1])
    assert get_source(find(**changes)) == ("", 0)


def test_an_own_run_that_cannot_be_read_does_not_stop_a_plan() -> None:
    run = write_run(Path("runs/synthetic"), methods=METHODS, seeds=[0, 1])
    (run / "recipe.yaml").write_text("{")
    assert get_source(find()) == ("", 0)


def test_a_run_that_was_named_and_cannot_be_read_does_stop_it() -> None:
    with pytest.raises(RunError, match="nowhere"):
        find(Path("nowhere"))


def test_one_seed_shows_the_examples_part_alone() -> None:
    write_run(Path("other"), methods=METHODS, seeds=[0])
    sensitivity = find(Path("other"))
    assert get_source(sensitivity) == ("other", 0)
    assert sensitivity is not None
    assert sensitivity.noise.examples.measured


def test_a_method_and_the_base_model_are_a_pair_too() -> None:
    write_run(Path("other"), methods=METHODS, seeds=[0, 1])
    sensitivity = find(Path("other"), methods=["base", "lora"])
    assert sensitivity is not None
    assert (sensitivity.design.methods, sensitivity.design.sides) == (2, 1)
    assert sensitivity.difference is not None


@pytest.mark.parametrize("methods", [["base"], ["lora"]])
def test_a_single_method_has_nothing_to_be_compared_with(methods: list[str]) -> None:
    assert find(methods=methods) is None


def test_by_default_the_margin_and_a_round_difference_are_planned_for() -> None:
    sensitivity = find(differences=())
    assert sensitivity is not None
    round_one, margin = (wanted.difference for wanted in sensitivity.wanted)
    assert margin == 0.5
    assert sensitivity.difference is not None
    assert margin < round_one <= sensitivity.difference / 2


def test_the_prior_of_the_recipe_is_used() -> None:
    quiet, noisy = find(verdict={"prior": {"seed_sd": 0.1, "example_sd": 2}}), find()
    assert quiet is not None
    assert noisy is not None
    assert quiet.difference is not None
    assert noisy.difference is not None
    assert quiet.difference < noisy.difference / 3


def test_a_plan_goes_by_the_primary_metric() -> None:
    sensitivity = find(verdict={"metric": "loss"})
    assert sensitivity is not None
    assert sensitivity.metric.name == "loss"
    assert sensitivity.noise.examples.variance == pytest.approx(0.2**2)


def group_tests(groups: int | None) -> DataSummary:
    data = make_synthetic_data()
    test = data.splits["test"].model_copy(update={"groups": groups})
    return data.model_copy(update={"splits": {**data.splits, "test": test}})


def test_a_plan_with_groups_does_not_learn_from_a_run_without() -> None:
    write_run(Path("other"), methods=METHODS, seeds=[0, 1])
    with pytest.raises(RunError, match="has 1 in other and 4 in the recipe"):
        find(Path("other"), data_summary=group_tests(10))


def test_an_own_run_that_is_grouped_otherwise_is_not_used() -> None:
    write_run(Path("runs/synthetic"), methods=METHODS, seeds=[0, 1])
    assert get_source(find(data_summary=group_tests(10))) == ("", 0)


def test_a_few_equal_sources_make_no_other_units() -> None:
    write_run(Path("other"), methods=METHODS, seeds=[0, 1])
    assert get_source(find(Path("other"), data_summary=group_tests(38)))[0] == "other"
