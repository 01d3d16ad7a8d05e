"""Stop strings and further end tokens: where a text ends, in our decoding and in transformers'."""

from typing import Any

import pytest
import torch

from tests.models.tuned import WAYS, Load, list_prompts_alone, load_tuned, make_prompts
from tuneoff.models import generation
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.stop_strings import build_stop_check, cut_at_stop, find_special_tokens

NEW = 16
TEXT = "one two\n\nthree"


def encode(model: LanguageModel, text: str) -> list[int]:
    ids: list[int] = model.tokenizer(text)["input_ids"]
    return ids


def cut(model: LanguageModel, tokens_BN: torch.Tensor, stops: list[str]) -> list[str]:
    return [cut_at_stop(text, stops) for text in model.tokenizer.batch_decode(tokens_BN, skip_special_tokens=True)]


def pick_stops(model: LanguageModel, prompts: Any) -> list[str]:
    """Return three strings from the middle of greedy texts, each of which begins and ends within a token."""
    texts = cut(model, generate(model, *prompts, max_new_tokens=NEW), [])
    return [text[len(text) // 2 :][:4] for text in texts[:3]]


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        (["\n\n"], "one two"),
        (["two", "\n"], "one "),
        (["one"], ""),
        (["four"], "one two\n\nthree"),
        ([], "one two\n\nthree"),
    ],
)
def test_a_text_ends_before_the_first_stop_string(stops: list[str], expected: str) -> None:
    assert cut_at_stop(TEXT, stops) == expected


def test_a_stop_string_may_span_tokens_and_end_within_one(load_tiny: Load) -> None:
    model = load_tiny("llama")
    is_stopped = build_stop_check(model.tokenizer, ["ver and th"])
    tokens = encode(model, "A river and the bridge, the mayor said.")
    stopped = [bool(is_stopped(torch.tensor([tokens[:n]]))[0]) for n in range(1, len(tokens) + 1)]
    has_stop = ["ver and th" in model.tokenizer.decode(tokens[:n]) for n in range(1, len(tokens) + 1)]
    assert stopped.index(True) == has_stop.index(True)
    assert 0 < stopped.index(True) < len(tokens) - 1


@pytest.mark.parametrize("method", WAYS)
def test_the_text_is_that_of_decoding_everything_and_cutting_it(method: str, load_tiny: Load) -> None:
    model = load_tuned(load_tiny, "llama", method)
    prompts = make_prompts()
    stops = pick_stops(model, prompts)
    complete = generate(model, *prompts, max_new_tokens=NEW)
    stopped = generate(model, *prompts, max_new_tokens=NEW, stops=stops)
    assert cut(model, stopped, stops) == cut(model, complete, stops)
    assert cut(model, stopped, stops) != cut(model, complete, [])
    first = model.tokenizer.decode(stopped[0], skip_special_tokens=True)
    assert len(first) < len(model.tokenizer.decode(complete[0], skip_special_tokens=True)), "it stopped"


@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix", "lora"])
def test_transformers_stops_at_the_same_tokens(method: str, load_tiny: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_tuned(load_tiny, "gpt_neo", method)
    prompts = make_prompts()
    stops = pick_stops(model, prompts)
    ours = generate(model, *prompts, max_new_tokens=NEW, stops=stops)
    monkeypatch.setattr(generation, "can_use_own_decoding", lambda *_: False)
    assert torch.equal(generate(model, *prompts, max_new_tokens=NEW, stops=stops), ours)


def test_a_beam_search_stops_too(load_tiny: Load) -> None:
    model = load_tiny("llama")
    prompts = list_prompts_alone(make_prompts())[0]
    text = cut(model, generate(model, *prompts, max_new_tokens=NEW, beams=3), [])[0]
    stops = [text[len(text) // 2 :][:4]]
    stopped = generate(model, *prompts, max_new_tokens=NEW, beams=3, stops=stops)
    assert all(text.count(stops[0]) <= 1 for text in cut(model, stopped, []))


@pytest.mark.parametrize("method", WAYS)
def test_a_further_end_token_ends_a_row(method: str, load_tiny: Load) -> None:
    model = load_tuned(load_tiny, "llama", method)
    prompts = make_prompts()
    complete = generate(model, *prompts, max_new_tokens=NEW)
    end = int(complete[0, 3])
    first = complete[0].tolist().index(end)
    ended = generate(model, *prompts, max_new_tokens=NEW, ends=[end])
    assert ended[0, : first + 1].tolist() == complete[0, : first + 1].tolist()
    assert set(ended[0, first + 1 :].tolist()) <= {model.tokenizer.pad_token_id}


def test_a_stop_string_that_is_a_special_token_ends_a_row(load_tiny: Load) -> None:
    model = load_tiny("llama")
    assert find_special_tokens(model.tokenizer, ["<pad>", "."]) == [model.tokenizer.pad_token_id]
