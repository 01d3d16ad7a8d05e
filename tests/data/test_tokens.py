import datetime
from dataclasses import replace

import pytest

from tuneoff.config.data import TextOptions
from tuneoff.data import tokens
from tuneoff.data.example import Example
from tuneoff.data.prompt import Encoder
from tuneoff.data.tokens import compute_encoding_key, compute_tokenizer_identity, compute_tokens_key
from tuneoff.system.cache import get_cache_folder

EXAMPLES = [
    Example(source="the cat sat on the mat", target="cat"),
    Example(source="a dog ran over the hill", target="dog"),
]
OPTIONS = TextOptions(max_tokens=48, max_target_tokens=16)


def tokenize(examples, options, tokenizer):
    encoder = Encoder(options, tokenizer)
    return tokens.tokenize(examples, encoder, compute_encoding_key(encoder))


def compute_key(tokenizer, examples=EXAMPLES, **change):
    return compute_tokens_key(examples, compute_encoding_key(Encoder(OPTIONS.model_copy(update=change), tokenizer)))


def test_tokens_are_prompt_then_target_then_eos(tokenizer):
    example = tokenize(EXAMPLES, OPTIONS, tokenizer)[0]
    start = example["prompt_tokens"]
    assert tokenizer.decode(example["tokens"][:start]) == "the cat sat on the mat\n\nTL;DR:"
    assert tokenizer.decode(example["tokens"][start:]) == " cat<eos>"


def test_an_example_keeps_its_text_with_its_tokens(tokenizer):
    assert tokenize(EXAMPLES, OPTIONS, tokenizer)["target"][:] == ["cat", "dog"]


def test_text_is_tokenized_once(tokenizer, monkeypatch):
    first = tokenize(EXAMPLES, OPTIONS, tokenizer)[:]
    monkeypatch.setattr("tuneoff.data.prompt.Encoder.encode", None)  # a second time would fail
    assert tokenize(EXAMPLES, OPTIONS, tokenizer)[:] == first


def test_the_cache_is_where_the_environment_says(tokenizer, tmp_path):
    tokenize(EXAMPLES, OPTIONS, tokenizer)
    assert [file.parent.parent for file in tmp_path.rglob("*.arrow")] == [get_cache_folder() / "tokens"]


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 40},
        {"max_target_tokens": 9},
        {"prompt": "{source}: "},
        {"truncate": "start"},
        {"never_cut": ("source",)},
        {"task": "text"},
    ],
)
def test_other_limits_or_another_template_change_the_key(tokenizer, change):
    assert compute_key(tokenizer, **change) != compute_key(tokenizer)


@pytest.mark.parametrize("change", [{"seed": 3}, {"loss_on": "all"}])
def test_options_that_do_not_change_the_tokens_keep_their_key(tokenizer, change):
    assert compute_key(tokenizer, **change) == compute_key(tokenizer)


@pytest.mark.parametrize(
    "change",
    [
        {"chat_instruction": "{source}!"},
        {"chat_template_kwargs": {"a": 1}},
        {"turns": "all"},
        {"date": datetime.date(2024, 7, 4)},
    ],
)
def test_what_reaches_a_chat_template_changes_the_key(chat_tokenizer, change):
    chat = {"prompt": "chat", "chat_instruction": "{source}"}
    assert compute_key(chat_tokenizer, **(chat | change)) != compute_key(chat_tokenizer, **chat)


@pytest.mark.parametrize("change", [{"messages": ({"role": "user"},)}, {"columns": {"tools": "[]"}}])
def test_the_messages_and_columns_of_an_example_change_the_key(tokenizer, change):
    assert compute_key(tokenizer, [replace(EXAMPLES[0], **change)]) != compute_key(tokenizer, EXAMPLES[:1])


def test_other_text_changes_the_key(tokenizer):
    assert compute_key(tokenizer, EXAMPLES[:1]) != compute_key(tokenizer)


def test_a_chat_template_is_part_of_the_identity_of_a_tokenizer(tokenizer, chat_tokenizer):
    assert compute_tokenizer_identity(tokenizer) != compute_tokenizer_identity(chat_tokenizer)


def test_a_call_with_padding_does_not_change_the_identity_of_a_tokenizer(tokenizer):
    before = compute_tokenizer_identity(tokenizer)
    tokenizer(["a", "the cat"], padding=True, truncation=True, max_length=3)
    assert compute_tokenizer_identity(tokenizer) == before


@pytest.mark.parametrize("name", ["tokens.arrow", "SHA256SUMS"])
def test_a_damaged_cache_file_is_made_again_with_a_message(tokenizer, caplog, name):
    before = tokenize(EXAMPLES, OPTIONS, tokenizer).to_list()
    (file,) = get_cache_folder().rglob(name)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert tokenize(EXAMPLES, OPTIONS, tokenizer).to_list() == before
    assert f"{name} is damaged. It was removed and is made again" in caplog.text or name == "SHA256SUMS"
    caplog.clear()
    assert tokenize(EXAMPLES, OPTIONS, tokenizer).to_list() == before
    assert not caplog.records


def test_a_truncated_cache_file_is_made_again(tokenizer):
    before = tokenize(EXAMPLES, OPTIONS, tokenizer).to_list()
    (file,) = get_cache_folder().rglob("*.arrow")
    file.write_bytes(file.read_bytes()[:-40])
    assert tokenize(EXAMPLES, OPTIONS, tokenizer).to_list() == before
