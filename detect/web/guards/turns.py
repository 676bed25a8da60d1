"""Who waits for the detector: a few clips of each visitor, and all visitors by turns."""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from gradio.queueing import Event, Queue
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from detect.web.guards.bodies import parsed, replayed
from detect.web.guards.visitors import Refused, visitor_of

JOIN = "/gradio_api/queue/join"
MOST_OF_A_TAB = 2
"""Clips that one tab of a browser may have waiting; a second is there for who presses again while the first ends."""


class HasQueue(Protocol):
    """A page of Gradio's."""

    _queue: Queue


class FairTurns:
    """Shares out the queue of `page`: `most_each` places for a visitor, and nobody's second before another's first."""

    def __init__(self, app: ASGIApp, page: HasQueue, most_each: int) -> None:
        self._app, self._page, self._most_each = app, page, most_each
        self._joining: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, unless it asks for a place in the queue that its visitor may not have."""
        if scope["type"] != "http" or scope["path"].rstrip("/") != JOIN:
            await self._app(scope, receive, send)
            return
        body = (await receive()).get("body", b"")  # the whole of it, as `SmallBodies` gives it
        names = [f"visitor {visitor_of(Request(scope))}", f"tab {_tab_of(body)}"]
        waiting = self._joining + Counter(name for event in self._waiting() for name in _names(event))
        if any(waiting[name] >= most for name, most in zip(names, (self._most_each, MOST_OF_A_TAB), strict=True)):
            # 503 is what the page's script shows as "busy".
            await Refused(503, "Your other clips are still waiting.")(scope, receive, send)
            return
        self._joining += Counter(names)
        try:
            await self._app(scope, replayed(body, receive), send)
        finally:
            self._joining -= Counter(names)
            for queue in self._page._queue.event_queue_per_concurrency_id.values():
                take_turns(queue.queue)

    def _waiting(self) -> Iterator[Event]:
        """Yields what waits or is being judged."""
        yield from self._page._queue.event_ids_to_events.values()


def take_turns(events: list[Event]) -> None:
    """Reorders `events` so that each visitor's first come before all second ones; else they stay as they came."""
    seen: Counter[str] = Counter()
    rounds: dict[str, int] = {}
    for event in events:
        visitor = visitor_of(event.request)
        rounds[event._id] = seen[visitor]
        seen[visitor] += 1
    events.sort(key=lambda event: rounds[event._id])


def _names(event: Event) -> tuple[str, str]:
    return f"visitor {visitor_of(event.request)}", f"tab {event.session_hash}"


def _tab_of(body: bytes) -> str:
    """Returns the tab that sends a request; "" where it does not say, which Gradio refuses."""
    asked = parsed(body)
    return str(asked.get("session_hash", "")) if isinstance(asked, dict) else ""
