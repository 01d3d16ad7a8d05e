"""The two threads of an engine: one answers, in batches whose rows join and leave at every token; one loads arms.

The first owns the model and all lanes. Whoever has a row to be answered, or an arm to serve or to let go, only says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from tuneoff.errors import QueueFullError, RequestError
from tuneoff.models.language_model import LanguageModel
from tuneoff.serving.arm_memory import ArmMemory
from tuneoff.serving.arms import Arm, read_again
from tuneoff.serving.lane import Lane
from tuneoff.serving.lanes import Lanes
from tuneoff.serving.requests import Stats
from tuneoff.serving.row import Row
from tuneoff.serving.self_test import open_own_lane

_LOG = logging.getLogger(__name__)


@final
class Scheduler:
    """Decides at every token which rows are answered, and which arms are in memory.

    Args:
        base: the base model.
        lanes: in which rows are answered.
        memory: of the arms.
        max_waiting: rows that may wait.
    """

    def __init__(self, base: LanguageModel, lanes: Lanes, memory: ArmMemory, max_waiting: int) -> None:
        self.changed = threading.Condition()  # guards what follows, but for the lanes, which are the thread's own
        self._base, self._lanes, self._memory = base, lanes, memory
        self._max_waiting = max_waiting
        self._served: set[Arm] = set()
        self._removed: set[Arm] = set()  # that are still in memory, for rows that wait
        self._waiting: deque[Row] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._stopping_at: float | None = None
        self._has_ended = False
        self._requests: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._widths: Counter[int] = Counter()
        self._mixed: Counter[int] = Counter()
        self._thread = threading.Thread(target=self._work, name="tuneoff-engine", daemon=True)
        self._loader = threading.Thread(target=self._load_wanted, name="tuneoff-loader", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._loader.start()

    def stop(self, drain_seconds: float) -> None:
        """Take no more rows, finish what is accepted within a time, and cancel the rest."""
        with self.changed:
            self._stopping_at = time.monotonic() + drain_seconds
            self.changed.notify_all()
        for thread in (self._thread, self._loader):
            if thread.is_alive():
                thread.join()

    def accept(self, row: Row) -> None:
        """Let a row wait until it is answered.

        Raises:
            QueueFullError: too many rows wait.
            RequestError: the engine stops.
        """
        with self.changed:
            if self._stopping_at is not None:
                raise RequestError("The server stops and takes no more requests.")
            if len(self._waiting) >= self._max_waiting:
                raise QueueFullError(
                    f"{len(self._waiting)} requests wait already, which is the limit. Send this one again later."
                )
            self._waiting.append(row)
            self._requests[row.arm.name] += 1
            self._memory.note_use(row.arm)
            self.changed.notify_all()

    def add(self, arm: Arm, own: Lane | None) -> None:
        """Serve an arm that was loaded, with a lane of its own if it cannot mix."""
        with self.changed:
            self._served.add(arm)
            self._attach(arm, own)
            if not self._thread.is_alive():
                self._settle()

    def remove(self, arm: Arm) -> None:
        """Let an arm go, once no row waits for it."""
        with self.changed:
            self._served.discard(arm)
            self._removed.add(arm)
            self.changed.notify_all()

    def wake(self) -> None:
        """Let the threads look for what changed."""
        with self.changed:
            self.changed.notify_all()

    def stats(self) -> Stats:
        """Return what is done and has been done."""
        with self.changed:
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

    def _attach(self, arm: Arm, own: Lane | None) -> None:
        self._memory.put(arm)
        self._commands.append(lambda: self._lanes.add(arm, own))
        self.changed.notify_all()

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
            with self.changed:
                arm.weights = weights
                self._attach(arm, None if arm.mixes else open_own_lane(arm))
                if arm not in self._served:  # it was removed meanwhile
                    self._removed.add(arm)

    def _fail_waiting(self, arm: Arm, error: Exception) -> None:
        """Fail all requests that wait for an arm. They hear of it from the engine's thread."""
        with self.changed:
            lost = [row for row in self._waiting if row.arm is arm]
            self._waiting = deque(row for row in self._waiting if row.arm is not arm)
            self._commands += [partial(row.fail, error) for row in lost]
            self.changed.notify_all()

    def _wait_for_wanted(self) -> Arm | None:
        """Return the next arm to load, with room for it; None: the engine has ended.

        Arms for which requests wait before those to this one stay, so that some request is always answered.
        """
        with self.changed:
            while not self._has_ended:
                before: list[Arm] = []
                for arm in (row.arm for row in self._waiting):
                    if self._memory.has(arm):
                        before.append(arm)
                        continue
                    if self._memory.has_room(arm.bytes):
                        return arm
                    self._memory.make_room(arm.bytes, keep=before)
                    self.changed.notify_all()
                    break
                self.changed.wait()
        return None

    # What follows runs in the engine's thread.

    def _work(self) -> None:
        while self._wait_for_work():
            self._do_work()
        with self.changed:
            self._settle()  # those whose arm could not be read are still to hear of it
            self._has_ended = True
            self.changed.notify_all()

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
        with self.changed:
            while not self._has_work():
                if self._stopping_at is not None and not self._waiting:
                    return False
                if self._is_over():
                    break
                self.changed.wait(self._count_seconds_left())
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
        with self.changed:
            waiting, self._waiting = list(self._waiting), deque()
        return [row for row in (*waiting, *self._lanes.rows) if not row.finished]

    def _settle(self) -> None:
        """Take up arms that were loaded, and let those go that must leave and have no rows."""
        with self.changed:
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
                self.changed.notify_all()

    def _cancel(self) -> None:
        with self.changed:
            cancelled = [row for row in self._waiting if row.cancelled]
            self._waiting = deque(row for row in self._waiting if not row.cancelled)
        for row in cancelled:
            row.cancel()
        for lane in self._lanes:
            lane.cancel([row for row in lane.rows if row.cancelled])

    def _read_waiting(self) -> None:
        """Read the prompts of as many waiting requests as there is room for, in their order."""
        taken: dict[Lane, list[Row]] = {}
        with self.changed:
            for row in [row for row in self._waiting if self._is_ready(row.arm)]:
                if not self._lanes.has_room(row, taken):
                    break
                self._waiting.remove(row)
                taken.setdefault(self._lanes.find(row.arm), []).append(row)
            if taken:
                self.changed.notify_all()
        for lane, rows in taken.items():
            lane.read(rows)
            self._count_tokens(rows)

    def _step(self, lane: Lane) -> None:
        rows = list(lane.rows)
        if not rows:
            return
        lane.step()
        with self.changed:
            self._widths[len(rows)] += 1
            self._mixed[len({row.arm for row in rows})] += 1
        self._count_tokens(rows)

    def _count_tokens(self, rows: Sequence[Row]) -> None:
        with self.changed:
            for row in rows:
                self._tokens[row.arm.name] += bool(row.tokens)
