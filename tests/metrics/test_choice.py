"""Which metrics a comparison has: those of its task, those that the recipe names, and the user's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.samples import make_recipe
from tuneoff.config.data import Task
from tuneoff.errors import MetricError, RecipeError
from tuneoff.metrics import LOSS, METRICS, ROUGE_L
from tuneoff.metrics.choice import BY_TASK, ROUGE, find_changed_metrics
from tuneoff.metrics.scripts import choose_tokenizer
from tuneoff.recipe.recipe import Recipe

ENGLISH = ["The river rose in the night."]


def complete(task: Task, references: Sequence[str] = ENGLISH, **changes: Any) -> Recipe:
    return make_recipe(**changes).choose_metrics(task, references)


def names(recipe: Recipe) -> list[str]:
    return list(recipe.metric_table)


@pytest.mark.parametrize(
    ("task", "primary"),
    [("prose", "rougeL"), ("chat", "rougeL"), ("labels", "accuracy"), ("answers", "exact"), ("translation", "chrf"),
     ("code", "edit"), ("numbers", "number"), ("json", "field_f1"), ("text", "loss")],
)  # fmt: skip
def test_the_task_decides_the_primary_metric(task: Task, primary: str) -> None:
    assert complete(task).primary_metric.name == primary
    assert "loss" in complete(task).metric_table


def test_every_task_has_metrics() -> None:
    assert BY_TASK.keys() == set(get_args(Task))


def test_language_modeling_needs_no_text() -> None:
    recipe = complete("text", [""])
    assert not recipe.needs_generation
    assert names(recipe) == ["loss"]


def test_code_that_is_python_is_also_parsed() -> None:
    assert "parses" in complete("code", ["def f():\n    return 1", "x = 2"]).metric_table
    assert "parses" not in complete("code", ["fn main() { println!(); }"]).metric_table


def test_a_recipe_before_there_were_metrics_has_those_of_rouge() -> None:
    recipe = make_recipe(verdict={"metric": "rougeL"})
    assert names(recipe) == [*ROUGE, "loss"]
    assert recipe.primary_metric is ROUGE_L


def test_the_stored_recipe_names_everything_and_is_read_again() -> None:
    recipe = complete("labels")
    stored = Recipe.read(recipe.to_dict())
    assert (stored.metric_table, stored.primary_metric) == (recipe.metric_table, recipe.primary_metric)
    assert stored.choose_metrics("prose", ["Река"]).metric_table == recipe.metric_table


def test_english_text_keeps_the_metric_itself() -> None:
    assert complete("prose").metric_table["rougeL"] is ROUGE_L


@pytest.mark.parametrize(
    ("text", "tokenizer"),
    [("The café rose naïvely, said the mayor of the old town.", "english"), ("Der Fluss stieg über Nacht.", "english"),
     ("Река поднялась ночью", "words"), ("강이 밤에 불어났다", "words"), ("النهر ارتفع", "words"), ("नदी", "words"),
     ("Sông dâng lên trong đêm qua", "words"), ("河水上涨了", "characters"), ("川の水が増えた", "characters"),
     ("แม่น้ำสูงขึ้น", "characters"), ("", "english"), ("12 34", "english")],
)  # fmt: skip
def test_the_script_decides_the_tokenizer(text: str, tokenizer: str) -> None:
    assert choose_tokenizer([text]) == tokenizer
    if text:
        assert complete("prose", [text]).metrics["rougeL"].tokenizer == tokenizer  # type: ignore[union-attr, index]


def test_the_first_of_a_list_is_the_primary_one() -> None:
    assert complete("prose", metrics=["loss", "f1", "exact"]).primary_metric.name == "f1"
    assert complete("prose", metrics=["auto", "f1"]).primary_metric.name == "rougeL"
    assert complete("prose", metrics="loss").primary_metric is LOSS


def test_a_metric_that_the_verdict_names_is_there() -> None:
    recipe = complete("prose", metrics=["exact"], verdict={"metric": "chrf"})
    assert names(recipe) == ["exact", "chrf", "loss"]
    assert recipe.primary_metric.name == "chrf"


def test_pass_at_k_is_named_by_its_metric() -> None:
    sampled = {"generation": {"temperature": 1, "samples": 5}}
    assert complete("code", metrics=["parses@5"], evaluation=sampled).primary_metric.name == "parses@5"


def test_every_margin_can_be_set() -> None:
    recipe = make_recipe(verdict={"margins": {"exact": 2.5}, "margin_rouge": 0.7})
    margins = [METRICS[name].get_margin(recipe.verdict) for name in ("exact", "rougeL", "loss", "accuracy")]
    assert margins == [2.5, 0.7, 0.01, 1.0]


REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "an unknown name": ({"metrics": ["exat"]}, "Did you mean 'exact'"),
    "an unknown primary": ({"verdict": {"metric": "rogueL"}}, "verdict.metric is 'rogueL'"),
    "an unknown margin": ({"verdict": {"margins": {"exat": 1}}}, "verdict.margins.exat"),
    "a tokenizer for exact match": ({"metrics": {"exact": {"tokenizer": "words"}}}, "no effect"),
    "a margin of a shipped metric": ({"metrics": {"exact": {"margin": 1}}}, "verdict.margins"),
    "a shipped name for a function": ({"metrics": {"exact": "m.py:f"}}, "shipped metric"),
    "a function without a name": ({"metrics": {"mine": "m.py"}}, "mine"),
    "an unknown option": ({"metrics": {"mine": {"function": "m.py:f", "margn": 1}}}, "margn"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make_recipe(**changes)


OWN = "def score(prediction, references, row):\n    return len(prediction)\n"


def test_the_file_of_an_own_metric_is_hashed_and_a_change_is_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    before = complete("prose", metrics=["auto", {"mine": f"{file}:score"}])
    file.write_text(OWN.replace("len", "1 + len"))
    after = complete("prose", metrics=before.to_dict()["metrics"])
    assert find_changed_metrics(before.metrics, after.metrics) == {"mine"}
    assert find_changed_metrics("auto", after.metrics) == set()


def test_another_tokenizer_is_a_change() -> None:
    before, after = complete("prose"), complete("prose", metrics={"rougeL": {"tokenizer": "words"}})
    assert find_changed_metrics(before.metrics, after.metrics) == {"rougeL"}


def test_an_own_metric_has_its_options() -> None:
    options = {"function": "m.py:score", "direction": "lower", "title": "Mine", "margin": 0.5, "decimals": 1}
    recipe = make_recipe(metrics={"mine": options})
    metric = recipe.primary_metric
    assert (metric.title, metric.higher_is_better, metric.decimals) == ("Mine", False, 1)
    assert metric.get_margin(recipe.verdict) == 0.5
    assert recipe.primary_metric is metric


@pytest.mark.parametrize(
    ("content", "function", "message"),
    [(None, "score", "no file"), (OWN, "scor", "no function 'scor'. It has score"), ("1 / 0", "score", "ZeroDivision"),
     ("score = 3", "score", "no function"), ("def score(:", "score", "SyntaxError")],
)  # fmt: skip
def test_a_function_that_cannot_be_loaded_is_refused_before_anything_runs(
    tmp_path: Path, content: str | None, function: str, message: str
) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(MetricError, match=message):
        complete("prose", metrics={"mine": f"{file}:{function}"})


@pytest.mark.parametrize(("written", "meant"), [("exact_match", "exact"), ("rouge-l", "rougeL"), ("Token F1", "f1")])
def test_a_metric_that_is_called_by_its_title_is_suggested(written: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=rf"{written!r} is not a metric\. Did you mean {meant!r}\?"):
        _ = make_recipe(metrics={written: None}).metric_table
