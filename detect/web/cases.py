"""Cases: clips that visitors have given, each with its place in the queue and then with its verdict.

All of it happens in the thread of the web server, but for the judging: so nothing here needs a lock.
"""

import asyncio
import contextlib
import math
import secrets
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from base.text import printable
from detect.detector.judge import JudgeOptions
from detect.detector.verdict import Verdict
from detect.web.guards.bodies import Count
from detect.web.guards.refusals import Refused
from detect.web.guards.uploads import size_of

KEPT = 600
"""Seconds for which a clip plays beside its verdict."""
MEGABYTE = 1 << 20
LEAST = 5 * MEGABYTE
"""What a case counts at least, for its verdict and the pictures beside it: so tiny clips cannot be many either."""
REMEMBERED = 10_000
"""Ids of cases that are gone, and said to be."""
JUDGING = "being judged"
MOST_NAME = 100
"""Characters of a clip's name."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Judged:
    """The verdict on each person in a clip, the largest first, and the pictures beside it as JPEG.

    `frames` are those of the clip, made small; `size` is their width and height before, in which boxes are told.
    `crops` are those of each person. A clip that could not be judged has none.
    """

    people: tuple[Verdict, ...]
    frames: tuple[bytes, ...] = ()
    crops: tuple[tuple[bytes, ...], ...] = ()
    size: tuple[float, float] = (1, 1)


@dataclass(eq=False)
class Case:
    """A clip that `visitor` gave, what it is called, how it is to be judged, and its verdict once there is one.

    `size` is what it counts, `due` when it is deleted, by the monotonic clock; `ended` is set once it is judged or
    deleted.
    """

    id: str
    visitor: str
    name: str
    clip: Path
    options: JudgeOptions
    size: int
    due: float = math.inf
    is_begun: bool = False
    judged: Judged | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def state(self) -> str:
        """What has become of it."""
        return "judged" if self.judged else JUDGING if self.is_begun else "waiting"


@dataclass(frozen=True)
class Room:
    """How much there is room for: `bytes` of clips, and `waiting` clips that are not judged; each for one visitor."""

    bytes: int
    bytes_each: int
    waiting: int
    waiting_each: int


@dataclass(frozen=True)
class Arrival:
    """The upload of a `visitor` while it comes: `folder` is for its files, and `count` is told how many bytes came."""

    visitor: str
    folder: Path
    count: Count


class Cases:
    """All cases. Their clips lie in `folder`, each in one of its own.

    A case has a random id that its visitor alone is told, and is there for nobody else.
    """

    def __init__(self, folder: Path, room: Room) -> None:
        self._folder, self._room = folder, room
        self._open: dict[str, Case] = {}  # oldest first
        self._gone: deque[str] = deque(maxlen=REMEMBERED)
        self._arriving: Counter[str] = Counter()  # bytes of uploads
        self._turns: dict[str, int] = {}
        self._news = asyncio.Event()

    @contextlib.contextmanager
    def arriving(self, visitor: str) -> Iterator[Arrival]:
        """Gives an upload a folder, which goes unless the upload becomes a case, and counts the bytes that arrive.

        A visitor whose other clips wait, and one who comes while the queue is full, are refused at once; any other when
        there is no room left.
        """
        self._require_place(visitor)
        total = 0

        def count(size: int) -> None:
            nonlocal total
            self._make_room(visitor, size)
            self._arriving[visitor] += size
            total += size

        # Whoever sees many names of `tempfile` can tell the next ones.
        folder = self._folder / secrets.token_urlsafe(16)
        try:
            count(LEAST)
            folder.mkdir()
            yield Arrival(visitor, folder, count)
        finally:
            self._arriving -= Counter({visitor: total})
            if folder.name not in self._open:
                shutil.rmtree(folder, ignore_errors=True)

    def add(self, arrival: Arrival, name: str, clip: Path, options: JudgeOptions) -> Case:
        """Puts a clip that has arrived into the queue; `clip` is its file, or its folder, in that of `arrival`."""
        self.sweep()
        self._require_place(arrival.visitor)  # others may have come meanwhile
        shown = printable(name)[:MOST_NAME] or "clip"
        case = Case(arrival.folder.name, arrival.visitor, shown, clip, options, LEAST + size_of(clip))
        self._open[case.id] = case
        self._news.set()
        return case

    def find(self, key: str, visitor: str) -> Case:
        """Returns the case of a visitor with the id `key`; refuses one that is gone, or somebody else's."""
        case = self._open.get(key)
        if case is not None and case.visitor == visitor:
            return case
        if key in self._gone:
            raise Refused(410, "This clip and its verdict are no longer kept; give the clip again.")
        raise Refused(404, "There is no such clip here.")

    @property
    def waiting(self) -> int:
        """How many clips wait."""
        return len(self._in_turn())

    def ahead(self, case: Case) -> int:
        """Returns how many clips are judged before `case`, as far as is known now."""
        waiting = self._in_turn()
        return (
            0 if case not in waiting else waiting.index(case) + any(one.state == JUDGING for one in self._open.values())
        )

    def release(self, case: Case) -> None:
        """Deletes a case."""
        if self._open.pop(case.id, None):
            self._gone.append(case.id)
            shutil.rmtree(case.clip.parent, ignore_errors=True)
            case.ended.set()

    def sweep(self) -> None:
        """Deletes cases that are due."""
        for case in list(self._open.values()):
            if time.monotonic() > case.due:
                self.release(case)

    async def judge_with(self, judge: Callable[[Case], Judged]) -> None:
        """Has the cases judged one after another, each in a thread, for ever."""
        while True:
            case = await self._next()
            case.judged = await _in_thread(lambda case=case: judge(case))
            case.due = time.monotonic() + KEPT
            case.ended.set()

    async def _next(self) -> Case:
        """Waits for a case that is to be judged: nobody's second comes before another's first."""
        while not (waiting := self._in_turn()):
            self._news.clear()
            await self._news.wait()
        case = waiting[0]
        case.is_begun = True
        self._turns = {one.visitor: self._turns.get(one.visitor, 0) for one in waiting}
        self._turns[case.visitor] = 1 + max(self._turns.values())
        return case

    def _in_turn(self) -> list[Case]:
        """Returns the cases that wait, in the order in which they come."""
        waiting, seen = [case for case in self._open.values() if not case.is_begun], Counter[str]()
        rounds: dict[str, tuple[int, int]] = {}
        for case in waiting:
            rounds[case.id] = seen[case.visitor], self._turns.get(case.visitor, 0)
            seen[case.visitor] += 1
        return sorted(waiting, key=lambda case: rounds[case.id])

    def _require_place(self, visitor: str) -> None:
        waiting = Counter(case.visitor for case in self._open.values() if not case.judged)
        if waiting[visitor] >= self._room.waiting_each:
            raise Refused(429, "Your other clips are still waiting; come back when they are judged.", retry_after="5")
        if waiting.total() >= self._room.waiting:
            raise Refused(503, "Too many clips are waiting; come back in a few minutes.", retry_after="60")

    def _make_room(self, visitor: str, size: int) -> None:
        """Deletes cases until `size` more bytes fit in: a visitor's own oldest, or of all those that were judged."""
        while True:
            uses = Counter(self._arriving)
            for case in self._open.values():
                uses[case.visitor] += case.size
            if uses[visitor] + size > self._room.bytes_each:
                old = (case for case in self._open.values() if case.visitor == visitor)
            elif uses.total() + size > self._room.bytes:
                old = (case for case in self._open.values() if case.judged)
            else:
                return
            if (oldest := next(old, None)) is None:
                raise Refused(503, "There is no room for another clip; come back in a few minutes.", retry_after="60")
            self.release(oldest)


def _in_thread(work: Callable[[], Result]) -> "asyncio.Future[Result]":
    """Runs `work` in a thread that nobody waits for when the page is closed."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def run() -> None:
        result = work()
        with contextlib.suppress(RuntimeError):  # the page is closed
            loop.call_soon_threadsafe(lambda: future.cancelled() or future.set_result(result))

    threading.Thread(target=run, name="judge", daemon=True).start()
    return future
