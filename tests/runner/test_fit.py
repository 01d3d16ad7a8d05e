"""A method that does not fit the model: the comparison goes on without it, and everything says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import pytest
import torch
import yaml
from torch import nn

import tuneoff
from benchmarks.families.tiny import build_network
from benchmarks.families.tokenizer import build_tokenizer
from tuneoff.config.search_space import Range, Space
from tuneoff.console.plan import print_plan
from tuneoff.errors import RecipeError, RunError
from tuneoff.methods import read_method
from tuneoff.methods.subset import Subset
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.parameters import count_parameters
from tuneoff.recipe.recipe import Recipe
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.tables import format_markdown_table
from tuneoff.runner.fit import MisfitError, apply_to_shape, list_largest

METHODS = ["base", "bitfit", "lora"]
REASON = "BitFit trains biases, and this model has none"


@final
class _Beside(Subset):
    """Trains a vector that the model never uses."""

    name: ClassVar[str] = "beside"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {}
    learning_rate: Literal[1] = 1

    def select_parameters(self, base: LanguageModel) -> list[nn.Parameter]:
        base.base.beside = nn.Parameter(torch.zeros(3, device="meta"))
        return [base.base.beside]


@pytest.mark.usefixtures("quick_inference")
def test_the_other_methods_are_compared_and_the_report_has_the_reason(recipe: dict[str, Any], tmp_path: Path) -> None:
    comparison = tuneoff.compare(recipe | {"methods": METHODS}, run=tmp_path / "run")
    assert {row.label for row in comparison.rows} == {"base", "lora"}
    assert comparison.partial is None
    assert list(yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())["methods"]) == METHODS
    loaded = tuneoff.load_comparison(tmp_path / "run")
    assert loaded.run.misfits["bitfit"].startswith(REASON)
    page = (tmp_path / "run/report/index.html").read_text()
    assert f"Does not fit the model, so it was not trained: {REASON}" in page
    assert f"bitfit does not fit {recipe['model']['name']}: {REASON}" in format_markdown_table(loaded).replace("\\", "")
    assert "bitfit does not fit the model and is not compared." in describe_verdict(loaded).details


@pytest.mark.usefixtures("quick_comparisons")
def test_a_method_that_is_removed_from_the_recipe_is_no_longer_mentioned(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    tuneoff.compare(recipe | {"methods": METHODS}, run=tmp_path / "run")
    assert not tuneoff.compare(recipe | {"methods": ["base", "lora"]}, run=tmp_path / "run").run.misfits


def test_the_plan_has_the_reason_and_no_trials_of_the_method(recipe: dict[str, Any]) -> None:
    planned = tuneoff.plan(recipe | {"methods": METHODS})
    assert list(planned.misfits) == ["bitfit"]
    assert {stage.label for stage in planned.stages} == set(planned.parameters) == {"base", "lora"}


def test_a_search_leaves_out_the_space_of_a_method_that_does_not_fit(recipe: dict[str, Any]) -> None:
    spaces = {"bitfit": {"learning_rate": [0.1]}}
    planned = tuneoff.plan(recipe | {"methods": METHODS, "search": {"configurations": 4, "spaces": spaces}})
    assert list(planned.recipe.methods) == ["base", "lora"]


def test_a_strict_recipe_is_refused(recipe: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=rf"methods.bitfit does not fit .*: {REASON}"):
        tuneoff.plan(recipe | {"methods": METHODS, "strict": True})


def test_a_recipe_in_which_only_the_base_model_is_left_is_refused(recipe: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="No method is left"):
        tuneoff.plan(recipe | {"methods": ["base", "bitfit"]})


def test_hyperparameters_that_do_not_fit_are_a_mistake_where_the_default_ones_fit(recipe: dict[str, Any]) -> None:
    methods = {"base": {}, "lora": {}, "last-blocks": {"blocks": 9}}
    with pytest.raises(RecipeError, match=r"blocks is 9, and the model has only 2\. With its default"):
        tuneoff.plan(recipe | {"methods": methods})


def test_a_method_whose_parameters_the_model_does_not_use_does_not_fit(
    outline_tiny: Callable[[str], LanguageModel], load_tiny: Callable[[str], LanguageModel]
) -> None:
    with pytest.raises(MisfitError, match="takes no part"):
        apply_to_shape(_Beside.read({}), lambda: outline_tiny("llama"), lambda: load_tiny("llama"))


@pytest.mark.parametrize("peft_type", ["ADAMSS", "LOHA"])
def test_a_type_of_peft_that_reads_the_weights_fits(
    peft_type: str, outline_tiny: Callable[[str], LanguageModel], load_tiny: Callable[[str], LanguageModel]
) -> None:
    method = read_method("peft", {"peft_type": peft_type})
    tuned = apply_to_shape(method, lambda: outline_tiny("llama"), lambda: load_tiny("llama"))
    assert count_parameters(tuned) == count_parameters(method.apply(load_tiny("llama")))


def test_weights_far_beyond_the_memory_are_refused_from_their_count(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.runner.fit.get_memory_bytes", lambda _: 10**6)
    wide = recipe | {"methods": {"base": {}, "lora": {"rank": 100_000}}}
    with pytest.raises(RecipeError, match=r"methods.lora does not fit .* take \d+ GB, more than 8 times this"):
        tuneoff.plan(wide)


def test_the_state_of_the_optimizer_counts_in_the_memory(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny model has 35 thousand weights, all trained."""
    monkeypatch.setattr("tuneoff.runner.fit.get_memory_bytes", lambda _: 20_000)
    assert "full" in tuneoff.plan(recipe | {"methods": {"base": {}, "full": {"optimizer": "adafactor"}}}).parameters
    with pytest.raises(RecipeError, match="No method is left"):
        tuneoff.plan(recipe | {"methods": ["base", "full"]})


def test_an_optimizer_that_is_not_installed_is_refused_before_anything_runs(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.optimizers.optimizer.find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r"pip install 'tuneoff\[optimizers\]'\. With its default"):
        tuneoff.plan(recipe | {"methods": {"base": {}, "full": {"optimizer": "lion"}}})


@pytest.mark.parametrize(
    ("label", "space", "value"),
    [
        ("last-blocks", {"blocks": [1, 9]}, "blocks: 9"),
        ("lora", {"modules": ["attention", ["no_proj"]]}, "modules: .*no_proj"),
    ],
)
def test_a_value_of_a_search_space_that_does_not_fit_is_a_mistake_before_anything_runs(
    label: str, space: dict[str, Any], value: str, recipe: dict[str, Any], tmp_path: Path
) -> None:
    searched = recipe | {"methods": ["base", "lora", label], "search": {"configurations": 2, "spaces": {label: space}}}
    with pytest.raises(RecipeError, match=rf"search.spaces.{label} does not fit .*: its search would try {value}"):
        tuneoff.compare(searched, run=tmp_path / "run")
    assert not (tmp_path / "run/trials").exists()


def test_the_choices_of_a_default_search_space_that_do_not_fit_are_left_out_with_a_word(
    recipe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model has two blocks, and last-blocks has choices up to four."""
    searched = recipe | {"methods": ["base", "lora", "last-blocks"], "search": {"configurations": 2}}
    plan = tuneoff.plan(searched)
    assert not plan.misfits
    assert plan.cuts == {"last-blocks": "blocks: 4 does not fit: blocks is 4, and the model has only 2"}
    assert plan.recipe.get_space("last-blocks")["blocks"] == (1, 2)
    assert plan.recipe.get_space("lora") == Recipe.read(searched).get_space("lora")
    print_plan(plan, "")
    assert "The search of last-blocks leaves out what does not fit" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.usefixtures("quick_comparisons")
def test_a_run_with_such_a_search_goes_on_with_the_same_recipe_and_with_the_stored_one(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    searched = recipe | {"methods": ["base", "last-blocks"], "search": {"configurations": 2}}
    first = tuneoff.compare(searched, run=tmp_path / "run")
    stored = yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())
    assert stored["search"]["spaces"]["last-blocks"]["blocks"] == [1, 2]
    assert {r.trial.hyperparameters.get("blocks") for r in first.run.records} <= {None, 1, 2}
    for again in (searched, stored):
        assert tuneoff.compare(again, run=tmp_path / "run").run.records == first.run.records
    with pytest.raises(RunError, match=r"differs in search\.spaces\.last-blocks"):
        tuneoff.compare(
            searched | {"search": {"configurations": 2, "spaces": {"last-blocks": {"blocks": [1]}}}},
            run=tmp_path / "run",
        )


def test_a_default_search_space_without_any_choice_that_fits_is_a_row_with_its_reason(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.methods.last_blocks.LastBlocks.space", {"blocks": (8, 9)})
    plan = tuneoff.plan(recipe | {"methods": ["base", "lora", "last-blocks"], "search": {"configurations": 2}})
    reason = plan.misfits["last-blocks"]
    assert "its search would try blocks: 9, which does not fit: blocks is 9" in reason
    assert reason.endswith("Write search.spaces.last-blocks without it")


def test_a_rank_of_a_search_space_is_held_against_the_memory(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.runner.fit.get_memory_bytes", lambda _: 10**6)
    spaces = {"lora": {"rank": {"low": 2, "high": 100_000}}}
    with pytest.raises(RecipeError, match=r"search.spaces.lora .* try rank: 100000.* take \d+ GB, more than 8 times"):
        tuneoff.plan(recipe | {"methods": {"base": {}, "lora": {}}, "search": {"configurations": 2, "spaces": spaces}})


def test_the_largest_numbers_are_tried_with_each_choice_and_what_the_optimizer_reads_is_not() -> None:
    space: Space = {
        "learning_rate": Range(low=1e-5, high=1e-3),
        "rank": (8, 32),
        "alpha": (16.0, 4.0),
        "modules": ("a", "b"),
    }
    assert list_largest(space, {"learning_rate"}) == [
        {"rank": 32, "alpha": 16.0, "modules": "a"},
        {"rank": 32, "alpha": 16.0, "modules": "b"},
    ]
    assert list_largest({"learning_rate": (1.0,)}, {"learning_rate"}) == []


def test_a_prefix_in_the_cache_does_not_fit_gradient_checkpointing_before_anything_runs(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    folder = tmp_path / "bloom"
    build_tokenizer(folder)
    build_network("bloom").save_pretrained(folder)
    recipe = recipe | {"model": {**recipe["model"], "name": str(folder)}, "methods": ["base", "lora", "prefix"]}
    always = tuneoff.plan(recipe, "training.gradient_checkpointing=always")
    assert "stands in its cache, which gradient checkpointing drops" in always.misfits["prefix"]
    assert not tuneoff.plan(recipe, "training.gradient_checkpointing=auto").misfits


def test_experts_that_are_held_as_one_parameter_cut_the_dropout_of_a_search_and_not_lora(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    folder = tmp_path / "mixtral"
    build_tokenizer(folder)
    build_network("mixtral").save_pretrained(folder)
    model = {**recipe["model"], "name": str(folder)}
    plan = tuneoff.plan(recipe | {"model": model, "methods": ["base", "lora"], "search": {"configurations": 2}})
    assert not plan.misfits
    assert plan.recipe.get_space("lora")["dropout"] == (0.0,)
    assert "dropout: 0.05 does not fit: " in plan.cuts["lora"]
