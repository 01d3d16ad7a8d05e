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


@pytest.mark.parametrize("prompt", ["{source} {answer}", "{{ answer[0] }}"])
def test_a_prompt_that_shows_the_answer_is_refused(encode, prompt):
    with pytest.raises(DataError, match="shows 'answer', which holds the answers"):
        encode("chatml", prompt=prompt).require_columns(["question", "answer"], "data.csv", {"answer"})


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
