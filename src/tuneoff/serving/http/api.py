"""The routes of OpenAI's API, and those with which vLLM adds and removes adapters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tuneoff.serving.http.answers import ChatForm, CompletionForm, Form, Part, Writer
from tuneoff.serving.http.bodies import (
    MOST_CHOICES,
    ChatBody,
    CompletionBody,
    Generation,
    LoadBody,
    UnloadBody,
    read_body,
)
from tuneoff.serving.http.contract import Engine
from tuneoff.serving.http.errors import ApiError, explain
from tuneoff.serving.http.meters import Meters
from tuneoff.serving.http.prompts import EncodedPrompt, Prompts
from tuneoff.serving.http.session import Session
from tuneoff.serving.http.streams import ClientGoneError, EventStream, run_while_connected, write_event
from tuneoff.serving.requests import ArmInfo, Request, Sampling, Token

COMPLETION_TOKENS = 16  # of an answer, unless the request says how many; OpenAI's default
NUMBERS = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")  # of a request and of a `Sampling`
DONE = b"data: [DONE]\n\n"


@final
@dataclass(frozen=True, kw_only=True)
class Api:
    """The routes under `/v1`.

    Args:
        chat_tokens: the most tokens of an answer in a chat, unless the request says how many.
        max_seconds: the most time for an answer.
        started: Unix time.
    """

    engine: Engine
    prompts: Prompts
    meters: Meters
    chat_tokens: int
    max_seconds: float
    started: int

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/v1/models", self.list_models),
            Route("/v1/models/{name:path}", self.show_model),
            Route("/v1/completions", self.complete, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/load_lora_adapter", self.load_adapter, methods=["POST"]),
            Route("/v1/unload_lora_adapter", self.unload_adapter, methods=["POST"]),
        ]

    async def list_models(self, _: HttpRequest) -> Response:
        """The base model and every arm."""
        return JSONResponse({"object": "list", "data": [self._describe(arm) for arm in self.engine.arms()]})

    async def show_model(self, request: HttpRequest) -> Response:
        """One of them."""
        name = request.path_params["name"]
        arms = {arm.name: arm for arm in self.engine.arms()}
        if name not in arms:
            raise ApiError(404, f"There is no model {name!r}. Models: {', '.join(arms)}.", code="model_not_found")
        return JSONResponse(self._describe(arms[name]))

    async def complete(self, request: HttpRequest) -> Response:
        """The continuation of a text."""
        body = read_body(await request.body(), CompletionBody)
        return await self._answer(
            request,
            body,
            CompletionForm(has_logprobs=body.logprobs is not None),
            sampling=self._make_sampling(body, COMPLETION_TOKENS, body.max_tokens, body.logprobs),
            fills_room=False,
            echoes=bool(body.echo),
        )

    async def chat(self, request: HttpRequest) -> Response:
        """The answer to a chat."""
        body = read_body(await request.body(), ChatBody)
        if body.top_logprobs is not None and not body.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs: true.", param="top_logprobs")
        if None not in (body.max_tokens, body.max_completion_tokens):
            raise ApiError(400, "max_tokens and max_completion_tokens are the same. Send one.", param="max_tokens")
        logprobs = (body.top_logprobs or 0) if body.logprobs else None
        most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
        form = ChatForm(has_logprobs=bool(body.logprobs))
        sampling = self._make_sampling(body, self.chat_tokens, most, logprobs)
        return await self._answer(request, body, form, sampling=sampling, fills_room=most is None, echoes=False)

    async def load_adapter(self, request: HttpRequest) -> Response:
        """Serve one more arm."""
        body = read_body(await request.body(), LoadBody)
        arm = await asyncio.to_thread(self.engine.add_arm, body.lora_name, body.lora_path)
        return PlainTextResponse(f"Success: LoRA adapter '{arm.name}' added successfully.")

    async def unload_adapter(self, request: HttpRequest) -> Response:
        """Serve one arm less."""
        body = read_body(await request.body(), UnloadBody)
        await asyncio.to_thread(self.engine.remove_arm, body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")

    def _make_sampling(self, body: Generation, tokens: int, most: int | None, logprobs: int | None) -> Sampling:
        """Return how the request is answered: what it does not say is as in the run, if the run makes its prompt.

        Args:
            tokens: the most of an answer, unless the request or the run says how many.
            most: as the request says; None: it does not.
        """
        as_in_run = self.prompts.find_sampling(
            body.model, has_fields=body.fields is not None, is_chat=isinstance(body, ChatBody)
        )
        known = as_in_run or Sampling(max_tokens=tokens)
        numbers = {name: getattr(body, name) for name in NUMBERS} | {"max_tokens": most}
        given = {name: number for name, number in numbers.items() if number is not None}
        return replace(known, **given, stop=(*known.stop, *body.stops), logprobs=logprobs)

    async def _answer(
        self, request: HttpRequest, body: Generation, form: Form, *, sampling: Sampling, fills_room: bool, echoes: bool
    ) -> Response:
        """
        Args:
            fills_room: whether an answer may be shorter than the sampling says, if the model has no room for more.
            echoes: whether the prompts are a part of the answer.
        """
        if body.stream_options is not None and not body.stream:
            raise ApiError(400, "stream_options needs stream: true.", param="stream_options")
        begun = time.monotonic()
        prompts = await asyncio.to_thread(self.prompts.encode, body)
        count = body.n or 1
        if count * len(prompts) > MOST_CHOICES:
            raise ApiError(400, f"Prompts times n is {count * len(prompts)}; the most is {MOST_CHOICES}.", param="n")
        scores = echoes and sampling.logprobs is not None
        if fills_room:
            room = min(self.engine.count_room(body.model, len(prompt.ids)) for prompt in prompts)
            sampling = replace(sampling, max_tokens=max(1, min(sampling.max_tokens, room)))
        asked = _make_requests(body.model, prompts, count, sampling, scores)
        session = Session(self.engine, asked, seconds=self.max_seconds)
        writer = Writer(
            form,
            body.model,
            decode=self.prompts.decode,
            echoes=[(p.text, p.ids) if echoes else ("", ()) for p in prompts for _ in range(count)],
            choices_per_prompt=count,
        )
        clock = _Clock(meters=self.meters, arm=body.model, begun=begun)
        if not body.stream:
            return JSONResponse(await self._collect(request, session, writer, clock))
        await session.__aenter__()  # so that a refusal is a response of its own; the stream leaves it
        events = _stream(session, writer, clock, includes_usage=body.includes_usage)
        return EventStream(events, session.cancel, self.meters.gone.inc)

    async def _collect(self, request: HttpRequest, session: Session, writer: Writer, clock: _Clock) -> dict[str, Any]:
        async def collect() -> dict[str, Any]:
            parts = writer.begin()
            async with session:
                async for index, event in session.events():
                    if isinstance(event, Token):
                        clock.note_token()
                    parts.append(writer.read(index, event))
            return writer.write_whole(parts)

        try:
            answer = await run_while_connected(request, collect())
        except ClientGoneError:
            self.meters.gone.inc()
            raise
        clock.note_end()
        return answer

    def _describe(self, arm: ArmInfo) -> dict[str, Any]:
        about = {
            "method": arm.method, "bytes": arm.bytes, "mixes": arm.mixes, "loaded": arm.is_loaded, "note": arm.note,
        }  # fmt: skip
        return {"id": arm.name, "object": "model", "created": self.started, "owned_by": "tuneoff", **about}


async def _stream(session: Session, writer: Writer, clock: _Clock, *, includes_usage: bool) -> AsyncGenerator[bytes]:
    """Yield the chunks of an answer as events. An error on the way is the last one."""
    try:
        for chunk in [*writer.open_stream(), *map(writer.write_chunk, writer.begin())]:
            yield write_event(chunk)
        async for index, event in session.events():
            if isinstance(event, Token):
                clock.note_token()
            part = writer.read(index, event)
            if not _is_empty(part):
                yield write_event(writer.write_chunk(part))
        if includes_usage:
            yield write_event(writer.write_usage())
        clock.note_end()
        yield DONE
    except Exception as error:
        yield write_event(explain(error).body)


def _is_empty(part: Part) -> bool:
    return not (part.text or part.tokens or part.reason)


def _make_requests(
    arm: str, prompts: Sequence[EncodedPrompt], count: int, sampling: Sampling, scores: bool
) -> list[Request]:
    """Return a request for each choice; those of one prompt differ in their seeds."""
    return [
        Request(arm=arm, prompt_ids=prompt.ids, sampling=_shift_seed(sampling, choice), score_prompt=scores)
        for prompt in prompts
        for choice in range(count)
    ]


def _shift_seed(sampling: Sampling, by: int) -> Sampling:
    return sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + by)


@dataclass(kw_only=True)
class _Clock:
    """Tells the meters when the first token came, and when the answer was complete."""

    meters: Meters
    arm: str
    begun: float
    has_token: bool = False

    def note_token(self) -> None:
        if not self.has_token:
            self.has_token = True
            self.meters.first_token_seconds.labels(self.arm).observe(time.monotonic() - self.begun)

    def note_end(self) -> None:
        self.meters.answer_seconds.labels(self.arm).observe(time.monotonic() - self.begun)
