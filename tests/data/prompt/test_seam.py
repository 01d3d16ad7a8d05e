"""A prompt and its answer are tokenized as one text, and the prompt does not depend on the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.prompt.tokenizers_of_kinds import CHATS, PLAIN, get_tokenizer
from tuneoff.data.example import Example
from tuneoff.data.prompt.text_tokenizer import TextTokenizer

TEMPLATES = ["{source}\n\nTL;DR: ", "{source}\nLabel:", "Question: {source}\nAnswer:\n", "{source}\n\n\n"]


def encode_row(encoder, **values):
    columns = encoder.encode([Example(**values)])
    return {name: column[0] for name, column in columns.items()}


def encode_joint(kind, text):
    """What the tokenizer makes of the whole text in one call, with the EOS that ends an answer."""
    tokenizer = get_tokenizer(kind)
    return [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("template", TEMPLATES)
def test_prompt_and_answer_have_the_tokens_of_one_text(encode, kind, template):
    row = encode_row(encode(kind, prompt=template), source="the cat sat", target="cat")
    gap = " " if template.endswith(":") else ""
    assert row["tokens"] == encode_joint(kind, template.replace("{source}", "the cat sat") + gap + "cat")


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("target", ["cat", "1", "字", "(", "\n\ncat"])
def test_behind_a_long_prompt_an_answer_has_the_tokens_of_one_text(encode, kind, target):
    source = "the cat sat on the mat, a dog ran over the hill and naïve cafés cost 3 €. " * 5
    row = encode_row(encode(kind, max_tokens=4000, prompt="{source}\n\nTL;DR: "), source=source, target=target)
    assert row["tokens"] == encode_joint(kind, f"{source}\n\nTL;DR: {target}")


@pytest.mark.parametrize(("kind", "splits"), [("byte-bpe", True), ("unigram", True), ("metaspace-first", False)])
def test_only_a_tokenizer_that_splits_words_is_given_the_last_words_alone(kind, splits):
    assert TextTokenizer(get_tokenizer(kind)).splits_words == splits


@pytest.mark.parametrize("template", ["{source}\n\nTL;DR: ", "{source}\n\nTL;DR:"])
def test_the_space_before_an_answer_is_part_of_its_first_token(encode, template):
    encoder = encode("byte-bpe", prompt=template)
    row = encode_row(encoder, source="the cat", target="cat")
    answer = row["tokens"][row["prompt_tokens"] :]
    assert encoder.tokenizer.convert_ids_to_tokens(answer) == ["Ġcat", "<eos>"]


@pytest.mark.parametrize("kind", PLAIN + CHATS)
@pytest.mark.parametrize("target", ["cat", " cat", "1", "字", "\n\ncat", "(", "é"])
def test_a_prompt_in_training_is_the_prompt_in_generation(encode, kind, target):
    encoder = encode(kind, prompt="chat" if kind in CHATS else "{source}\n\nTL;DR: ")
    row = encode_row(encoder, source="the cat sat", target=target)
    prompts, _ = encoder.encode_prompts([Example(source="the cat sat", target="")])
    assert row["tokens"][: row["prompt_tokens"]] == prompts[0]


@given(st.text(min_size=1, max_size=20).filter(lambda text: text.strip()), st.sampled_from(TEMPLATES))
def test_no_character_is_lost_between_prompt_and_answer(target, template):
    from tuneoff.config.data import TextOptions
    from tuneoff.data.prompt import Encoder

    options = TextOptions(max_tokens=400, max_target_tokens=200, prompt=template)
    tokens = encode_row(Encoder(options, get_tokenizer("byte-bpe")), source="the cat", target=target)["tokens"]
    gap = " " if template.endswith(":") else ""
    assert get_tokenizer("byte-bpe").decode(tokens[:-1]) == template.replace("{source}", "the cat") + gap + target


# Where the tokenizer would merge the last word of the template with the first of the answer, the answer is tokenized
# by itself. It happens only without white space at the border, and not for tokenizers that split at punctuation.
@pytest.mark.parametrize(
    ("kind", "is_joint"),
    [("byte-bpe", False), ("metaspace-first", False), ("metaspace-always", False), ("word-piece", False)],
)
def test_a_word_that_the_template_begins_is_the_one_border_that_is_not_joint(encode, kind, is_joint):
    row = encode_row(encode(kind, prompt="{source} c"), source="the", target="at")
    assert (row["tokens"] == encode_joint(kind, "the cat")) == is_joint
    assert get_tokenizer(kind).decode(row["tokens"], skip_special_tokens=True).replace(" ", "") == "thecat"


@pytest.mark.parametrize("kind", ["metaspace-first", "metaspace-always"])
def test_an_answer_without_a_space_before_it_gets_none_from_the_tokenizer(encode, kind):
    row = encode_row(encode(kind, prompt="{source}("), source="the", target="cat")
    assert get_tokenizer(kind).decode(row["tokens"], skip_special_tokens=True) == "the(cat"


@pytest.mark.parametrize("kind", PLAIN)
def test_the_answer_and_its_end_are_scored(encode, kind):
    row = encode_row(encode(kind, prompt="{source}\nLabel: "), source="the cat", target="cat")
    start, length = row["prompt_tokens"], len(row["tokens"])
    assert row["scored"] == [False] * start + [True] * (length - start)
    assert row["tokens"][-1] == get_tokenizer(kind).eos_token_id
