import pytest

from tuneoff.config.data import TextOptions
from tuneoff.data import tokens
from tuneoff.data.prompt import Encoder
from tuneoff.data.tokens import compute_encoding_key, compute_tokenizer_identity, compute_tokens_key
from tuneoff.system.cache import get_cache_folder

PAIRS = [("the cat sat on the mat", "cat"), ("a dog ran over the hill", "dog")]
OPTIONS = TextOptions(max_tokens=48, max_target_tokens=16)


def tokenised(pairs, options, tokenizer):
    return tokens.tokenize(pairs, Encoder(options, tokenizer), compute_encoding_key(options, tokenizer))


def key(tokenizer, pairs=PAIRS, **change):
    return compute_tokens_key(pairs, compute_encoding_key(OPTIONS.model_copy(update=change), tokenizer))


def test_tokens_are_prompt_then_target_then_eos(tokenizer):
    example = tokenised(PAIRS, OPTIONS, tokenizer)[0]
    start = example["prompt_tokens"]
    assert tokenizer.decode(example["tokens"][:start]) == "the cat sat on the mat\n\nTL;DR: "
    assert tokenizer.decode(example["tokens"][start:]) == "cat<eos>"


def test_an_example_keeps_its_text_beside_its_tokens(tokenizer):
    assert tokenised(PAIRS, OPTIONS, tokenizer)["target"][:] == ["cat", "dog"]


def test_text_is_tokenised_once(tokenizer, monkeypatch):
    first = tokenised(PAIRS, OPTIONS, tokenizer)[:]
    monkeypatch.setattr("tuneoff.data.prompt.Encoder.columns", None)  # a second time would fail
    assert tokenised(PAIRS, OPTIONS, tokenizer)[:] == first


def test_the_cache_is_where_the_environment_says(tokenizer, tmp_path):
    tokenised(PAIRS, OPTIONS, tokenizer)
    assert [file.parent.parent for file in tmp_path.rglob("*.arrow")] == [get_cache_folder() / "tokens"]


@pytest.mark.parametrize("change", [{"max_tokens": 40}, {"max_target_tokens": 9}, {"prompt": "{source}: "}])
def test_other_limits_or_another_template_make_other_tokens(tokenizer, change):
    assert key(tokenizer, **change) != key(tokenizer)


@pytest.mark.parametrize("change", [{"seed": 3}, {"loss_on": "all"}, {"chat_instruction": "{source}!"}])
def test_what_does_not_touch_the_tokens_does_not_tokenise_again(tokenizer, change):
    assert key(tokenizer, **change) == key(tokenizer)


def test_other_text_makes_other_tokens(tokenizer):
    assert key(tokenizer, PAIRS[:1]) != key(tokenizer)


def test_a_chat_template_is_part_of_what_a_tokenizer_is(tokenizer, chat_tokenizer):
    assert compute_tokenizer_identity(tokenizer) != compute_tokenizer_identity(chat_tokenizer)


def test_a_call_with_padding_leaves_a_tokenizer_what_it_is(tokenizer):
    before = compute_tokenizer_identity(tokenizer)
    tokenizer(["a", "the cat"], padding=True, truncation=True, max_length=3)
    assert compute_tokenizer_identity(tokenizer) == before


@pytest.mark.parametrize("name", ["tokens.arrow", "SHA256SUMS"])
def test_a_damaged_file_of_the_cache_is_made_again_with_a_message(tokenizer, caplog, name):
    before = tokenised(PAIRS, OPTIONS, tokenizer).to_list()
    (file,) = get_cache_folder().rglob(name)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert tokenised(PAIRS, OPTIONS, tokenizer).to_list() == before
    assert f"{name} is damaged: it is removed, and made again" in caplog.text or name == "SHA256SUMS"
    caplog.clear()
    assert tokenised(PAIRS, OPTIONS, tokenizer).to_list() == before
    assert not caplog.records


def test_a_cut_off_file_of_the_cache_is_made_again(tokenizer):
    before = tokenised(PAIRS, OPTIONS, tokenizer).to_list()
    (file,) = get_cache_folder().rglob("*.arrow")
    file.write_bytes(file.read_bytes()[:-40])
    assert tokenised(PAIRS, OPTIONS, tokenizer).to_list() == before
