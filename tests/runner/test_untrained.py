"""The base model asked with a better prompt, or shown examples first."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.conftest import SENTENCES
from tuneoff.errors import DataError, RecipeError, RunError
from tuneoff.methods import METHODS, Method
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.prepare import Preparation, prepare

pytestmark = pytest.mark.model
CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ '<eos>' if m.role == 'assistant' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture
def make_recipe(tmp_path: Path, model_folder: Callable[[str], Path]) -> Callable[..., dict[str, Any]]:
    rows = [{"source": f"{s} {i}", "target": s.split()[1] + f" {i}"} for i, s in enumerate(SENTENCES * 3)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.copytree(model_folder("llama"), tmp_path / "model")

    def make(methods: Any, **data: Any) -> dict[str, Any]:
        return {
            "name": "tiny",
            "model": {"name": str(tmp_path / "model"), "precision": "float32", "device": "cpu"},
            "data": {
                "source": "jsonl", "files": str(tmp_path / "text.jsonl"), "sizes": {"validation": 2, "test": 3},
                "max_tokens": 96, "max_target_tokens": 12, "prompt": "Text: {source}\nWord:", **data,
            },
            "methods": methods,
            "seeds": [1, 2],
            "evaluation": {"generation": {"max_new_tokens": 4}, "unrelated_passages": 2},
        }  # fmt: skip

    return make


def present(preparation: Preparation, label: str, seed: int = 1) -> Any:
    method: Method = preparation.recipe.methods[label]
    return method.present(preparation.text, preparation.tokenizer, seed)


def decode_prompt(preparation: Preparation, split: Any, row: int = 0) -> str:
    example = split[row]
    return str(preparation.tokenizer.decode(example["tokens"][: example["prompt_tokens"]]))


def decode_scored(preparation: Preparation, split: Any, row: int = 0) -> str:
    tokens = [token for token, scored in zip(split[row]["tokens"], split[row]["scored"], strict=True) if scored]
    return str(preparation.tokenizer.decode(tokens))


def test_another_prompt_replaces_that_of_the_recipe(make_recipe: Callable[..., dict[str, Any]]) -> None:
    preparation = prepare(Recipe.read(make_recipe({"base": {}, "base-prompt": {"prompt": "{{ source }} Answer:"}})))
    text = present(preparation, "base-prompt")
    source = text.test[0]["source"]
    assert decode_prompt(preparation, preparation.text.test) == f"Text: {source}\nWord:"
    assert decode_prompt(preparation, text.test) == f"{source} Answer:"
    assert len(text.train) == len(preparation.text.train), "else labels could be missing"
    assert decode_scored(preparation, text.test) == decode_scored(preparation, preparation.text.test)


def test_examples_stand_before_every_prompt_and_are_not_scored(make_recipe: Callable[..., dict[str, Any]]) -> None:
    preparation = prepare(Recipe.read(make_recipe({"base": {}, "base-few-shot": {"shots": 2}})))
    text = present(preparation, "base-few-shot")
    prompt = decode_prompt(preparation, text.test)
    assert prompt.count("Text: ") == prompt.count("\nWord:") == 3
    assert prompt.endswith(decode_prompt(preparation, preparation.text.test))
    train = {(e["source"], e["target"]) for e in preparation.text.train}
    shown = [part.split("\nWord: ") for part in prompt.split("\n\n")[:-1]]
    assert len(shown) == 2
    assert all((source.removeprefix("Text: "), target) in train for source, target in shown)
    assert decode_scored(preparation, text.test) == decode_scored(preparation, preparation.text.test)
    assert text.stops == ("\n\n",), "else the answer goes on with an example of the model's own"


def test_the_seed_draws_the_examples(make_recipe: Callable[..., dict[str, Any]]) -> None:
    preparation = prepare(Recipe.read(make_recipe({"base": {}, "base-few-shot": {"shots": 3}})))
    first, again, other = (
        decode_prompt(preparation, present(preparation, "base-few-shot", seed).test) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_no_example_is_shown_whose_answer_is_then_asked_for(make_recipe: Callable[..., dict[str, Any]]) -> None:
    methods = {"base": {}, "base-few-shot": {"shots": 3}, "base-nearest-shots": {"shots": 3}}
    preparation = prepare(Recipe.read(make_recipe(methods)))
    for label in ("base-few-shot", "base-nearest-shots"):
        train = present(preparation, label).train
        for row in range(len(train)):
            assert decode_prompt(preparation, train, row).count(f"Text: {train[row]['source']}\n") == 1, label


def test_the_most_similar_example_stands_last(make_recipe: Callable[..., dict[str, Any]]) -> None:
    preparation = prepare(Recipe.read(make_recipe({"base": {}, "base-nearest-shots": {"shots": 2}})))
    test = present(preparation, "base-nearest-shots").test
    *_, nearest, asked = decode_prompt(preparation, test).split("\n\n")
    assert nearest.split(" ")[1:5] == asked.split(" ")[1:5]  # the same sentence with another number


def test_in_a_chat_the_examples_are_earlier_turns(make_recipe: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    config = tmp_path / "model" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": CHAT}))
    recipe = make_recipe({"base": {}, "base-few-shot": {"shots": 2}}, prompt="chat", chat_instruction="Say: {source}")
    preparation = prepare(Recipe.read(recipe))
    text = present(preparation, "base-few-shot")
    prompt = decode_prompt(preparation, text.test)
    assert prompt.count("<user>Say: ") == 3
    assert prompt.count("<assistant>") == 3
    assert prompt.endswith(decode_prompt(preparation, preparation.text.test))
    assert decode_scored(preparation, text.test) == decode_scored(preparation, preparation.text.test)


def test_a_template_in_place_of_a_chat_is_refused_since_its_answers_have_other_tokens(
    make_recipe: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    longer = CHAT.replace("'<eos>'", "' .<eos>'")  # what ends a turn is a part of the answer
    config = tmp_path / "model" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": longer}))
    recipe = make_recipe(
        {"base": {}, "base-prompt": {"prompt": "{source} In short: "}}, prompt="chat", chat_instruction="Say: {source}"
    )
    with pytest.raises(RecipeError, match=r"answers of the test split have another number of tokens .* a chat where"):
        prepare(Recipe.read(recipe))


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"base-few-shot": {"shots": 40}}, "train has 13 of which nothing is cut"),
        ({"base-few-shot": {"shots": 12}}, "its longest prompt needs .* positions"),
        ({"base-prompt": {"prompt": "{{ sauce }}"}}, "Did you mean 'source'"),
        ({"base-prompt": {"prompt": "{{ source }} {{ target }}"}}, "target"),
        ({"base-prompt": {"prompt": "chat"}}, "no chat template"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    make_recipe: Callable[..., dict[str, Any]], methods: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        prepare(Recipe.read(make_recipe({"base": {}, "lora": {}, **methods})))


def test_a_method_without_hyperparameters_that_does_not_fit_the_data_is_left_out_with_its_reason(
    make_recipe: Callable[..., dict[str, Any]],
) -> None:
    preparation = prepare(Recipe.read(make_recipe({"base": {}, "lora": {}, "base-few-shot": {}}, max_tokens=40)))
    assert list(preparation.recipe.methods) == ["base", "lora"]
    assert "of which nothing is cut" in preparation.fit.misfits["base-few-shot"]


def test_they_are_rows_beside_the_base_model(
    make_recipe: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.evaluation.latency.REPEATS", 1)
    methods = {
        "base": {},
        "base-prompt": {},
        "base-few-shot": {"shots": 2},
        "base-nearest-shots": {"shots": 2},
        "lora": {},
    }
    comparison = tuneoff.compare(make_recipe(methods), run=tmp_path / "run")
    rows = {row.label: row for row in comparison.rows}
    assert {label: len(row.finished) for label, row in rows.items()} == {
        "base": 1, "base-prompt": 1, "base-few-shot": 2, "base-nearest-shots": 1, "lora": 2,
    }  # fmt: skip
    assert comparison.base is rows["base"]
    assert rows["base-few-shot"].costs["context_tokens"] > 10
    assert rows["base-few-shot"].costs.get("trainable", 0) == 0
    assert rows["base-few-shot"].scores["loss"].mean != pytest.approx(rows["base"].scores["loss"].mean)
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    for record in comparison.run.records:
        asked = tuneoff.load(tmp_path / "run", record.trial.label, record.trial.seed)
        texts = asked.generate([prediction.source for prediction in record.predictions])
        assert texts == [prediction.prediction for prediction in record.predictions], record.trial.label
    with pytest.raises(RunError, match="nothing to export"):
        tuneoff.export(tmp_path / "run", to=tmp_path / "out", label="base-few-shot")


def test_examples_of_other_data_than_that_of_the_run_are_not_shown(
    make_recipe: Callable[..., dict[str, Any]], tmp_path: Path, quick_comparisons: None
) -> None:
    recipe = make_recipe({"base": {}, "base-few-shot": {"shots": 2}})
    tuneoff.compare(recipe, run=tmp_path / "run")
    rows = (tmp_path / "text.jsonl").read_text()
    (tmp_path / "text.jsonl").write_text(rows.replace("river", "lake"))
    with pytest.raises(DataError, match="the data is another one now"):
        tuneoff.load(tmp_path / "run", "base-few-shot")


def test_only_the_base_model_with_the_recipes_prompt_is_the_reference() -> None:
    assert [name for name, method in METHODS.items() if method.is_base] == ["base"]
