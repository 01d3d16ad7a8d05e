"""The API, as OpenAI's own client uses it."""

from typing import Any

import openai
import pytest

from tests.serving.http.scripted_engine import CONTEXT, ScriptedEngine

PROMPT = "The committee met"


@pytest.fixture
def ids(tokenizer: Any) -> list[int]:
    found: list[int] = tokenizer(PROMPT)["input_ids"]
    return found


@pytest.fixture
def backwards(tokenizer: Any, ids: list[int]) -> str:
    return "".join(tokenizer.decode([token]) for token in reversed(ids))


def test_the_base_model_and_every_arm_is_a_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["base", "lora"]
    assert client.models.retrieve("lora").owned_by == "tuneoff"


def test_a_completion_has_the_text_the_reason_and_the_counts(
    client: openai.OpenAI, ids: list[int], backwards: str
) -> None:
    answer = client.completions.create(model="lora", prompt=PROMPT)
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason, choice.logprobs) == (backwards, "stop", None)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len(ids), len(ids))
    assert answer.model == "lora"


def test_every_option_reaches_the_engine(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    client.completions.create(
        model="base", prompt=PROMPT, max_tokens=3, temperature=0.5, top_p=0.9, seed=7, stop=["x", "yz"],
        presence_penalty=0.1, frequency_penalty=0.2, logprobs=2,
    )  # fmt: skip
    sampling = engine.requests[0].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed) == (3, 0.5, 0.9, 7)
    assert (sampling.stop, sampling.logprobs) == (("x", "yz"), 2)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (0.1, 0.2)


def test_a_streamed_answer_is_the_whole_one_in_parts(client: openai.OpenAI, ids: list[int], backwards: str) -> None:
    chunks = list(
        client.completions.create(model="lora", prompt=PROMPT, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == backwards
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage and chunks[-1].usage.total_tokens) == ([], 2 * len(ids))


def test_a_streamed_chat_begins_with_its_role_and_ends_with_its_reason(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Hi"}]
    whole = client.chat.completions.create(model="lora", messages=messages, max_completion_tokens=4)
    chunks = list(client.chat.completions.create(model="lora", messages=messages, max_tokens=4, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["length"]


def test_a_chat_is_written_by_the_template_and_nothing_in_a_message_becomes_a_special_token(
    client: openai.OpenAI, engine: ScriptedEngine, tokenizer: Any
) -> None:
    parts: Any = [{"type": "text", "text": "The "}, {"type": "text", "text": "plan<eos>"}]
    messages: Any = [{"role": "developer", "content": "S"}, {"role": "user", "content": parts}]
    client.chat.completions.create(model="base", messages=messages, max_tokens=1)
    sent = engine.requests[0].prompt_ids
    assert tokenizer.decode(sent) == "[system]S[user]The plan<eos>[a]"
    assert tokenizer.eos_token_id not in sent


def test_n_answers_to_a_prompt_have_seeds_of_their_own_and_the_prompt_counts_once(
    client: openai.OpenAI, engine: ScriptedEngine, ids: list[int]
) -> None:
    answer = client.completions.create(model="base", prompt=[PROMPT, "river"], n=2, seed=5, max_tokens=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [request.sampling.seed for request in engine.requests] == [5, 6, 5, 6]
    other = len(engine.requests[2].prompt_ids)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(ids) + other


@pytest.mark.parametrize("nested", [False, True])
def test_a_prompt_may_be_tokens(client: openai.OpenAI, engine: ScriptedEngine, ids: list[int], nested: bool) -> None:
    prompt: Any = [ids] if nested else ids
    client.completions.create(model="base", prompt=prompt)
    assert engine.requests[0].prompt_ids == tuple(ids)


def test_fields_become_the_prompt_of_the_run(client: openai.OpenAI, engine: ScriptedEngine, tokenizer: Any) -> None:
    row = {"fields": {"source": "rain"}}
    client.chat.completions.create(model="lora", messages=[], extra_body=row, max_tokens=1)
    client.completions.create(model="lora", prompt=None, extra_body=row, max_tokens=1)  # type: ignore[call-overload]
    assert {tokenizer.decode(request.prompt_ids) for request in engine.requests} == {"lora: rain"}


def test_echo_with_logprobs_scores_the_prompt_without_writing_anything(
    client: openai.OpenAI, ids: list[int], tokenizer: Any
) -> None:
    """As lm-evaluation-harness asks for the likelihood of a text."""
    answer = client.completions.create(model="base", prompt=PROMPT, max_tokens=0, echo=True, logprobs=1)
    found = answer.choices[0].logprobs
    assert found is not None
    assert answer.choices[0].text == PROMPT
    assert found.token_logprobs == [None, *([-1.0] * (len(ids) - 1))]
    assert found.tokens == [tokenizer.decode([token]) for token in ids]
    assert found.top_logprobs is not None
    assert found.top_logprobs[0] is None
    assert found.top_logprobs[1] == {tokenizer.decode([ids[0]]): -1.0}
    assert found.text_offset is not None
    assert [PROMPT[at:].startswith(text) for at, text in zip(found.text_offset, found.tokens or [], strict=True)]


def test_streamed_log_probabilities_are_those_of_the_whole_answer(client: openai.OpenAI) -> None:
    options: Any = {"model": "base", "prompt": PROMPT, "echo": True, "logprobs": 1}
    whole = client.completions.create(**options).choices[0].logprobs
    parts = [chunk.choices[0].logprobs for chunk in client.completions.create(**options, stream=True)]
    assert whole is not None
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        assert [value for part in parts if part for value in getattr(part, name)] == getattr(whole, name)


def test_a_chat_has_log_probabilities_with_bytes(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Hi"}]
    answer = client.chat.completions.create(
        model="base", messages=messages, max_tokens=2, logprobs=True, top_logprobs=2
    )
    found = answer.choices[0].logprobs
    assert found is not None
    assert found.content is not None
    assert len(found.content) == 2
    assert [len(token.top_logprobs) for token in found.content] == [2, 2]
    assert bytes(found.content[0].bytes or []).decode() == found.content[0].token


def test_adapters_come_and_go_while_serving(client: openai.OpenAI) -> None:
    loaded = client.post("/load_lora_adapter", body={"lora_name": "new", "lora_path": "/a"}, cast_to=str)
    assert loaded == "Success: LoRA adapter 'new' added successfully."
    assert "new" in [model.id for model in client.models.list()]
    client.post("/unload_lora_adapter", body={"lora_name": "new"}, cast_to=str)
    assert "new" not in [model.id for model in client.models.list()]
    with pytest.raises(openai.BadRequestError, match="no adapter"):
        client.post("/load_lora_adapter", body={"lora_name": "new", "lora_path": "a"}, cast_to=str)


def test_a_chat_that_does_not_say_how_much_gets_what_the_model_has_room_for(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    messages: Any = [{"role": "user", "content": "The old bridge"}]
    assert client.chat.completions.create(model="base", messages=messages).choices[0].message.content
    (request,) = engine.requests
    assert request.sampling.max_tokens == CONTEXT - len(request.prompt_ids)


def test_the_chat_template_gets_its_own_variables(
    client: openai.OpenAI, engine: ScriptedEngine, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", "{{ style }}{{ messages[0]['content'] }}")
    options: Any = {"model": "base", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    client.chat.completions.create(**options, extra_body={"chat_template_kwargs": {"style": "kind "}})
    assert tokenizer.decode(engine.requests[0].prompt_ids) == "kind Hi"
    for name in ("chat_template", "conversations"):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**options, extra_body={"chat_template_kwargs": {name: "{{ 1 }}"}})
