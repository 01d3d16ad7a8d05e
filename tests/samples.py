"""Small recipes, a setting and data counts for tests that plan or estimate without a model."""

from collections.abc import Mapping
from typing import Any

from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.data import DataSummary, SplitSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Setting


def make_recipe(methods: Any = ("base", "lora"), **changes: Any) -> Recipe:
    """Return a recipe without a search, with the seeds 0 and 1."""
    return _read_recipe(methods, {"seeds": [0, 1], **changes})


def make_search_recipe(
    search: Mapping[str, Any] | None = None, methods: Any = ("base", "lora", "full"), **changes: Any
) -> Recipe:
    """Return a recipe with a search, with the default options unless given."""
    return _read_recipe(methods, {"search": search or {}, **changes})


def _read_recipe(methods: Any, changes: Mapping[str, Any]) -> Recipe:
    written = {"name": "r", "model": {"name": "m"}, "data": {"source": "aclsum"}}
    return Recipe.read({**written, "methods": methods if isinstance(methods, dict) else list(methods), **changes})


def make_setting() -> Setting:
    """Return a setting that no machine has; planning reads nothing of it."""
    return Setting(
        model=ModelOptions(name="m"),
        model_fingerprint="a",
        data=make_recipe().data,
        data_fingerprint="b",
        training=TrainingOptions(),
        evaluation=EvaluationOptions(),
        precision="float32",
        device="a processor",
        versions={"torch": "2.13.0"},
    )


def make_data_summary(examples: int) -> DataSummary:
    """Return the counts of a train split: 100 tokens an example, 25 of them in the target."""
    split = SplitSummary(
        examples=examples, left_out=0, left_out_examples=[], duplicates_removed=0, source_cut_share=0,
        target_cut_share=0, tokens=100 * examples, target_tokens=25 * examples, longest_tokens=100, median_tokens=100,
    )  # fmt: skip
    return DataSummary(fingerprint="f", splits={"train": split}, duplicates={})
