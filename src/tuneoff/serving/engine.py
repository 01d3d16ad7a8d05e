"""The engine: one thread owns the model and answers all requests, in batches whose rows join and leave at every token.

Whoever serves over HTTP only submits requests and passes their events on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tuneoff.data.example import Row as Fields
from tuneoff.errors import QueueFullError, RequestError, RunError, TooLongError, UnknownArmError, suggest
from tuneoff.models.greedy_decoding import can_generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.rope import count_positions
from tuneoff.models.stop_strings import find_special_tokens
from tuneoff.serving.arm_memory import ArmMemory, choose_limit
from tuneoff.serving.arms import Arm, ArmSource, list_ends, load_arm, read_again
from tuneoff.serving.lane import Lane
from tuneoff.serving.lanes import Lanes
from tuneoff.serving.limits import ServerLimits
from tuneoff.serving.prompts import Prompts
from tuneoff.serving.requests import ArmInfo, OnEvent, Request, Stats
from tuneoff.serving.row import Row
from tuneoff.serving.self_test import Agreement, find_lane, open_own_lane, require_agreement
from tuneoff.serving.sources import read_source

_LOG = logging.getLogger(__name__)
SHARED_SHARE = 0.125  # of the positions of the cache


@dataclass(frozen=True)
class Ticket:
    """A request that was accepted."""

    _row: Row
    _wake: Callable[[], None]

    def cancel(self) -> None:
        """End the answer soon; its last event says so. Nothing happens if it has ended already."""
        self._row.cancelled = True
        self._wake()


class Engine:
    """Answers requests to the arms of one base model.

    Args:
        base: the base model, ready for inference. The engine's arms share its weights.
        arms: where each arm comes from, by name.
        max_rows: requests that are answered at the same time.
        max_cache_tokens: positions of keys and values that they may need, with padding. Buffers may be half as large
            again.
        max_shared_tokens: positions that are kept of what prompts have in common at their beginnings, besides those.
            None: an eighth of them.
        max_waiting: requests that may wait.
        max_arm_bytes: memory for all arms besides the base model. Those that were not used for longest leave it, and
            are read again when they are asked. None: half of what is free now.
        fingerprint: of the base model's files; arms of other files are refused.

    Raises:
        RunError: the base model or an arm cannot be served.
    """

    def __init__(
        self,
        base: LanguageModel,
        arms: dict[str, ArmSource] | None = None,
        *,
        max_rows: int = ServerLimits.rows,
        max_cache_tokens: int = ServerLimits.cache_tokens,
        max_shared_tokens: int | None = None,
        max_waiting: int = ServerLimits.waiting,
        max_arm_bytes: int | None = ServerLimits.arm_bytes,
        fingerprint: str | None = None,
    ) -> None:
        if not can_generate(base.base):
            raise RunError(
                f"A {type(base.base).__name__} cannot be served: it keeps more than the keys and values of its text, "
                "or takes no positions, so rows of a batch would change each other. tuneoff.load answers with it."
            )
        self.tokenizer: Any = base.tokenizer  # transformers' tokenizers share no type
        self._base = base
        self._fingerprint = fingerprint
        self._max_cache_tokens = max_cache_tokens
        self._max_waiting = max_waiting
        self._changed = threading.Condition()  # guards what follows, but for the lanes, which are the thread's own
        self._arms: dict[str, Arm] = {}
        self._removed: set[Arm] = set()  # that are still in memory, for requests that wait
        self._memory = ArmMemory(choose_limit(base.base.device) if max_arm_bytes is None else max_arm_bytes)
        self._waiting: deque[Row] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._stopping_at: float | None = None
        self._has_ended = False
        self._requests: Counter[str] = Counter()
        shared = int(SHARED_SHARE * max_cache_tokens) if max_shared_tokens is None else max_shared_tokens
        self._lanes = Lanes(base, max_rows=max_rows, max_cache_tokens=max_cache_tokens, max_shared_tokens=shared)
        self._tokens: Counter[str] = Counter()
        self._widths: Counter[int] = Counter()
        self._mixed: Counter[int] = Counter()
        self._thread = threading.Thread(target=self._work, name="tuneoff-engine", daemon=True)
        self._loader = threading.Thread(target=self._load_wanted, name="tuneoff-loader", daemon=True)
        for name, source in (arms or {}).items():
            self.add_arm(name, source)

    @property
    def context_tokens(self) -> int | None:
        """Positions of the model, or fewer if longer rows would change others in a batch; None: it does not say."""
        return count_positions(self._base.base.config)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._loader.start()

    def stop(self, drain_seconds: float = 0.0) -> None:
        """Take no more requests, finish what is accepted within a time, and cancel the rest."""
        with self._changed:
            self._stopping_at = time.monotonic() + drain_seconds
            self._changed.notify_all()
        for thread in (self._thread, self._loader):
            if thread.is_alive():
                thread.join()

    def submit(self, request: Request, on_event: OnEvent) -> Ticket:
        """Accept a request, whose events come from the engine's thread.

        Raises:
            UnknownArmError: no arm has this name.
            TooLongError: the prompt and the answer do not fit the model or the engine.
            QueueFullError: too many requests wait.
            RequestError: a token of the prompt is none of the model's, or the engine stops.
        """
        arm = self._get_arm(request.arm)
        self._require_fitting(request, arm)
        special_stops = find_special_tokens(self.tokenizer, request.sampling.stop)  # which the text leaves out
        ends = list_ends(self._base, arm.source).union(special_stops)
        row = Row(request, arm, on_event, self.tokenizer, ends)
        with self._changed:
            if self._stopping_at is not None:
                raise RequestError("The server stops and takes no more requests.")
            if self._arms.get(request.arm) is not arm:
                raise self._describe_unknown(request.arm)
            if len(self._waiting) >= self._max_waiting:
                raise QueueFullError(
                    f"{len(self._waiting)} requests wait already, which is the limit. Send this one again later."
                )
            self._waiting.append(row)
            self._requests[arm.name] += 1
            self._memory.note_use(arm)
            self._changed.notify_all()
        return Ticket(row, self._wake)

    def arms(self) -> list[ArmInfo]:
        """Return what is served, in the order in which it was added."""
        with self._changed:
            arms = list(self._arms.values())
        return [
            ArmInfo(
                name=arm.name,
                method=arm.source.method.name,
                bytes=arm.bytes,
                mixes=arm.mixes,
                is_loaded=arm.weights is not None,
                note=f"{arm.source.note} {arm.note}".strip(),
            )
            for arm in arms
        ]

    def add_arm(self, name: str, source: ArmSource | str | Path) -> ArmInfo:
        """Load an arm and serve it from then on. Those that are being answered go on meanwhile.

        If the memory is not enough for all, those that were not used for longest leave it, once they have no rows.

        Args:
            source: `RUN:LABEL`, the folder of an adapter in peft's format, or what `read_source` returned.

        Raises:
            RunError: there is an arm of this name, or this one cannot be loaded, is too large or cannot be served.
        """
        self._require_free(name)
        if not isinstance(source, ArmSource):
            source = read_source(source, self._base)
        if source.fingerprint is not None and self._fingerprint not in (None, source.fingerprint):
            raise RunError(
                f"{name} was trained from another base model than the one that is served: its fingerprint is "
                f"{source.fingerprint}, and that of {self._base.known_as} is {self._fingerprint}. Serve it on its own."
            )
        arm, lane = find_lane(load_arm(name, source, self._base), self._base)
        self._memory.require_possible(arm)
        with self._changed:
            self._require_free(name)
            self._arms[name] = arm
            self._attach(arm, lane)
            if not self._thread.is_alive():
                self._settle()
        return next(info for info in self.arms() if info.name == name)

    def remove_arm(self, name: str) -> None:
        """Serve an arm no longer. Requests that were accepted are still answered.

        Raises:
            UnknownArmError: no arm has this name.
        """
        arm = self._get_arm(name)
        with self._changed:
            self._arms.pop(name, None)
            self._removed.add(arm)
            self._changed.notify_all()

    def prompts_of(self, arm: str) -> Prompts | None:
        """Return how an arm's run asks it and lets it answer; None: it comes from no run.

        Raises:
            UnknownArmError: no arm has this name.
        """
        return self._get_arm(arm).source.prompts

    def prompt_for(self, arm: str, fields: str | Fields | Sequence[Fields]) -> tuple[int, ...]:
        """Return the tokens of the prompt that an arm's run writes for a source text, a row of fields or a chat.

        Raises:
            UnknownArmError: no arm has this name.
            RequestError: the arm does not come from a run.
            DataError: the fields do not fit the template.
        """
        prompts = self.prompts_of(arm)
        if prompts is None:
            raise RequestError(f"{arm} comes from no run that could write its prompt. Send a whole prompt.")
        return prompts.render(fields)

    def count_room(self, arm: str, prompt_tokens: int) -> int:
        """Return the most tokens that an answer to a prompt of this length can have; below 1 if there is no room.

        Raises:
            UnknownArmError: no arm has this name.
        """
        limit = self._max_cache_tokens - 1 if self.context_tokens is None else self.context_tokens
        return min(limit, self._max_cache_tokens - 1) - self._get_arm(arm).context_tokens - prompt_tokens

    def check(self) -> dict[str, Agreement]:
        """Compare the logits of every arm in memory, in one batch with the others where it mixes, with the model alone.

        Raises:
            RunError: an arm differs by more than rounding.
        """
        with self._changed:
            arms = [arm for arm in self._arms.values() if arm.weights is not None]
        return require_agreement(arms, self._base)

    def stats(self) -> Stats:
        """Return what the engine does and has done."""
        with self._changed:
            return Stats(
                rows=sum(len(lane.rows) for lane in self._lanes),
                waiting=len(self._waiting),
                steps=sum(self._widths.values()),
                prefills=sum(lane.prefills for lane in self._lanes),
                tokens_out=self._tokens.total(),
                requests=dict(self._requests),
                tokens_by_arm=dict(self._tokens),
                widths=dict(self._widths),
                mixed=dict(self._mixed),
                cache_tokens=sum(len(lane.rows) * lane.cache.width for lane in self._lanes),
                reused_tokens=self._lanes.prefixes.reused_tokens,
                arms=self._memory.arms,
                arm_bytes=self._memory.bytes,
                arm_loads=self._memory.loads,
                arm_unloads=self._memory.unloads,
            )

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _get_arm(self, name: str) -> Arm:
        with self._changed:
            if name not in self._arms:
                raise self._describe_unknown(name)
            return self._arms[name]

    def _describe_unknown(self, name: str) -> UnknownArmError:
        return UnknownArmError(f"No model {name!r} is served.{suggest(name, self._arms)}", tuple(self._arms))

    def _require_free(self, name: str) -> None:
        if name in self._arms:
            raise RunError(f"A model {name!r} is served already. Remove it first, or choose another name.")

    def _require_fitting(self, request: Request, arm: Arm) -> None:
        vocabulary = self._base.base.get_input_embeddings().num_embeddings
        if not all(0 <= token < vocabulary for token in request.prompt_ids):
            raise RequestError(f"The prompt has tokens that the model does not: its ids are 0 to {vocabulary - 1}.")
        prompt, answer = len(request.prompt_ids), request.sampling.max_tokens
        counted = f"{prompt} tokens of the prompt" + (f", {arm.context_tokens} before it" if arm.context_tokens else "")
        needed = arm.context_tokens + prompt + answer
        for limit, whose in ((self.context_tokens, "the model's context"), (self._max_cache_tokens - 1, "the server")):
            if limit is not None and needed > limit:
                raise TooLongError(
                    f"{counted} and {answer} of the answer are {needed}, and {whose} has room for {limit}. "
                    f"Shorten the prompt, or ask for at most {max(0, limit - needed + answer)} tokens."
                )

    def _attach(self, arm: Arm, own: Lane | None) -> None:
        """Serve an arm that was loaded, from the next step on."""
        self._memory.put(arm)
        self._commands.append(lambda: self._lanes.add(arm, own))
        self._changed.notify_all()

    # What follows runs in the thread that loads.

    def _load_wanted(self) -> None:
        """Load the arms for which requests wait, in the order of these, as soon as there is room."""
        while (arm := self._wait_for_wanted()) is not None:
            try:
                weights = read_again(arm, self._base)
            except Exception as error:
                _LOG.warning("%s cannot be read again: %s", arm.name, error)
                self._fail_waiting(arm, error)
                continue
            with self._changed:
                arm.weights = weights
                self._attach(arm, None if arm.mixes else open_own_lane(arm))
                if self._arms.get(arm.name) is not arm:  # it was removed meanwhile
                    self._removed.add(arm)

    def _fail_waiting(self, arm: Arm, error: Exception) -> None:
        """Fail all requests that wait for an arm. They hear of it from the engine's thread."""
        with self._changed:
            lost = [row for row in self._waiting if row.arm is arm]
            self._waiting = deque(row for row in self._waiting if row.arm is not arm)
            self._commands += [partial(row.fail, error) for row in lost]
            self._changed.notify_all()

    def _wait_for_wanted(self) -> Arm | None:
        """Return the next arm to load, with room for it; None: the engine has ended.

        Arms for which requests wait before those to this one stay, so that some request is always answered.
        """
        with self._changed:
            while not self._has_ended:
                before: list[Arm] = []
                for arm in (row.arm for row in self._waiting):
                    if self._memory.has(arm):
                        before.append(arm)
                        continue
                    if self._memory.has_room(arm.bytes):
                        return arm
                    self._memory.make_room(arm.bytes, keep=before)
                    self._changed.notify_all()
                    break
                self._changed.wait()
        return None

    # What follows runs in the engine's thread.

    def _work(self) -> None:
        while self._wait_for_work():
            self._do_work()
        with self._changed:
            self._settle()  # those whose arm could not be read are still to hear of it
            self._has_ended = True
            self._changed.notify_all()

    def _do_work(self) -> None:
        """Read prompts and give each row a token."""
        try:
            self._settle()
            self._cancel()
            self._read_waiting()
            for lane in self._lanes:
                self._step(lane)
        except Exception as error:  # a fault of ours; those who wait must hear of it
            _LOG.exception("The engine failed; what it was answering is lost.")
            for row in self._list_open():
                row.fail(error)
            for lane in self._lanes:
                lane.clear()

    def _wait_for_work(self) -> bool:
        """Return whether there is something to do, now or after a while."""
        with self._changed:
            while not self._has_work():
                if self._stopping_at is not None and not self._waiting:
                    return False
                if self._is_over():
                    break
                self._changed.wait(self._count_seconds_left())
        if self._is_over():
            for row in self._list_open():
                row.cancel()
            return False
        return True

    def _has_work(self) -> bool:
        if self._commands or self._lanes.rows or self._memory.leaving:
            return True
        if any(not self._has_waiting(arm) for arm in self._removed):
            return True
        return any(row.cancelled or self._is_ready(row.arm) for row in self._waiting)

    def _count_seconds_left(self) -> float | None:
        """Return the time until the engine must have stopped; None: it goes on."""
        return None if self._stopping_at is None else max(0.0, self._stopping_at - time.monotonic())

    def _is_over(self) -> bool:
        return self._count_seconds_left() == 0

    def _is_ready(self, arm: Arm) -> bool:
        """Return whether prompts to an arm can be read."""
        return self._lanes.has(arm) and arm not in self._memory.leaving

    def _has_waiting(self, arm: Arm) -> bool:
        return any(row.arm is arm for row in self._waiting)

    def _list_open(self) -> list[Row]:
        """Return all requests that are not finished; those that waited wait no longer."""
        with self._changed:
            waiting, self._waiting = list(self._waiting), deque()
        return [row for row in (*waiting, *self._lanes.rows) if not row.finished]

    def _settle(self) -> None:
        """Take up arms that were loaded, and let those go that must leave and have no rows."""
        with self._changed:
            commands, self._commands = list(self._commands), deque()
            for command in commands:
                command()
            used = {row.arm for row in self._lanes.rows}
            for arm in [arm for arm in self._removed if not self._has_waiting(arm)]:
                self._removed.remove(arm)
                self._memory.let_leave(arm)
            self._memory.make_room(0, keep=[row.arm for row in self._waiting])
            unused = [arm for arm in self._memory.leaving if arm not in used]
            for arm in unused:
                self._lanes.remove(arm)
                self._memory.drop(arm)
            if commands or unused:
                self._changed.notify_all()

    def _cancel(self) -> None:
        with self._changed:
            cancelled = [row for row in self._waiting if row.cancelled]
            self._waiting = deque(row for row in self._waiting if not row.cancelled)
        for row in cancelled:
            row.cancel()
        for lane in self._lanes:
            lane.cancel([row for row in lane.rows if row.cancelled])

    def _read_waiting(self) -> None:
        """Read the prompts of as many waiting requests as there is room for, in their order."""
        taken: dict[Lane, list[Row]] = {}
        with self._changed:
            for row in [row for row in self._waiting if self._is_ready(row.arm)]:
                if not self._lanes.has_room(row, taken):
                    break
                self._waiting.remove(row)
                taken.setdefault(self._lanes.find(row.arm), []).append(row)
            if taken:
                self._changed.notify_all()
        for lane, rows in taken.items():
            lane.read(rows)
            self._count_tokens(rows)

    def _step(self, lane: Lane) -> None:
        rows = list(lane.rows)
        if not rows:
            return
        lane.step()
        with self._changed:
            self._widths[len(rows)] += 1
            self._mixed[len({row.arm for row in rows})] += 1
        self._count_tokens(rows)

    def _count_tokens(self, rows: Sequence[Row]) -> None:
        with self._changed:
            for row in rows:
                self._tokens[row.arm.name] += bool(row.tokens)
