"""A first recipe for data, and what a user may name as data."""

from pathlib import Path

import pytest
import yaml

from tests.conftest import save_rows
from tuneoff.config.data import FileText, HubText
from tuneoff.data.overview import build_overview
from tuneoff.errors import DataError, RecipeError
from tuneoff.recipe.data_argument import name_recipe, read_data_argument
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.starter import format_starter

MODEL = {"name": "some/model"}


@pytest.fixture
def rows(tmp_path):
    save_rows(tmp_path / "rows.jsonl")
    return tmp_path / "rows.jsonl"


def start(path, **keys):
    return format_starter(build_overview(FileText(source="files", files=str(path), **keys)), MODEL, "mine")


def test_the_recipe_is_valid_and_names_the_data(rows):
    recipe = Recipe.read(yaml.safe_load(start(rows)))
    assert (recipe.name, recipe.model.name, recipe.data.files.train) == ("mine", "some/model", str(rows))


def test_the_comments_say_what_was_found(rows):
    text = start(rows)
    assert "rows.jsonl: JSON, utf-8, 12 rows" in text
    assert "# the columns are source, target" in text
    assert "# task: prose" in text


def test_only_columns_with_other_names_than_the_usual_ones_are_written(rows, tmp_path):
    assert "fields" not in yaml.safe_load(start(rows))["data"]
    (tmp_path / "a.csv").write_text("source,summary\n" + "".join(f"s{i},t{i}\n" for i in range(20)))
    data = yaml.safe_load(start(tmp_path / "a.csv", fields={"target": "summary"}))["data"]
    assert data["fields"] == {"target": "summary"}


def test_what_the_user_chose_is_kept(rows):
    data = Recipe.read(yaml.safe_load(start(rows, max_tokens=77, max_target_tokens=7, seed=3, encoding="utf-8"))).data
    assert (data.max_tokens, data.max_target_tokens, data.seed, data.encoding) == (77, 7, 3, "utf-8")


@pytest.mark.parametrize("prompt", ["{source}\n\nTL;DR: ", "a\u2028{source}\u0085b\n", "'\"\n {source}: # 😀"])
def test_a_prompt_of_several_lines_is_written_on_one(rows, prompt):
    text = start(rows, prompt=prompt)
    assert Recipe.read(yaml.safe_load(text)).data.prompt == prompt
    assert sum("prompt:" in line for line in text.splitlines()) == 1


def test_a_large_data_set_is_sampled(tmp_path):
    lines = ["source,target", *(f"text {i},answer {i}" for i in range(5000))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    sizes = Recipe.read(yaml.safe_load(start(tmp_path / "a.csv"))).data.sizes
    assert (sizes.train, sizes.validation, sizes.test) == (1000, 100, 200)


def test_hostile_names_cannot_leave_their_comment(tmp_path):
    header = 'source,target,"x\ny: !!python/object:os.system"\n'
    (tmp_path / "a.csv").write_text(header + "".join(f"s{i},t{i},z{i // 3}\n" for i in range(60)))
    text = start(tmp_path / "a.csv")
    assert set(yaml.safe_load(text)) == {"name", "model", "data", "methods", "training"}
    assert yaml.safe_load(text)["data"].keys() == {"source", "files"}


@pytest.mark.parametrize("name", ["yes", "1e3", "a: b", "# x", "é", "'"])
def test_names_of_columns_are_quoted_where_yaml_needs_it(tmp_path, name):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"{name}": "s{i}", "t": "t{i}"}}\n' for i in range(20)))
    fields = Recipe.read(
        yaml.safe_load(start(tmp_path / "a.jsonl", fields={"source": name, "target": "t"}))
    ).data.fields
    assert fields.source == name


def test_rows_that_are_no_examples_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="no columns that say what the model reads"):
        start(tmp_path / "a.csv")


def test_data_are_files_a_data_set_of_the_hub_or_a_recipe(rows):
    assert isinstance(read_data_argument(str(rows)).data, FileText)
    assert isinstance(read_data_argument("abisee/cnn_dailymail").data, HubText)
    assert read_data_argument("demo").model.name == "smollm2-135m-instruct"
    assert read_data_argument(f"{rows.parent}/*.jsonl").data.files.train.endswith("*.jsonl")


def test_changes_apply_to_data_and_model_only(rows):
    argument = read_data_argument(str(rows), ["data.seed=7"], "some/model")
    assert (argument.data.seed, argument.model.name) == (7, "some/model")
    with pytest.raises(RecipeError, match="'methods' has no effect here"):
        read_data_argument(str(rows), ["methods=[base]"])


def test_a_missing_file_is_refused_and_not_looked_up():
    with pytest.raises(DataError, match=r"gone\.csv does not exist"):
        read_data_argument("gone.csv")


@pytest.mark.parametrize(
    ("data", "name"), [("a b.csv.gz", "a-b"), ("x/y.jsonl", "y"), ("owner/set", "set"), ("*.*", "data")]
)
def test_a_recipe_is_named_for_its_data(data, name):
    assert name_recipe(data) == name


def test_a_folder_is_named_for_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_recipe(".") == name_recipe(str(tmp_path)) == Path(tmp_path).name
