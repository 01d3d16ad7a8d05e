"""The labels of a task: found in train or in the recipe, predicted by likelihood or written under a constraint."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from datasets import Dataset

from tests.models.tuned import WAYS, Load, load_tuned
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.data.example import Example
from tuneoff.errors import DataError
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.labels import LabelSet, find_labels, predict_labels
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.context import TrialContext

LABELS = ("C", "C++", "C#", "the river", "no")
SOURCES = ("A storm closed the harbour.", "The team lost.", "Farmers asked for rain, and it came.", "Ships waited.")
LIKELIHOOD = EvaluationOptions.read({"labels": "likelihood"})


def encode_with(tokenizer: Any) -> Callable[[Sequence[Example]], dict[str, list[Any]]]:
    """Return a function that tokenizes examples as data without a template."""

    def encode(examples: Sequence[Example]) -> dict[str, list[Any]]:
        prompts = [tokenizer(example.source)["input_ids"] for example in examples]
        answers = [[*tokenizer(example.target)["input_ids"], tokenizer.eos_token_id] for example in examples]
        return {
            "tokens": [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)],
            "prompt_tokens": [len(prompt) for prompt in prompts],
            "target_cut": [False for _ in examples],
        }

    return encode


def make_split(model: LanguageModel, targets: Sequence[str]) -> Dataset:
    examples = [Example(source=SOURCES[i % 4], target=target) for i, target in enumerate(targets)]
    texts = {
        "source": [example.source for example in examples],
        "target": list(targets),
        "row": [json.dumps({"number": i}) for i in range(len(examples))],
    }
    return Dataset.from_dict({**texts, **encode_with(model.tokenizer)(examples)})


def find(model: LanguageModel, targets: Sequence[str], options: EvaluationOptions = LIKELIHOOD) -> LabelSet | None:
    return find_labels(options, make_split(model, targets), encode_with(model.tokenizer))


def score_by_brute_force(model: LanguageModel, source: str, label: str, *, per_token: bool) -> float:
    """Return the log-probability of a label and its end, from plain transformers and one complete text."""
    prompt = model.tokenizer(source)["input_ids"]
    answer = [*model.tokenizer(label)["input_ids"], model.tokenizer.eos_token_id]
    with torch.no_grad():
        tokens_1T = torch.tensor([prompt + answer])
        logits_TV = model.network(input_ids=tokens_1T, **model.make_adapter_inputs(1)).logits[0]
    scores = logits_TV[-len(answer) - 1 : -1].double().log_softmax(dim=-1)[range(len(answer)), answer]
    return float(scores.mean() if per_token else scores.sum())


@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize("method", WAYS)
def test_the_prediction_is_the_most_likely_label(
    method: str, per_token: bool, load_tiny: Load, context: TrialContext
) -> None:
    model = load_tuned(load_tiny, "llama", method)
    options = EvaluationOptions.read({"labels": {"per_token": per_token}, "generation": {"batch_size": 3}})
    labels, split = find(model, 3 * LABELS), make_split(model, SOURCES)
    assert labels is not None
    predicted = predict_labels(model, split, labels, options, context)
    assert predicted == [
        max(LABELS, key=lambda label: score_by_brute_force(model, source, label, per_token=per_token))
        for source in SOURCES
    ]


@pytest.mark.parametrize("written", [{}, {"beams": 3}, {"temperature": 2.0, "samples": 4}])
@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix", "peft"])
def test_a_constrained_text_is_one_of_the_labels(
    method: str, written: dict[str, Any], load_tiny: Load, context: TrialContext
) -> None:
    model = load_tuned(load_tiny, "llama", method)
    options = EvaluationOptions.read({"generation": {"constrain_to": "labels", **written}})
    labels = find(model, 3 * LABELS, options)
    split = make_split(model, SOURCES)
    texts = generate_predictions(model, split, options.generation, context, max_new_tokens=1, labels=labels)
    assert {text for samples in texts for text in samples} <= set(LABELS)


def test_the_labels_are_the_distinct_targets_of_train(load_tiny: Load) -> None:
    labels = find(load_tiny("llama"), 3 * LABELS)
    assert labels is not None
    assert labels.names == LABELS
    assert labels.find_name([*labels.trie.list_next([])[:1], 0, 1, 1]) == "C"


def test_free_text_has_no_labels(load_tiny: Load) -> None:
    assert find(load_tiny("llama"), SOURCES, EvaluationOptions()) is None


def test_the_recipe_may_name_labels_that_train_lacks(load_tiny: Load) -> None:
    model = load_tiny("llama")
    written = EvaluationOptions.read({"labels": {"names": ["C#", "the river", "C"]}})
    labels, of_train = find(model, ["C", "C#"], written), find(model, 3 * LABELS)
    assert labels is not None
    assert of_train is not None
    assert labels.names == ("C#", "the river", "C")
    assert labels.name_by_tokens.items() <= of_train.name_by_tokens.items()


@pytest.mark.parametrize("targets", [SOURCES, ["no", "no", "no"]])
def test_targets_that_are_no_labels_are_refused(targets: list[str], load_tiny: Load) -> None:
    with pytest.raises(DataError, match="distinct targets"):
        find(load_tiny("llama"), targets)


def test_a_label_that_was_cut_is_refused(load_tiny: Load) -> None:
    model = load_tiny("llama")
    split = make_split(model, 3 * LABELS)
    cut = split.remove_columns("target_cut").add_column("target_cut", [False] * 14 + [True])
    with pytest.raises(DataError, match="'no' is longer than data"):
        find_labels(LIKELIHOOD, cut, encode_with(model.tokenizer))


def test_labels_with_the_same_tokens_are_refused(load_tiny: Load) -> None:
    model = load_tiny("llama")
    split = make_split(model, 4 * ["no", "No"])
    same = split.remove_columns("tokens").add_column("tokens", [split["tokens"][0]] * 8)
    same = same.remove_columns("prompt_tokens").add_column("prompt_tokens", [split["prompt_tokens"][0]] * 8)
    with pytest.raises(DataError, match="'no', 'No' have the same tokens"):
        find_labels(LIKELIHOOD, same, encode_with(model.tokenizer))
