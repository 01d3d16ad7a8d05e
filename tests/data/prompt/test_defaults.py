"""What a recipe leaves open about its prompts."""

import pytest

from tests.data.prompt.tokenizers_of_kinds import get_tokenizer
from tuneoff.config.data import AclsumText, TextOptions
from tuneoff.data.example import Example
from tuneoff.data.prompt import choose_kind, complete_options
from tuneoff.data.prompt.defaults import SUMMARIZE
from tuneoff.errors import DataError

CHAT = Example(
    source="a", target="b", messages=({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})
)


def complete(task="prose", kind="chatml", **options):
    return complete_options(TextOptions(**options), get_tokenizer(kind), task)


@pytest.mark.parametrize(
    ("task", "prompt"), [("prose", "{source}\n\nTL;DR: "), ("labels", "{source}\n\nLabel: "), ("chat", "chat")]
)
def test_the_prompt_says_what_kind_of_answer_is_wanted(task, prompt):
    assert complete(task).prompt == prompt


def test_a_prompt_of_the_recipe_stays():
    assert complete("labels", prompt="{source} =>").prompt == "{source} =>"


@pytest.mark.parametrize(("task", "instruction"), [("prose", SUMMARIZE), ("labels", "{source}"), ("chat", "{source}")])
def test_only_prose_is_summarized(task, instruction):
    assert complete(task, prompt="chat").chat_instruction == instruction


def test_chats_are_chats_whatever_their_answers_are():
    assert choose_kind(TextOptions(task="labels"), [CHAT]) == "chat"


def test_completed_options_are_complete():
    options = complete(kind="dated", prompt="chat")
    assert complete_options(options, get_tokenizer("dated"), "labels") == options


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("chat_instruction", "Shorten: {source}"),
        ("chat_template_kwargs", {"enable_thinking": False}),
        ("turns", "all"),
        ("date", "2024-07-04"),
    ],
)
def test_a_key_without_effect_is_refused(key, value):
    with pytest.raises(DataError, match=rf"data\.{key} has no effect without the chat template\. Write prompt: chat"):
        complete(**{key: value})


def test_the_instruction_that_earlier_versions_stored_with_every_recipe_is_accepted():
    stored = {"source": "aclsum", "prompt": "{source}\n\nTL;DR: ", "chat_instruction": SUMMARIZE}
    options = AclsumText.model_validate(stored)
    assert complete_options(options, get_tokenizer("chatml"), "prose").chat_instruction == SUMMARIZE
    assert options.model_dump(include={"prompt", "chat_instruction"}) == {
        k: stored[k] for k in ("prompt", "chat_instruction")
    }


def test_options_that_are_not_used_are_not_written():
    names = {"chat_template_kwargs", "turns", "date", "truncate", "never_cut"}
    assert not names & TextOptions().model_dump().keys()


def test_a_name_that_is_no_column_is_refused_with_a_suggestion(encode):
    with pytest.raises(
        DataError, match=r"uses 'instrution', which is no column of data\.csv\. Did you mean 'instruction'"
    ):
        encode("chatml", prompt="{instrution} {source}").require_columns(["instruction", "output"], "data.csv")


@pytest.mark.parametrize("prompt", ["{source} {answer}", "{{ answer[0] }}", "{{ answer | upper }}"])
def test_a_prompt_that_shows_the_answer_is_refused(encode, prompt):
    with pytest.raises(DataError, match=r"shows 'answer.*', which holds the answers"):
        encode("chatml", prompt=prompt).require_columns(["question", "answer"], "data.csv", frozenset({("answer",)}))


@pytest.mark.parametrize(
    "prompt",
    [
        "{{ qa.a }}",
        "{{ qa['a'][0] }}",
        "{{ qa.values() }}",
        "{{ qa | tojson }}",
        "{% for k in qa %}{{ qa[k] }}{% endfor %}",
    ],
)
def test_an_answer_within_an_object_is_not_shown_either(encode, prompt):
    with pytest.raises(DataError, match="which holds the answers"):
        encode("chatml", prompt=prompt).require_columns(["qa"], "data.jsonl", frozenset({("qa", "a")}))


@pytest.mark.parametrize(
    "prompt", ["{{ qa.q }}", "{{ qa['context'] }} {source}", "{% for a in turns %}{{ a }}{% endfor %}"]
)
def test_what_stands_beside_an_answer_may_be_shown(encode, prompt):
    encode("chatml", prompt=prompt).require_columns(["qa", "turns"], "data.jsonl", frozenset({("qa", "a")}))


@pytest.mark.parametrize(
    ("prompt", "cure"),
    [
        ("{source} { question }", r"Write \{\{ question \}\}"),
        ("{source} {meta.a}", r"Write \{\{ meta\.a \}\}"),
        ("{source} {user text}", "rename the column"),
    ],
)
def test_a_column_in_braces_that_are_not_filled_in_is_refused(encode, prompt, cure):
    with pytest.raises(DataError, match=rf"shows the text .* and not the column .*{cure}"):
        encode("chatml", prompt=prompt).require_columns(["question", "meta", "user text"], "data.csv")


def test_other_braces_are_text(encode):
    encode("chatml", prompt='Write {"label": ...} or { none }: {source}').require_columns(["question"], "data.csv")


@pytest.mark.parametrize(
    ("options", "has_chats"),
    [
        ({"never_cut": ["context"]}, False),
        ({"never_cut": ["source"], "prompt": "chat"}, True),
        ({"chat_instruction": "Answer: {source}", "prompt": "chat"}, True),
        ({"prompt": "Read: {source}", "task": "text"}, False),
    ],
)
def test_an_option_that_changes_no_prompt_is_refused(encode, options, has_chats):
    with pytest.raises(DataError, match="has no effect"):
        encode("chatml", **options).require_effect(has_chats=has_chats)


def test_text_of_a_row_is_never_a_template(encode):
    encoder = encode("chatml", prompt="{{ text }} {source}: ")
    (tokens,) = encoder.encode([Example(source="{{ 7 * 7 }} {n}", target="a", columns={"text": "{% raw %}", "n": 1})])[
        "tokens"
    ]
    assert encoder.tokenizer.decode(tokens).startswith("{% raw %} {{ 7 * 7 }} {n}:")


def test_a_row_for_which_the_template_fails_is_shown(encode):
    with pytest.raises(
        DataError, match=r'cannot be written for the row \{"n": "x", "source": "s"\}: the template fails'
    ):
        encode("chatml", prompt="{{ n + 1 }} {source}").encode([Example(source="s", target="a", columns={"n": "x"})])
