"""What a prompt that is too long loses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.prompt.tokenizers_of_kinds import get_tokenizer
from tuneoff.data.example import Example
from tuneoff.data.prompt.shortening import GAP, cut_text, drop_oldest_turn
from tuneoff.errors import DataError

TEMPLATE = "{{ context }}\n\nQ: {{ question }}\nA:"
LIMITS = {"max_tokens": 60, "max_target_tokens": 20}
CONTEXT = "the cat sat on the mat a dog ran over the hill " * 20


def encode_row(encoder, source="", **columns):
    row = {
        name: column[0]
        for name, column in encoder.encode([Example(source=source, target="a", columns=columns)]).items()
    }
    return get_tokenizer("byte-bpe").decode(row["tokens"][: row["prompt_tokens"]]), row


def test_the_longest_column_is_cut_so_that_every_question_stays(encode):
    encoder = encode("byte-bpe", prompt=TEMPLATE, **LIMITS)
    prompts = [encode_row(encoder, context=CONTEXT + str(k), question=f"Who is {k}?")[0] for k in range(32)]
    assert [prompt.endswith(f"\n\nQ: Who is {k}?\nA:") for k, prompt in enumerate(prompts)] == [True] * 32


def test_what_was_cut_is_named(encode):
    _, row = encode_row(encode("byte-bpe", prompt=TEMPLATE, **LIMITS), context=CONTEXT, question="Who?")
    assert (row["cut"], row["source_cut"]) == (["context"], True)


def test_a_prompt_that_fits_is_not_cut(encode):
    _, row = encode_row(encode("byte-bpe", prompt=TEMPLATE, **LIMITS), context="the cat", question="Who?")
    assert (row["cut"], row["source_cut"]) == ([], False)


@pytest.mark.parametrize(
    ("side", "first", "last"),
    [("end", True, False), ("start", False, True), ("middle", True, True)],
)
def test_the_part_that_is_removed_is_chosen(encode, side, first, last):
    encoder = encode("byte-bpe", prompt="{source}\nA: ", truncate=side, **LIMITS)
    prompt, _ = encode_row(encoder, source=f"Hi. {CONTEXT}Who are you?")
    assert ("Hi." in prompt, "Who are you?" in prompt) == (first, last)


def test_a_column_that_is_never_cut_is_complete_although_it_is_the_longest(encode):
    encoder = encode("byte-bpe", prompt=TEMPLATE, never_cut=["question"], **LIMITS)
    question = "Who are you? " * 6
    prompt, row = encode_row(encoder, context="the cat sat on the mat " * 2, question=question)
    assert (question.strip() in prompt, row["cut"]) == (True, ["context"])


def test_a_prompt_that_is_too_long_without_what_may_be_cut_is_refused(encode):
    encoder = encode("byte-bpe", prompt=TEMPLATE, never_cut=["context"], **LIMITS)
    with pytest.raises(DataError, match="may have 40 tokens, and one has more even without everything that may be cut"):
        encode_row(encoder, context=CONTEXT, question="Who?")


@given(st.integers(0, 12), st.sampled_from(["end", "start", "middle"]))
def test_a_cut_text_has_the_tokens_that_are_kept(kept, side):
    text, ends = "abcdefghijkl", list(range(1, 13))
    cut = cut_text(text, ends, kept, side)
    assert len(cut.replace(GAP, "")) == kept


def test_the_oldest_turn_goes_up_to_the_next_user_message():
    roles = ["system", "user", "assistant", "tool", "assistant", "user"]
    left = drop_oldest_turn([{"role": role} for role in roles])
    assert left is not None
    assert [message["role"] for message in left] == ["system", "user"]
    assert drop_oldest_turn(left) is None
