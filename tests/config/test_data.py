import pytest

from tuneoff.config.base import Options
from tuneoff.config.data import DataOptions, FileText, HubText
from tuneoff.errors import RecipeError


class Recipe(Options):
    data: DataOptions


def test_one_path_is_the_train_file():
    assert FileText(source="csv", files="a.csv").files.train == "a.csv"


def test_the_source_decides_which_keys_are_known():
    with pytest.raises(RecipeError, match=r"Unknown key 'data\.fields'"):
        Recipe.read({"data": {"source": "aclsum", "fields": {}}})


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(RecipeError, match=r"data.source is 'excel'.* Available: hub, files, csv, tsv"):
        Recipe.read({"data": {"source": "excel"}})


def test_options_survive_being_stored():
    recipe = Recipe.read({"data": {"source": "jsonl", "files": {"train": "a", "test": "b"}, "sizes": {"train": 3}}})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_template_that_shows_no_column_is_refused():
    with pytest.raises(ValueError, match=r"shows no column of the data: write \{source\} where"):
        HubText(source="hub", path="x", prompt="Summarize.")


def test_chat_is_a_prompt_but_not_an_instruction():
    with pytest.raises(ValueError, match="chat_instruction"):
        HubText(source="hub", path="x", prompt="chat", chat_instruction="chat")


def test_the_target_may_not_take_all_tokens():
    with pytest.raises(ValueError, match=r"max_target_tokens \(8\) leaves nothing of max_tokens \(8\)"):
        HubText(source="hub", path="x", max_tokens=8, max_target_tokens=8)


def test_fractions_must_leave_something_for_train():
    with pytest.raises(ValueError, match="leave nothing for train"):
        HubText(source="hub", path="x", fractions={"validation": 0.5, "test": 0.5})
