"""The routes of the page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Literal, final

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tuneoff.runs.votes import add_vote
from tuneoff.serving.http.bodies import read_body
from tuneoff.serving.http.contract import Engine
from tuneoff.serving.http.errors import ApiError, explain
from tuneoff.serving.http.meters import Meters
from tuneoff.serving.http.page.content import PageContent
from tuneoff.serving.http.page.document import answer_document
from tuneoff.serving.http.page.rounds import Round, Rounds
from tuneoff.serving.http.prompts import Prompts
from tuneoff.serving.http.session import Session
from tuneoff.serving.http.streams import EventStream, write_event
from tuneoff.serving.requests import Finished, Request, Sampling, Token

MOST_ARMS = 26  # that answer at once: each has a letter
SEED = 0  # of all arms, so that they draw the same random numbers


class RoundBody(BaseModel):
    """`POST /page/rounds`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: Literal["run", "chat", "text"]
    text: str = Field(min_length=1)
    row: int | None = None
    arms: list[str] = Field(min_length=1, max_length=MOST_ARMS)
    blind: bool
    max_tokens: int = Field(ge=1)
    temperature: float


class VoteBody(BaseModel):
    """`POST /page/votes`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    round: str
    choice: int | None


@final
@dataclass(frozen=True, kw_only=True)
class PageRoutes:
    """The page, and what its script asks for."""

    engine: Engine
    prompts: Prompts
    meters: Meters
    content: PageContent
    max_seconds: float
    rounds: Rounds = field(default_factory=Rounds)

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/", self.show),
            Route("/page/state", self.tell_state),
            Route("/page/example", self.draw_example),
            Route("/page/rounds", self.ask, methods=["POST"]),
            Route("/page/votes", self.vote, methods=["POST"]),
        ]

    async def show(self, _: HttpRequest) -> Response:
        return answer_document()

    async def tell_state(self, _: HttpRequest) -> Response:
        """What the page shows before the first question."""
        arms = self.engine.arms()
        return JSONResponse(
            {
                "title": self.content.title,
                "verdict": self.content.verdict,
                "arms": [{"name": arm.name, "method": arm.method, "note": arm.note} for arm in arms],
                "has_chat": bool(self.engine.tokenizer.chat_template),
                "has_examples": bool(self.content.examples),
                "standings": await self._list_standings(),
            }
        )

    async def draw_example(self, request: HttpRequest) -> Response:
        """A test example at random."""
        if not self.content.examples:
            raise ApiError(404, "The run has no test examples with text.")
        after = request.query_params.get("after", "")
        example = self.content.draw_example(int(after) if after.isdecimal() else -1)
        return JSONResponse({"row": example.row, "source": example.source, "reference": example.reference})

    async def ask(self, request: HttpRequest) -> Response:
        """A round: the answers of all arms as one stream, since browsers open only six at once."""
        body = read_body(await request.body(), RoundBody)
        if len(set(body.arms)) < (2 if body.blind else 1) or len(set(body.arms)) < len(body.arms):
            raise ApiError(400, "A blind round needs two different arms.", param="arms")
        opened = self.rounds.open(body.text, body.row, body.arms, is_blind=body.blind)
        prompts = await asyncio.to_thread(lambda: [self._encode(arm, body) for arm in opened.arms])
        rooms = [self.engine.count_room(arm, len(ids)) for arm, ids in zip(opened.arms, prompts, strict=True)]
        most = max(1, min(body.max_tokens, *rooms))  # for all the same; a prompt without any room is refused below
        asked = [
            Request(arm=arm, prompt_ids=prompt, sampling=self._make_sampling(arm, body, most))
            for arm, prompt in zip(opened.arms, prompts, strict=True)
        ]
        session = Session(self.engine, asked, seconds=self.max_seconds)
        await session.__aenter__()
        return EventStream(_stream(session, opened), session.cancel, self.meters.gone.inc)

    async def vote(self, request: HttpRequest) -> Response:
        """A vote for one answer of a blind round, which reveals the arms."""
        body = read_body(await request.body(), VoteBody)
        voted, vote = self.rounds.vote(body.round, body.choice)
        await asyncio.to_thread(add_vote, self.content.votes_file, vote)
        return JSONResponse({"arms": list(voted.arms), "standings": await self._list_standings()})

    async def _list_standings(self) -> list[dict[str, object]]:
        arms = [arm.name for arm in self.engine.arms()]
        return await asyncio.to_thread(self.content.list_standings, arms)

    def _make_sampling(self, arm: str, body: RoundBody, most: int) -> Sampling:
        as_in_run = self.prompts.find_sampling(arm, has_fields=body.kind == "run", is_chat=body.kind == "chat")
        return replace(as_in_run or Sampling(), max_tokens=most, temperature=body.temperature, seed=SEED)

    def _encode(self, arm: str, body: RoundBody) -> tuple[int, ...]:
        match body.kind:
            case "run":
                example = self.content.find_example(body.row) if body.row is not None else None
                return tuple(self.engine.prompt_for(arm, example.asked if example else body.text))
            case "chat":
                return self.prompts.encode_chat(arm, [{"role": "user", "content": body.text}]).ids
            case "text":
                return self.prompts.encode_text(body.text).ids


async def _stream(session: Session, opened: Round) -> AsyncGenerator[bytes]:
    """Yield the events of a round: its names, the texts as they come, and how each answer ended."""
    begun, firsts = time.monotonic(), [0.0] * len(opened.arms)
    yield write_event({"round": opened.id, "panes": opened.names})
    try:
        async for index, event in session.events():
            if isinstance(event, Token):
                firsts[index] = firsts[index] or time.monotonic() - begun
            if isinstance(event, Token | Finished) and (event.text or isinstance(event, Token)):
                opened.texts[index] += event.text
                yield write_event({"pane": index, "text": event.text})
            if isinstance(event, Finished):
                opened.finished += 1
                end = {"tokens": event.completion_tokens, "seconds": time.monotonic() - begun, "reason": event.reason}
                yield write_event({"pane": index, "end": {**end, "first_seconds": firsts[index]}})
    except Exception as error:
        yield write_event(explain(error).body)
