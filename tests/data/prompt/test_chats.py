"""Chats of several turns: exactly the answers are scored, each with the token that ends its turn."""

import datetime

import pytest

from tests.data.prompt.tokenizers_of_kinds import CHATS, get_tokenizer
from tuneoff.data.example import Example
from tuneoff.errors import DataError

CHAT = (
    {"role": "user", "content": "Hi <|im_end|>"},
    {"role": "assistant", "content": "the cat"},
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "a dog <|eot_id|>"},
)
ENDS = {"llama-3": "<|eot_id|>", "gemma": "<end_of_turn>"}
ONE_TURN = [{"role": "user", "content": "Hi"}]


def encode_row(encoder, messages=CHAT, **values):
    columns = encoder.encode([Example(source="", target="", messages=messages, **values)])
    return {name: column[0] for name, column in columns.items()}


def decode_scored(row, kind):
    return get_tokenizer(kind).decode(
        [token for token, scored in zip(row["tokens"], row["scored"], strict=True) if scored]
    )


@pytest.mark.parametrize("kind", CHATS)
def test_the_prompt_has_the_tokens_of_apply_chat_template(encode, kind):
    messages = [{"role": "user", "content": "the cat\n sat"}, CHAT[1], {"role": "user", "content": "Who? "}]
    row = encode_row(encode(kind, prompt="chat"), (*messages, CHAT[-1]))
    expected = get_tokenizer(kind).apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert row["tokens"][: row["prompt_tokens"]] == expected


@pytest.mark.parametrize("kind", ["chatml", "marked", "llama-3", "gemma"])
def test_a_chat_has_the_tokens_of_apply_chat_template_up_to_the_end_of_its_turn(encode, kind):
    messages = [{"role": "user", "content": "the cat\n sat"}, {"role": "assistant", "content": "a dog"}]
    row = encode_row(encode(kind, prompt="chat"), tuple(messages))
    expected = get_tokenizer(kind).apply_chat_template(messages)["input_ids"]
    assert row["tokens"] == expected[: len(row["tokens"])]


@pytest.mark.parametrize("kind", ["chatml", "marked", "llama-3", "gemma", "opening"])
def test_the_last_answer_is_scored_with_the_end_of_its_turn(encode, kind):
    row = encode_row(encode(kind, prompt="chat"))
    assert decode_scored(row, kind) == "a dog <|eot_id|>" + ENDS.get(kind, "<|im_end|>")


@pytest.mark.parametrize("kind", ["chatml", "marked", "llama-3", "gemma", "opening"])
def test_all_answers_are_scored_on_request_and_nothing_else(encode, kind):
    end = ENDS.get(kind, "<|im_end|>")
    row = encode_row(encode(kind, prompt="chat", turns="all"))
    assert decode_scored(row, kind) == f"the cat{end}a dog <|eot_id|>{end}"


@pytest.mark.parametrize("kind", CHATS)
def test_a_generation_ends_where_the_template_ends_a_turn(encode, kind):
    encoder = encode(kind, prompt="chat")
    assert encoder.ends == (get_tokenizer(kind).convert_tokens_to_ids(ENDS.get(kind, "<|im_end|>")),)


def test_an_answer_ends_in_eos_without_a_chat_template(encode):
    assert encode("chatml", prompt="{source}: ").ends == (get_tokenizer("chatml").eos_token_id,)


def test_thoughts_are_scored_as_the_template_writes_them(encode):
    thought = {"role": "assistant", "content": "<think>\nhm\n</think>\n\na dog"}
    row = encode_row(encode("thinking", prompt="chat"), (*CHAT[:3], thought))
    assert decode_scored(row, "thinking") == "<think>\nhm\n</think>\n\na dog<|im_end|>"


def test_thoughts_of_earlier_answers_are_not_in_the_prompt(encode):
    thought = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nthe cat"}
    row = encode_row(encode("thinking", prompt="chat", turns="all"), (CHAT[0], thought, *CHAT[2:]))
    assert decode_scored(row, "thinking") == "the cat<|im_end|><think>\n\n</think>\n\na dog <|eot_id|><|im_end|>"


def test_arguments_of_the_recipe_reach_the_template(encode):
    row = encode_row(encode("thinking", prompt="chat", chat_template_kwargs={"enable_thinking": False}))
    assert decode_scored(row, "thinking") == "a dog <|eot_id|><|im_end|>"


def test_thoughts_that_the_prompt_has_begun_go_on_behind_it(encode):
    thought = {"role": "assistant", "content": "<think>\nhm\n</think>\n\na dog"}
    row = encode_row(encode("opening", prompt="chat"), (*CHAT[:3], thought))
    assert decode_scored(row, "opening") == "hm\n</think>\n\na dog<|im_end|>"


def test_an_opening_that_a_finished_chat_does_not_have_is_said_once(encode, caplog):
    encoder = encode("opening", prompt="chat")
    encode_row(encoder)
    encode_row(encoder)
    assert caplog.text.count("ends a prompt with '<think>\\n'") == 1


def test_earlier_answers_that_the_template_changes_are_refused(encode, monkeypatch):
    template = (
        "{% for m in messages %}{{ '<|im_start|>' ~ (m.content if loop.last else '...') ~ '<|im_end|>' }}{% endfor %}"
    )
    monkeypatch.setattr(
        get_tokenizer("chatml"), "chat_template", template + "{% if add_generation_prompt %}> {% endif %}"
    )
    with pytest.raises(DataError, match=r"earlier answers of a chat cannot be found.*Use turns: last"):
        encode_row(encode("chatml", prompt="chat", turns="all"))


def test_a_system_message_is_in_the_prompt(encode):
    row = encode_row(encode("chatml", prompt="chat"), ({"role": "system", "content": "Be brief."}, *CHAT))
    assert get_tokenizer("chatml").decode(row["tokens"]).startswith("<|im_start|>system\nBe brief.<|im_end|>")


def test_a_template_that_refuses_system_messages_says_so(encode):
    with pytest.raises(DataError, match=r"fails on messages of system, user.*no system role.*prompt: '\{source\}"):
        encode_row(encode("gemma", prompt="chat"), ({"role": "system", "content": "Be brief."}, *CHAT))


@pytest.mark.parametrize("tools", [[{"name": "look"}], '[{"name": "look"}]'])
def test_tools_of_a_row_reach_the_template(encode, monkeypatch, tools):
    tokenizer = get_tokenizer("chatml")
    monkeypatch.setattr(
        tokenizer, "chat_template", "{% if tools %}{{ tools[0].name }}{% endif %}" + tokenizer.chat_template
    )
    row = encode_row(encode("chatml", prompt="chat"), columns={"tools": tools})
    assert tokenizer.decode(row["tokens"]).startswith("look<|im_start|>")


def test_the_date_is_that_of_the_recipe(encode):
    row = encode_row(encode("dated", prompt="chat", date=datetime.date(2024, 7, 4)))
    assert "Today is 04 Jul 2024.\n" in get_tokenizer("dated").decode(row["tokens"])


def test_the_date_of_today_becomes_part_of_the_options(encode):
    assert encode("dated", prompt="chat").options.date == datetime.date.today()


def test_a_template_without_a_date_has_none_in_the_options(encode):
    assert encode("llama-3", prompt="chat").options.date is None


def test_a_row_that_is_no_chat_becomes_one_turn(encode):
    columns = encode("llama-3", prompt="chat", chat_instruction="Shorten: {{ text }}").encode(
        [Example(source="x", target="cat", columns={"text": "the cat"})]
    )
    assert get_tokenizer("llama-3").decode(columns["tokens"][0]) == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nShorten: the cat<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\ncat<|eot_id|>"
    )


def test_the_oldest_turns_are_left_out_first_and_the_system_message_stays(encode):
    turns = [part for k in range(9) for part in ({"role": "user", "content": f"Hi {k}"}, CHAT[1])]
    encoder = encode("chatml", prompt="chat", max_tokens=80, max_target_tokens=20)
    row = encode_row(encoder, ({"role": "system", "content": "Be brief."}, *turns))
    text = get_tokenizer("chatml").decode(row["tokens"])
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi ")
    assert ("Hi 8" in text, "Hi 0" in text, row["cut"]) == (True, False, ["messages"])
    assert row["prompt_tokens"] <= 60


def test_the_longest_message_is_cut_if_leaving_out_turns_is_not_enough(encode):
    encoder = encode("chatml", prompt="chat", max_tokens=80, max_target_tokens=20)
    chat = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "the cat sat " * 50}, CHAT[1])
    row = encode_row(encoder, chat)
    assert row["prompt_tokens"] == 60
    assert get_tokenizer("chatml").decode(row["tokens"]).endswith("<|im_start|>assistant\nthe cat<|im_end|>")


def test_a_chat_whose_system_message_alone_is_too_long_is_refused(encode):
    encoder = encode("chatml", prompt="chat", max_tokens=80, max_target_tokens=20)
    with pytest.raises(DataError, match="more even without everything that may be cut"):
        encode_row(encoder, ({"role": "system", "content": "the cat " * 90}, *CHAT))
