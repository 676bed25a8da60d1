"""How many connections there are, and how long one may take to say what it wants, or to read the answer.

A connection that has sent only a part of its request costs its sender nothing, and uvicorn waits for it for ever. So
the listening socket knows the connections that it has accepted. Those that owe a request make room for others: the
oldest goes first, so that a thousand of them push out each other and nobody else.
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detect.web.guards.visitors import is_among, visitor_at

MOST, MOST_EACH = 400, 64
"""Connections in all, well below the 1,024 files that a process may open, and those of one visitor: ten browsers."""
REQUEST_SECONDS, READ_SECONDS = 15.0, 30.0
"""Time for a request's first line and headers, and for a visitor to read a piece of the answer."""


@dataclass(eq=False)
class Connection:
    """A connection: its socket, whose it is, whether a whole request is being answered, and since when that is so."""

    socket: socket.socket
    visitor: str
    since: float
    is_answered: bool = False
    is_cut: bool = False

    def turn(self, is_answered: bool) -> None:
        """Notes whose turn it is: the server's if it `is_answered`, else the visitor's."""
        self.is_answered, self.since = is_answered, time.monotonic()

    def cut(self) -> None:
        """Ends the connection; the server sees its end in a moment."""
        self.is_cut = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Connections:
    """The open connections, by address and port of the visitor.

    All who come through `proxy` share its connections, so the limit for one visitor does not hold for it.
    """

    def __init__(self, proxy: str | None = None) -> None:
        self._proxy = proxy
        self._open: dict[tuple[str, int], Connection] = {}

    def add(self, accepted: socket.socket, host: str, port: int) -> None:
        """Takes a new connection, and ends another where there are too many."""
        newest = self._open[host, port] = Connection(accepted, visitor_at(host), time.monotonic())
        each = MOST if is_among(host, self._proxy) else MOST_EACH
        self._open = {key: one for key, one in self._open.items() if one.socket.fileno() >= 0 and not one.is_cut}
        if one := surplus(newest, list(self._open.values()), MOST, each):
            one.cut()

    def of(self, client: tuple[str, int] | None) -> Connection | None:
        """Returns the connection from the address `client`, None for one that did not come through a `Listener`."""
        return self._open.get(client) if client else None

    def end_late(self) -> None:
        """Ends those whose request has not come in time."""
        for one in self._open.values():
            if not one.is_answered and time.monotonic() - one.since > REQUEST_SECONDS:
                one.cut()


class Listener(socket.socket):
    """A listening socket that tells `connections` of those that it accepts."""

    def __init__(self, connections: Connections, listening: socket.socket) -> None:
        super().__init__(fileno=listening.detach())
        self._connections = connections

    def accept(self) -> tuple[socket.socket, Any]:
        """See `socket.socket`."""
        accepted, address = super().accept()
        self._connections.add(accepted, *address[:2])
        return accepted, address


class Patience:
    """Notes which connections are being answered, and ends those of visitors who do not read their answer."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app, self._connections = app, connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        connection = self._connections.of(scope.get("client"))
        if connection is None:
            await self._app(scope, receive, send)
            return

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    await send(message)
            except TimeoutError:
                connection.cut()

        async def receive_noted() -> Message:
            message = await receive()
            connection.turn(not message.get("more_body", False))
            return message

        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        connection.turn(not has_body)  # an upload owes the rest of itself
        try:
            await self._app(scope, receive_noted, send_in_time)
        finally:
            connection.turn(False)


def surplus(newest: Connection, connections: list[Connection], most: int, most_each: int) -> Connection | None:
    """Returns the connection that has to go so that `newest`, one of `connections`, can stay, if any has to.

    That is one of the same visitor's where they have more than `most_each`, and otherwise one of whoever has the most:
    the one that has owed a request longest. Where the visitor's own all wait for an answer, it is `newest`.
    """
    counts, since = Counter(one.visitor for one in connections), attrgetter("since")
    is_own = counts[newest.visitor] > most_each
    if not is_own and len(connections) <= most:
        return None
    whose = newest.visitor if is_own else counts.most_common(1)[0][0]
    crowd = [one for one in connections if one.visitor == whose]
    last_resort = newest if is_own else min(crowd, key=since)
    return min((one for one in crowd if not one.is_answered), key=since, default=last_resort)
