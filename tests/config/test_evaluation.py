"""Options of generation and labels: what contradicts itself is refused, what is unset is not stored."""

from typing import Any

import pytest

from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.errors import RecipeError


def test_options_that_are_unset_are_not_stored() -> None:
    stored = EvaluationOptions().model_dump(mode="json")
    assert stored == {
        "batch_size": 8,
        "generation": {"beams": 1, "max_new_tokens": None, "min_new_tokens": 0, "batch_size": 64},
        "unrelated_passages": 16,
    }, "another value would change the ids of all trials"


@pytest.mark.parametrize(
    "written",
    [
        {"generation": {"temperature": 1, "samples": 5, "top_p": 0.9, "top_k": 40, "seed": 3, "stop": ["\n", "User:"]}},
        {"generation": {"constrain_to": "labels"}, "labels": {"predict_by": "generation", "names": ["a", "b"]}},
        {"labels": {"per_token": True}},
        {"labels": "likelihood"},
    ],
)
def test_options_survive_being_stored(written: dict[str, Any]) -> None:
    options = EvaluationOptions.read(written)
    assert EvaluationOptions.model_validate_json(options.model_dump_json()) == options


def test_one_stop_string_needs_no_list() -> None:
    assert EvaluationOptions.read({"generation": {"stop": "\n"}}).generation.stop == ("\n",)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"generation": {"samples": 5}}, "samples has no effect without sampling: set a temperature"),
        ({"generation": {"top_p": 0.9}}, "top_p has no effect"),
        ({"generation": {"temperature": 0}}, "greater than 0"),
        ({"generation": {"temperature": 1, "beams": 2}}, "remove beams or temperature"),
        ({"generation": {"stop": [""]}}, "at least 1 character"),
        ({"generation": {"constrain_to": "labels", "stop": "\n"}}, "remove stop"),
        ({"generation": {"constrain_to": "labels", "min_new_tokens": 2}}, "remove min_new_tokens"),
        ({"labels": "likelihood", "generation": {"temperature": 1}}, "remove the options of generation"),
        ({"labels": {"predict_by": "generation"}}, "set generation.constrain_to: labels"),
        (
            {"labels": {"predict_by": "generation", "per_token": True}, "generation": {"constrain_to": "labels"}},
            "per_token compares likelihoods",
        ),
        ({"labels": {"names": ["only one"]}}, "at least 2 items"),
    ],
)
def test_options_that_contradict_each_other_are_refused(written: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        EvaluationOptions.read(written, where="evaluation")
