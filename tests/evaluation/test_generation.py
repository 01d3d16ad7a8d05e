"""The texts of a split: as many as are sampled, in its order, whatever the batches."""

import random

import pytest
from datasets import Dataset

from tests.models.tuned import Load, load_tuned
from tuneoff.config.evaluation import GenerationOptions
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.context import TrialContext

SAMPLED = GenerationOptions(temperature=1.3, samples=3, min_new_tokens=6)


def make_split(order: list[int] | None = None) -> Dataset:
    """Return eight prompts of different lengths."""
    draw = random.Random(0)
    prompts = [[draw.randrange(2, 320) for _ in range(length)] for length in (3, 9, 5, 12, 7, 4, 10, 6)]
    ordered = [prompts[i] for i in order or range(8)]
    return Dataset.from_dict({"tokens": ordered, "prompt_tokens": [len(prompt) for prompt in ordered]})


def generate_all(
    model: LanguageModel, context: TrialContext, options: GenerationOptions, order: list[int] | None = None
) -> list[tuple[str, ...]]:
    return generate_predictions(model, make_split(order), options, context, max_new_tokens=6)


@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix"])
@pytest.mark.parametrize("options", [SAMPLED, GenerationOptions()], ids=["sampled", "greedy"])
def test_neither_the_size_nor_the_order_of_batches_changes_a_text(
    options: GenerationOptions, method: str, load_tiny: Load, context: TrialContext
) -> None:
    model = load_tuned(load_tiny, "llama", method)
    texts = generate_all(model, context, options)
    one_by_one = options.model_copy(update={"batch_size": 1})
    order = [5, 2, 7, 0, 4, 1, 6, 3]
    assert generate_all(model, context, one_by_one, order) == [texts[i] for i in order]
    assert {len(samples) for samples in texts} == {options.samples}


def test_a_batch_has_no_more_texts_than_the_options_say(load_tiny: Load, context: TrialContext) -> None:
    model = load_tiny("llama")
    rows: list[int] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    generate_all(model, context, SAMPLED.model_copy(update={"batch_size": 7}))
    assert max(rows) == 6


def test_a_text_stands_before_the_stop_string_without_spaces_around_it(load_tiny: Load, context: TrialContext) -> None:
    model = load_tiny("llama")
    complete = [text for (text,) in generate_all(model, context, GenerationOptions())]
    stop = complete[0][len(complete[0]) // 2 :][:3]
    texts = [text for (text,) in generate_all(model, context, GenerationOptions(stop=(stop,)))]
    assert texts == [text.split(stop)[0].strip() for text in complete]
    assert texts[0] != complete[0]
