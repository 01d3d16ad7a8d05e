"""Texts without prompts, for language modeling."""

import pytest

from tests.data.prompt.tokenizers_of_kinds import PLAIN, get_tokenizer
from tuneoff.data.example import Example

LIMITS = {"max_tokens": 30, "max_target_tokens": 10, "task": "text"}
LONG = "the cat sat on the mat.\na dog ran over the hill, naïve cafés cost 3 €. " * 9


def cut(encoder, *texts):
    return encoder.cut_documents([Example(source="", target=text) for text in texts])


@pytest.mark.parametrize("kind", PLAIN)
def test_every_token_but_the_first_is_scored(encode, kind):
    row = {
        name: column[0]
        for name, column in encode(kind, **LIMITS).encode([Example(source="", target="the cat")]).items()
    }
    assert row["scored"] == [False] + [True] * (len(row["tokens"]) - 1)
    assert row["tokens"][-1] == get_tokenizer(kind).eos_token_id


@pytest.mark.parametrize("kind", PLAIN)
def test_a_long_text_is_cut_into_pieces_that_fit_and_lose_nothing(encode, kind):
    encoder = encode(kind, **LIMITS)
    pieces = cut(encoder, LONG)
    assert "".join(piece.target for piece in pieces) == LONG
    assert max(map(len, encoder.encode(pieces)["tokens"])) <= 30
    assert len(pieces) < len(get_tokenizer(kind)(LONG)["input_ids"]) / 20


def test_eos_ends_the_text_and_not_its_pieces(encode):
    encoder = encode("byte-bpe", **LIMITS)
    eos = get_tokenizer("byte-bpe").eos_token_id
    assert [row.count(eos) for row in encoder.encode(cut(encoder, LONG))["tokens"]][-2:] == [0, 1]


def test_the_pieces_of_a_text_are_a_group(encode):
    pieces = cut(encode("byte-bpe", **LIMITS), LONG, LONG + "x")
    assert len({piece.group for piece in pieces}) == 2


def test_texts_that_fit_are_on_their_own(encode):
    assert [piece.group for piece in cut(encode("byte-bpe", **LIMITS), "the cat", "a dog")] == [None, None]


def test_other_tasks_are_not_cut(encode):
    examples = [Example(source="a", target=LONG)]
    assert encode("byte-bpe", prompt="{source}: ").cut_documents(examples) == examples
