"""What a model is asked to answer: a text, a row or a chat."""

import pytest

from tests.data.prompt.tokenizers_of_kinds import get_tokenizer
from tuneoff.config.data import FileText
from tuneoff.data import load_text
from tuneoff.data.prompt import Encoder
from tuneoff.data.unanswered import build_unanswered
from tuneoff.errors import DataError

CHAT = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def load(write_jsonl):
    """A function that loads rows under a recipe, and returns its completed options and the prompts of train."""

    def load_rows(rows, **options):
        path = write_jsonl("rows.jsonl", rows)
        limits = {"max_tokens": 200, "max_target_tokens": 60, "sizes": {"validation": 1, "test": 1}}
        text = load_text(FileText(source="jsonl", files=path, **(limits | options)), get_tokenizer("chatml"))
        prompts = [row["tokens"][: row["prompt_tokens"]] for row in text.train]
        return text.options, prompts

    return load_rows


def encode_prompt(asked, options):
    return Encoder(options, get_tokenizer("chatml")).encode_prompts([build_unanswered(asked, options)])[0][0]


@pytest.mark.parametrize(
    ("make_row", "options"),
    [
        (lambda k: {"question": f"Who is {k}?", "context": f"the cat {k}", "answer": f"it is {k}"}, {}),
        (lambda k: {"instruction": f"Sum up {k}", "input": f"the dog {k}", "output": f"dog {k}"}, {}),
        (lambda k: {"source": f"the cat {k}", "target": f"cat {k}", "x": k}, {"prompt": "{x}: {source}\nA: "}),
        (lambda k: {"meta": {"a": f"the cat {k}"}, "b": f"cat {k}"}, {"fields": {"source": "meta.a", "target": "b"}}),
    ],
    ids=["question", "instruction", "columns", "path"],
)
def test_a_row_without_its_answer_has_the_prompt_of_training(load, make_row, options):
    rows = [make_row(k) for k in range(8)]
    completed, prompts = load(rows, **options)
    asked = [
        {key: value for key, value in row.items() if key not in ("answer", "output", "target", "b")} for row in rows
    ]
    assert set(map(tuple, prompts)) < {tuple(encode_prompt(row, completed)) for row in asked}


def test_messages_have_the_prompt_of_training(load):
    rows = [{"messages": [*CHAT, {"role": "assistant", "content": f"cat {k}"}]} for k in range(8)]
    completed, prompts = load(rows, equal_sources="separate")
    assert {tuple(prompt) for prompt in prompts} == {
        tuple(encode_prompt(CHAT, completed)), tuple(encode_prompt({"messages": CHAT}, completed)),
    }  # fmt: skip


def test_a_text_asked_of_a_chat_model_is_the_message_of_the_user(load):
    rows = [{"messages": [*CHAT, {"role": "assistant", "content": f"cat {k}"}]} for k in range(8)]
    completed, _ = load(rows, equal_sources="separate")
    assert encode_prompt("Hi", completed) == encode_prompt(CHAT, completed)


@pytest.mark.parametrize("asked", [{"source": None}, [{"role": "wizard", "content": "Hi"}], {}])
def test_what_cannot_be_read_is_refused_and_shown(asked):
    with pytest.raises(DataError, match=r"cannot be answered: .* Given was"):
        build_unanswered(asked, FileText(source="jsonl", files="x"))


TURNS = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}, {"from": "human", "value": "the cat"}]


@pytest.mark.parametrize(
    "answer", [[], [{"from": "gpt", "value": "the gold answer"}]], ids=["asked", "with its answer"]
)
def test_a_row_of_sharegpt_has_the_prompt_of_training_with_or_without_its_answer(load, answer):
    rows = [{"system": "Be brief.", "conversations": [*TURNS, {"from": "gpt", "value": f"cat {k}"}]} for k in range(8)]
    completed, prompts = load(rows, equal_sources="separate")
    asked = {"system": "Be brief.", "conversations": [*TURNS, *answer]}
    assert {tuple(prompt) for prompt in prompts} == {tuple(encode_prompt(asked, completed))}


def test_a_row_of_messages_may_have_its_answer_and_a_list_may_not(load):
    answered = [*CHAT, {"role": "assistant", "content": "gold"}]
    completed, _ = load([{"messages": [*CHAT, {"role": "assistant", "content": f"cat {k}"}]} for k in range(8)],
                        equal_sources="separate")  # fmt: skip
    assert encode_prompt({"messages": answered}, completed) == encode_prompt(CHAT, completed)
    with pytest.raises(DataError, match="the assistant's own"):
        build_unanswered(answered, completed)


def test_messages_are_cleaned_as_in_training(load):
    rows = [
        {"messages": [{"role": "user", "content": "HI  there"}, {"role": "assistant", "content": f"cat {k}"}]}
        for k in range(8)
    ]
    completed, prompts = load(rows, equal_sources="separate", clean={"lower": True, "whitespace": True})
    assert {tuple(prompt) for prompt in prompts} == {tuple(encode_prompt(rows[0]["messages"][:1], completed))}


def test_a_chat_asked_of_a_model_of_single_texts_is_its_text_or_refused(load):
    rows = [{"source": f"the cat {k}", "target": f"cat {k}"} for k in range(8)]
    completed, _ = load(rows, prompt="{source}\nA: ")
    assert encode_prompt(CHAT, completed) == encode_prompt("Hi", completed)
    with pytest.raises(DataError, match="has not seen turns of a chat"):
        build_unanswered([*CHAT, {"role": "assistant", "content": "Yes?"}, *CHAT], completed)


def test_turns_under_a_plain_prompt_are_written_as_in_training(load):
    rows = [{"conversations": [*TURNS, {"from": "gpt", "value": f"cat {k}"}]} for k in range(8)]
    completed, prompts = load(rows, equal_sources="separate", prompt="{source}\nA: ")
    assert {tuple(prompt) for prompt in prompts} == {tuple(encode_prompt({"conversations": TURNS}, completed))}
