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
