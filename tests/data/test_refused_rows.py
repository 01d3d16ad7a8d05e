"""A row that a chat template refuses is named, with its file and the cure."""

import pytest

from tests.data.conftest import train_tokenizer
from tuneoff.data import load_text
from tuneoff.errors import DataError

ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_chat(number, *roles):
    return {"messages": [{"role": role, "content": f"{role} says {number}"} for role in roles]}


@pytest.fixture
def load(options, write_jsonl):
    """A function that loads chats from a file for train and one for the others, with a template that may refuse."""

    def _load(train, template=ALTERNATING):
        files = {
            "train": write_jsonl("train.jsonl", train),
            "validation": write_jsonl("validation.jsonl", [make_chat(100, "user", "assistant")]),
            "test": write_jsonl("test.jsonl", [make_chat(k, "user", "assistant") for k in (200, 201)]),
        }
        chosen = options(source="jsonl", files=files, prompt="chat", max_tokens=80, max_target_tokens=30)
        return load_text(chosen, train_tokenizer(chat_template=template))

    return _load


def test_two_user_turns_in_a_row_are_named_with_file_row_and_cure(load):
    chats = [make_chat(k, "user", "assistant") for k in range(4)]
    chats.insert(2, make_chat(9, "user", "user", "assistant"))
    with pytest.raises(DataError, match=r"train\.jsonl, row 3: .* roles must alternate") as raised:
        load(chats)
    assert "Messages 1 and 2 are both by the user: join them into one." in str(raised.value)


def test_a_row_is_counted_as_in_the_file_where_rows_before_it_are_left_out(load):
    chats = [make_chat(0, "user"), make_chat(1, "user", "assistant"), make_chat(2, "user", "assistant", "user", "user")]
    chats.append(make_chat(3, "user", "assistant", "user", "user", "assistant"))
    with pytest.raises(DataError, match=r"train\.jsonl, row 4: .*Messages 3 and 4 are both by the user"):
        load(chats)


def test_a_template_that_takes_two_user_turns_in_a_row_gets_them(load):
    plain = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    data = load([make_chat(9, "user", "user", "assistant"), make_chat(1, "user", "assistant")], plain)
    assert len(data.train) == 2
