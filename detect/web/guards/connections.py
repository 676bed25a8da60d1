"""How many connections there are, and how long one may take to say what it wants.

A connection that has sent only a part of its request costs its sender nothing. Those make room for others: whoever has
been silent longest goes first, so that a thousand of them push out each other and nobody else.
"""

import asyncio
import time
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Protocol, TypeVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from detect.web.guards.visitors import is_among, visitor_at

MOST, MOST_EACH = 400, 64
"""Connections in all, well below the 1,024 files that a process may open, and those of one visitor: ten browsers."""
ACCEPTED_AT_ONCE = 100
"""Connections that are taken up before the next of them is looked at."""
REQUEST_SECONDS = 15.0
"""Time for a request's first line and headers."""


class GuardedConnection(H11Protocol):
    """A connection that is cut when its request does not come, or when others need its room.

    All visitors who come through `proxy` share its connections, so the limit for one visitor does not hold for it.
    """

    proxy: str | None = None
    visitor = ""
    heard = 0.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Lets the connection in, and another go where there are too many."""
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        self.visitor, self.heard = visitor_at(host), time.monotonic()
        self._watch()
        each = MOST if is_among(host, self.proxy) else MOST_EACH
        known = (one for one in self.connections if isinstance(one, GuardedConnection))
        if one := surplus(self, (one for one in known if not one.transport.is_closing()), MOST, each):
            one.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Takes the next part of a request."""
        self.heard = time.monotonic()
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        super().connection_lost(exc)
        self._set_deadline(None)

    @property
    def is_answered(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_waited_for(self) -> bool:
        """Whether it is the visitor's turn to send something."""
        return not self.is_answered or self.cycle.more_body

    def _watch(self) -> None:
        if self.is_answered:
            self._set_deadline(None)
        elif self._deadline is None:
            self._set_deadline(self.loop.call_later(REQUEST_SECONDS, self.transport.abort))

    def _set_deadline(self, deadline: asyncio.TimerHandle | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = deadline


class Connected(Protocol):
    """What is known of a connection: whose it is, when it last sent something, and whether it should."""

    visitor: str
    heard: float

    @property
    def is_waited_for(self) -> bool:
        """Whether it is the visitor's turn to send something."""
        ...


C = TypeVar("C", bound=Connected)


def surplus(newest: C, connections: Iterable[C], most: int, most_each: int) -> C | None:
    """Returns the connection that has to go so that `newest`, one of `connections`, can stay, if any has to.

    That is one of the same visitor's where they have more than `most_each`, and otherwise one of whoever has the most.
    It is the one that has been silent longest among those that owe a part of their request. Where the visitor's own
    all wait for an answer, it is `newest`.
    """
    whose = attrgetter("visitor")
    crowds = [list(crowd) for _, crowd in groupby(sorted(connections, key=whose), whose)]
    own = next(crowd for crowd in crowds if newest in crowd)
    if len(own) > most_each:
        crowd, last_resort = own, newest
    elif sum(map(len, crowds)) > most:
        crowd = max(crowds, key=len)
        last_resort = min(crowd, key=attrgetter("heard"))
    else:
        return None
    return min(filter(attrgetter("is_waited_for"), crowd), key=attrgetter("heard"), default=last_resort)
