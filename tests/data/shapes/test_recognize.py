"""Which shape the rows have is recognized, or the data are refused with what to write."""

import pytest

from tuneoff.config.data import SavedText
from tuneoff.data.rows import make_rows
from tuneoff.data.shapes.recognize import choose_shape
from tuneoff.errors import DataError

TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
SHAREGPT = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
SQUAD = {"text": ["b"], "answer_start": [0]}

ROWS = {
    "pairs (source: source, target: target)": {"source": "a", "target": "b", "text": "c", "label": 1},
    "pairs (source: Article, target: highlights)": {"id": 1, "Article": "a", "highlights": "b"},
    "pairs (source: text, target: summary)": {"text": "a", "summary": "b"},
    "prompt-completion (source: prompt, target: completion)": {"prompt": "a", "completion": "b"},
    "alpaca (source: instruction, context: input, target: output)": {"instruction": "a", "input": "", "output": "b"},
    "alpaca (source: instruction, target: response)": {"instruction": "a", "response": "b"},
    "question-answer (source: question, context: context, target: answers)": {
        "id": "1", "title": "t", "context": "c", "question": "a", "answers": SQUAD
    },
    "question-answer (source: question, target: answer)": {"question": "a", "answer": 4},
    "text-label (source: text, target: label)": {"text": "a", "label": 1, "idx": 3},
    "messages (messages: messages)": {"prompt": "a", "prompt_id": "1", "messages": TURNS},
    "messages (messages: conversations)": {"conversations": TURNS},
    "sharegpt (messages: conversations)": {"id": "1", "conversations": SHAREGPT},
    "sharegpt (messages: conversations, system: system)": {"conversations": SHAREGPT, "system": "s"},
    "text (target: text)": {"text": "a", "url": "b"},
}  # fmt: skip


def choose(row, fields=None, **options):
    return choose_shape(
        make_rows("a.jsonl", [row] * 3), SavedText(source="saved", path="x", fields=fields or {}, **options)
    )


@pytest.mark.parametrize("described", ROWS)
def test_the_usual_columns_of_a_shape_are_recognized(described):
    chosen = choose(ROWS[described])
    assert chosen.describe() == described
    assert chosen.is_recognized


@pytest.mark.parametrize("described", ROWS)
def test_a_shape_in_the_recipe_reads_the_columns_that_would_be_recognized(described):
    chosen = choose(ROWS[described], shape=described.partition(" ")[0])
    assert (chosen.describe(), chosen.is_recognized) == (described, False)


@pytest.mark.parametrize(
    ("row", "ways"),
    [
        ({"messages": TURNS, "prompt": "a", "completion": "b"}, "messages with messages; or prompt-completion with"),
        ({"text": "a", "label": 1, "summary": "b"}, "pairs with text and summary; or text-label with text and label"),
        ({"question": "a", "answer": "b", "prompt": "c", "response": "d"}, "prompt-completion with .*question-answer"),
    ],
)
def test_rows_that_fit_two_shapes_are_refused_with_the_choice(row, ways):
    with pytest.raises(
        DataError, match=rf"a\.jsonl can be read in several ways: {ways}.*Choose one, such as data\.shape"
    ):
        choose(row)


def test_rows_of_no_shape_are_refused_with_a_path_into_an_object():
    cure = r"the columns are 'translation'.*source: translation\.de, target: translation\.en"
    with pytest.raises(DataError, match=cure):
        choose({"translation": {"de": "a", "en": "b"}})


def test_rows_that_hold_lists_of_rows_are_refused_with_how_to_write_them():
    squad = {"title": "Rivers", "paragraphs": [{"context": "a", "qas": [{"question": "b", "answers": []}]}]}
    with pytest.raises(DataError, match=r"a list of objects in 'paragraphs'.*record_path='paragraphs'"):
        choose(squad)


def test_rows_under_a_key_within_a_key_are_refused_with_the_path():
    rows = make_rows("a.json", [{"version": 1, "result": {"count": 2, "items": [{"q": "a"}, {"q": "b"}]}}])
    with pytest.raises(DataError, match=r"name that: records: result\.items\."):
        choose_shape(rows, SavedText(source="saved", path="x"))


def test_columns_that_the_recipe_names_come_before_usual_ones():
    row = {"source": "a", "target": "b", "meta": {"answer": "c"}}
    assert choose(row, {"target": "meta.answer"}).describe() == "pairs (source: source, target: meta.answer)"


def test_a_named_column_that_is_missing_is_refused_with_the_nearest():
    with pytest.raises(DataError, match=r"no column 'titel' for the source\. Did you mean 'title'"):
        choose({"title": "a", "target": "b"}, {"source": "titel"})


def test_a_named_context_makes_questions_about_it():
    row = {"passage": "a", "q": "b", "a": "c"}
    chosen = choose(row, {"source": "q", "target": "a", "context": "passage"})
    assert chosen.describe() == "question-answer (source: q, target: a, context: passage)"


def test_the_turns_of_a_named_column_decide_between_the_kinds_of_chats():
    assert choose({"dialog": SHAREGPT}, {"messages": "dialog"}).shape.name == "sharegpt"
    assert choose({"dialog": TURNS}, {"messages": "dialog"}).shape.name == "messages"


def test_a_shape_whose_columns_are_missing_is_refused_with_the_cure():
    with pytest.raises(DataError, match=r"no columns for data\.shape: messages.*fields: \{messages: NAME\}"):
        choose({"source": "a", "target": "b"}, shape="messages")


def test_named_default_columns_of_a_stored_recipe_do_not_hide_the_shape():
    fields = {"source": "source", "target": "target"}
    assert choose({"question": "a", "answer": "b"}, fields).shape.name == "question-answer"
