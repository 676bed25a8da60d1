"""How large the body of a request may be, and how slowly it may come."""

import asyncio
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from detect.web.guards.refusals import Refused

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
    too_large = Refused(413, f"The request is larger than {most_bytes:,} bytes, the most that is taken.")

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
