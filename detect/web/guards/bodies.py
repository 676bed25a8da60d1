"""How large a request may be, and how slowly it may come."""

import asyncio
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detect.web.guards.visitors import Refused

MOST_BYTES = 1 << 16
"""Body of all requests but uploads; those of this page have a few hundred bytes."""
SILENT_SECONDS = 10.0
"""Longest pause within a body."""
SLOWEST = 16 << 10
"""Bytes a second below which a body does not arrive in time; the first `SILENT_SECONDS` are free."""

Count = Callable[[int], None]
"""Is told the size of each piece of a body; what it raises ends the request."""


def limited(scope: Scope, receive: Receive, most_bytes: int, count: Count | None = None) -> Receive:
    """Returns a `receive` that gives the body of a request while it is neither too large nor too slow.

    It raises `Refused` for a body of more than `most_bytes`, before any of it is read where the request says so, and
    for one that stops or trickles; `ClientDisconnect` where the visitor is gone.
    """
    start, received = time.monotonic(), 0
    declared = Headers(scope=scope).get("content-length", "0")
    too_large = Refused(413, f"The request is larger than {most_bytes} bytes.")

    async def receive_limited() -> Message:
        nonlocal received
        if int(declared) > most_bytes:
            raise too_large
        late = start + SILENT_SECONDS + received / SLOWEST - time.monotonic()
        try:
            async with asyncio.timeout(min(late, SILENT_SECONDS)):
                message = await receive()
        except TimeoutError:
            raise Refused(408, "The request came too slowly.") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        size = len(message.get("body", b""))
        received += size
        if received > most_bytes:
            raise too_large
        if count is not None:
            count(size)
        return message

    return receive_limited


class SmallBodies:
    """Reads the body of every request, except those to `uploads`, before the page sees any of it."""

    def __init__(self, app: ASGIApp, uploads: str) -> None:
        self._app, self._uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on with its whole body, or refuses it."""
        if scope["type"] != "http" or scope["path"] == self._uploads:
            await self._app(scope, receive, send)
            return
        read, body, more = limited(scope, receive, MOST_BYTES), bytearray(), True
        try:
            while more:
                message = await read()
                body += message.get("body", b"")
                more = message.get("more_body", False)
        except Refused as refusal:
            await refusal(scope, receive, send)
            return
        except ClientDisconnect:
            return
        await self._app(scope, replayed(bytes(body), receive), send)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that gives a `body` that was read already, and then what else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
