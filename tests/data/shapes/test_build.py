"""From rows of each shape to examples."""

import json

import pytest

from tuneoff.config.data import SavedText
from tuneoff.data.cleaning import make_builder
from tuneoff.data.rows import make_rows
from tuneoff.data.shapes.recognize import choose_shape
from tuneoff.data.values import UnusableRowError

CHAT = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "now?"}]},
    {"role": "assistant", "content": "Now."},
]


def build(row, shape="auto", **options):
    text = SavedText(source="saved", path="x", shape=shape, **options)
    rows = make_rows("a.jsonl", [row])
    return make_builder(rows, choose_shape(rows, text), text).build(row)


def test_an_instruction_stands_before_its_input_so_that_a_cut_leaves_it():
    example = build({"instruction": "Translate.", "input": "chat", "output": "Katze"})
    assert (example.source, example.target, example.document) == ("Translate.\n\nchat", "Katze", "")


@pytest.mark.parametrize("empty", ["", None, "  "])
def test_an_instruction_without_input_stands_alone(empty):
    assert build({"instruction": "Sing.", "input": empty, "output": "La"}).source == "Sing."


def test_the_nested_answers_of_squad_are_several_references():
    answers = {"text": ["1912", "in 1912", "1912"], "answer_start": [3, 0, 3]}
    example = build({"context": "It sank in 1912.", "question": "When?", "answers": answers})
    assert (example.source, example.target) == ("When?\n\nIt sank in 1912.", "1912")
    assert example.references == ("1912", "in 1912")
    assert example.document == "It sank in 1912."


def test_a_question_without_an_answer_is_left_out_or_kept_as_the_recipe_says():
    row = {"context": "c", "question": "When?", "answers": {"text": [], "answer_start": []}}
    with pytest.raises(UnusableRowError, match="target is empty"):
        build(row)
    assert build(row, empty_targets="keep").target == ""


def test_the_last_answer_of_a_chat_is_the_target_and_all_turns_stay():
    example = build({"messages": CHAT, "tools": None})
    assert example.target == "Now."
    assert example.source == "system: Be short.\n\nuser: Hi\n\nassistant: Hello\n\nuser: And now?"
    assert [message["role"] for message in example.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert example.messages[3]["content"] == "And now?"


def test_a_chat_with_one_question_shows_it_without_its_role():
    assert build({"messages": CHAT[1:3]}).source == "Hi"


def test_turns_after_the_last_answer_are_no_part_of_the_example():
    assert build({"messages": CHAT[:4]}).target == "Hello"


def test_messages_may_be_json_text():
    assert build({"messages": json.dumps(CHAT)}).target == "Now."


def test_missing_keys_of_messages_in_columnar_files_are_removed():
    turns = [{**message, "name": None, "tool_calls": None} for message in CHAT]
    assert build({"messages": turns}).messages[0] == {"role": "system", "content": "Be short."}


def test_a_call_of_a_tool_as_answer_is_json():
    call = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": call}]
    example = build({"messages": turns})
    assert json.loads(example.target) == call
    assert example.messages[-1]["tool_calls"] == call


def test_conversations_of_sharegpt_get_the_roles_of_chat_templates():
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    example = build({"conversations": turns, "system": "Be short."})
    assert [tuple(message.values()) for message in example.messages] == [
        ("system", "Be short."),
        ("user", "Hi"),
        ("assistant", "Hello"),
    ]


def test_messages_as_prompt_and_completion_are_a_chat():
    example = build({"prompt": CHAT[:2], "completion": CHAT[2:3]})
    assert (example.target, len(example.messages)) == ("Hello", 3)


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (CHAT[:2], "no turn of the assistant"),
        (CHAT[2:3], "no turn of a user before"),
        ([{"role": "bot", "content": "a"}], r"message 1 has the role 'bot'\. Roles are system, .*rename it"),
        ([CHAT[1], {"role": "assistant", "content": None}], "message 2 has no content"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "message 1 has content that is not text"),
        ("no list", "messages are not a list but text"),
        ([], "messages are missing"),
    ],
)
def test_a_chat_that_is_not_usable_says_why(turns, reason):
    with pytest.raises(UnusableRowError, match=reason):
        build({"messages": turns}, shape="messages")


def test_an_unknown_speaker_of_sharegpt_is_named():
    with pytest.raises(UnusableRowError, match=r"message 1 is from 'narrator'\. Known are system, human"):
        build({"conversations": [{"from": "narrator", "value": "a"}]}, shape="sharegpt")


def test_text_alone_is_the_target():
    example = build({"text": "All of it.\n"})
    assert (example.source, example.target) == ("", "All of it.\n")


def test_sentences_as_source_are_joined_and_summaries_are_several_references():
    """As in SciTLDR."""
    example = build({"source": ["One.", "Two."], "target": ["a", "b"], "paper_id": "x"})
    assert (example.source, example.target, example.references) == ("One. Two.", "a", ("a", "b"))


def test_a_list_of_references_is_joined_on_request():
    assert build({"source": "a", "target": ["b", "c"]}, references="join").target == "b\nc"


def test_every_message_of_a_chat_is_cleaned_on_request():
    example = build({"messages": [{"role": "user", "content": " a  b "}, CHAT[2]]}, clean={"whitespace": True})
    assert (example.source, example.messages[0]["content"]) == ("a b", "a b")
