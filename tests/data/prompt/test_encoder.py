import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuneoff.config.data import TextOptions
from tuneoff.data.example import Example
from tuneoff.data.prompt import Encoder
from tuneoff.errors import DataError

EOS, BOS = 0, 2
BOUND = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@pytest.fixture
def encoder(tokenizer):
    """A function that makes an encoder with small limits."""

    def _encoder(tokenizer=tokenizer, max_tokens=24, max_target_tokens=8, **values):
        return Encoder(TextOptions(max_tokens=max_tokens, max_target_tokens=max_target_tokens, **values), tokenizer)

    return _encoder


def encode_prompts(encoder, *sources):
    return encoder.encode_prompts([Example(source=source, target="") for source in sources])


def encode_targets(encoder, *targets):
    rows = encoder.encode([Example(source="a", target=target) for target in targets])
    answers = [tokens[start:] for tokens, start in zip(rows["tokens"], rows["prompt_tokens"], strict=True)]
    return answers, rows["target_cut"]


def decode_prompt(encoder, tokenizer, source):
    return tokenizer.decode(encode_prompts(encoder, source)[0][0])


def test_a_short_source_is_complete_in_its_template(encoder, tokenizer):
    assert decode_prompt(encoder(prompt="> {source} <"), tokenizer, "the cat") == "> the cat <"


def test_a_long_source_loses_its_end_and_the_template_stays_complete(encoder, tokenizer):
    text = decode_prompt(encoder(prompt="> {source} <"), tokenizer, "the cat sat on the mat " * 9)
    assert text.startswith("> the cat sat on the mat the cat")
    assert text.endswith(" <")


def test_braces_in_a_source_stay_as_they_are(encoder, tokenizer):
    assert decode_prompt(encoder(prompt="{source}!"), tokenizer, "{0} {source}") == "{0} {source}!"


def test_a_cut_source_is_marked(encoder):
    assert encode_prompts(encoder(), "a", "a " * 99)[1] == [False, True]


def test_the_limit_of_a_prompt_does_not_depend_on_the_target(encoder):
    long = "the cat sat on the mat " * 9
    targets = "a", "a dog ran over the hill " * 9
    tokens = encoder().encode([Example(source=long, target=target) for target in targets])
    assert tokens["prompt_tokens"][0] == tokens["prompt_tokens"][1]


def test_a_long_source_fills_the_limit_of_the_prompt(encoder):
    assert len(encode_prompts(encoder(), "a b c d " * 9)[0][0]) == 24 - 8


@BOUND
@given(st.text(max_size=60), st.sampled_from(["{source}\n\nTL;DR: ", "a{source}a", "the cat {source}"]))
def test_a_prompt_never_exceeds_its_limit(encoder, source, template):
    tokens, _ = encode_prompts(encoder(max_tokens=20, max_target_tokens=4, prompt=template), source + "x")
    assert len(tokens[0]) <= 16


@BOUND
@given(st.text(alphabet="the cat é€", min_size=1, max_size=60))
def test_a_cut_source_keeps_its_beginning(encoder, tokenizer, source):
    assert source.startswith(decode_prompt(encoder(prompt="{source}"), tokenizer, source))


@BOUND
@given(st.text(min_size=1, max_size=30))
def test_a_target_within_its_limit_is_intact(encoder, tokenizer, target):
    tokens, cut = encode_targets(encoder(max_tokens=200, max_target_tokens=190), target)
    assert (tokenizer.decode(tokens[0][:-1]), cut) == (" " + target, [False])


@BOUND
@given(st.text(max_size=60))
def test_a_target_ends_with_eos_even_if_it_was_cut(encoder, target):
    tokens, cut = encode_targets(encoder(), target)
    assert tokens[0][-1] == EOS
    assert len(tokens[0]) == 8 if cut[0] else len(tokens[0]) <= 8


def test_a_target_that_just_fits_with_its_eos_is_not_cut(encoder, tokenizer):
    words = tokenizer(" the cat sat on the mat")["input_ids"]
    limit = len(words) + 1
    assert encode_targets(encoder(max_target_tokens=limit), "the cat sat on the mat") == ([[*words, EOS]], [False])


def test_a_target_that_spells_eos_does_not_end_at_it(encoder):
    assert encode_targets(encoder(max_tokens=40, max_target_tokens=20), "a<eos>b")[0][0].index(EOS) > 3


def test_a_prompt_begins_with_bos_if_the_tokenizer_adds_it(encoder, framing_tokenizer):
    assert encode_prompts(encoder(framing_tokenizer), "a")[0][0][0] == BOS


def test_a_prompt_does_not_end_with_eos_even_if_the_tokenizer_adds_it(encoder, framing_tokenizer):
    assert EOS not in encode_prompts(encoder(framing_tokenizer), "a")[0][0]


def test_a_target_does_not_begin_with_bos(encoder, framing_tokenizer):
    assert BOS not in encode_targets(encoder(framing_tokenizer), "a")[0][0]


def test_chat_uses_the_template_of_the_tokenizer(encoder, chat_tokenizer):
    chat_encoder = encoder(chat_tokenizer, prompt="chat", chat_instruction="Cut: {source}", max_tokens=60)
    assert decode_prompt(chat_encoder, chat_tokenizer, "the cat") == "<user>Cut: the cat<reply>"


def test_chat_cuts_the_source_and_keeps_the_reply_open(encoder, chat_tokenizer):
    chat_encoder = encoder(chat_tokenizer, prompt="chat", chat_instruction="Cut: {source}", max_tokens=40)
    tokens, cut = encode_prompts(chat_encoder, "the cat sat on the mat " * 9)
    assert (len(tokens[0]) <= 32, cut) == (True, [True])
    assert chat_tokenizer.decode(tokens[0]).endswith("<reply>")


def test_chat_needs_a_chat_template(encoder):
    with pytest.raises(DataError, match=r"no chat template\. Use an instruction-tuned model, or a template"):
        encoder(prompt="chat")


def test_the_error_of_a_chat_template_is_passed_on(encoder, chat_tokenizer, monkeypatch):
    monkeypatch.setattr(chat_tokenizer, "chat_template", "{{ raise_exception('system first') }}")
    with pytest.raises(
        DataError, match=r"fails on messages of user, assistant: system first\. Change the messages, or use a template"
    ):
        encoder(chat_tokenizer, prompt="chat")


def test_a_template_that_fills_the_limit_is_refused_with_both_numbers(encoder, tokenizer):
    alone = len(tokenizer("the cat sat on the mat")["input_ids"])
    with pytest.raises(DataError, match=rf"too small for the template: it takes {alone} .* prompt may have 2 .*Raise"):
        encoder(prompt="the cat sat on{source} the mat", max_tokens=4, max_target_tokens=2)


def test_a_tokenizer_without_eos_is_refused(encoder, tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "_special_tokens_map", tokenizer._special_tokens_map | {"eos_token": None})
    with pytest.raises(DataError, match="has no EOS token"):
        encoder()


def test_a_prompt_without_any_token_is_refused(encoder):
    with pytest.raises(DataError, match="no tokens at all"):
        encode_prompts(encoder(prompt="{source}", max_tokens=3, max_target_tokens=2), "字")
