"""From what a request says to the tokens of a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, final

from tuneoff.data.prompt.chat_template import ChatTemplate
from tuneoff.data.prompt.text_tokenizer import TextTokenizer
from tuneoff.serving.http.bodies import ChatBody, CompletionBody, Generation
from tuneoff.serving.http.contract import Engine
from tuneoff.serving.http.errors import ApiError
from tuneoff.serving.requests import Sampling

ARGUMENTS = "chat_template_kwargs"


@dataclass(frozen=True, kw_only=True)
class EncodedPrompt:
    """A prompt with its tokens."""

    text: str
    ids: tuple[int, ...]


@final
class Prompts:
    """The prompts of requests to one engine. Tokenizing takes time, so this belongs into a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._tokenizer = engine, engine.tokenizer
        self._text = TextTokenizer(self._tokenizer)

    def decode(self, token: int) -> str:
        """Return the text of one token; U+FFFD where it is a part of a character."""
        text: str = self._tokenizer.decode([token])
        return text

    def encode(self, body: Generation) -> list[EncodedPrompt]:
        """Return the prompts of a request.

        Raises:
            ApiError: it has none, several kinds at once, or one that this model has no form for.
            DataError: the run's prompt cannot be made of its fields, or the chat template refuses the messages.
            UnknownArmError: no such arm.
        """
        if body.fields is not None:
            return [self._encode_fields(body, body.fields)]
        match body:
            case CompletionBody():
                return self._encode_completion(body)
            case ChatBody():
                messages = [message.to_row() for message in body.messages]
                return [self.encode_chat(body.model, messages, body.chat_template_kwargs or {})]
        raise TypeError(f"{body} has no prompt")

    def encode_chat(
        self, arm: str, messages: Sequence[Mapping[str, str]], arguments: Mapping[str, Any] | None = None
    ) -> EncodedPrompt:
        """Return messages as the tokenizer's chat template writes them, or as the run does if the arm is nothing else.

        What spells a special token stays text.

        Args:
            arguments: variables of the template, besides those of the run.
        """
        if not messages:
            raise ApiError(400, "There are no messages. Send at least one, or the `fields` of a row.", param="messages")
        prompts = self._engine.prompts_of(arm)
        if prompts is not None and prompts.writes_chats:
            if arguments:
                raise ApiError(400, f"{arm} has a prompt of its own, which takes no variables.", param=ARGUMENTS)
            return self._decode_prompt(prompts.render_chat(messages))
        if not self._tokenizer.chat_template:
            raise ApiError(
                400,
                "This model has no chat template. Use /v1/completions, or send the `fields` of a row, such as "
                '{"source": "..."}, of which the run makes its prompt.',
                code="no_chat_template",
            )
        known = {} if prompts is None else prompts.writer.options.chat_template_kwargs
        chat = ChatTemplate(tokenizer=self._tokenizer, arguments={**known, **(arguments or {})}, day=date.today())
        text = chat.render(self._text.special.protect(list(messages)), opens_answer=True)
        return self._encode_text(text)

    def find_sampling(self, arm: str, *, has_fields: bool, is_chat: bool) -> Sampling | None:
        """Return how the run lets its model answer, if the run writes the prompt of a request; None: it does not.

        Raises:
            UnknownArmError: no such arm.
        """
        prompts = self._engine.prompts_of(arm)
        if prompts is None or not (has_fields or (is_chat and prompts.writes_chats)):
            return None
        return prompts.sampling

    def encode_text(self, text: str) -> EncodedPrompt:
        """Return a text as it is; what spells a special token is one."""
        return self._encode_text(text)

    def _encode_fields(self, body: Generation, fields: Mapping[str, Any]) -> EncodedPrompt:
        if (isinstance(body, CompletionBody) and body.prompt is not None) or (
            isinstance(body, ChatBody) and body.messages
        ):
            raise ApiError(400, "The request has a prompt and `fields`. Send one of them.", param="fields")
        return self._decode_prompt(self._engine.prompt_for(body.model, fields))

    def _encode_completion(self, body: CompletionBody) -> list[EncodedPrompt]:
        prompt = body.prompt
        if not prompt and not isinstance(prompt, str):
            raise ApiError(400, "There is no prompt. Send `prompt`, or the `fields` of a row.", param="prompt")
        if isinstance(prompt, str):
            return [self.encode_text(prompt)]
        if isinstance(prompt[0], int):
            return [self._read_ids(prompt)]
        return [self.encode_text(part) if isinstance(part, str) else self._read_ids(part) for part in prompt]

    def _read_ids(self, ids: Any) -> EncodedPrompt:  # Any: integers, as the body was validated
        size = len(self._tokenizer)
        unknown = next((token for token in ids if not 0 <= token < size), None)
        if unknown is not None:
            raise ApiError(400, f"The prompt has the token {unknown}; this model has 0 to {size - 1}.", param="prompt")
        return EncodedPrompt(text=self._decode(ids), ids=tuple(ids))

    def _encode_text(self, text: str) -> EncodedPrompt:
        return EncodedPrompt(text=text, ids=tuple(self._text.encode([text])[0]))

    def _decode_prompt(self, ids: Sequence[int]) -> EncodedPrompt:
        return EncodedPrompt(text=self._decode(ids), ids=tuple(ids))

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(ids)
        return text
