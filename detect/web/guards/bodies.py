"""How large a request may be, how slowly it may come, and which files it may name."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
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


class Here(Protocol):
    """The clips of the page."""

    def has(self, clip: Path) -> bool:
        """Tells whether `clip` is here."""
        ...


class OwnClips:
    """Refuses requests, except those to `uploads`, that name a file which is no clip of the page.

    Gradio would fetch any address.
    """

    def __init__(self, app: ASGIApp, clips: Here, uploads: str) -> None:
        self._app, self._clips, self._uploads = app, clips, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http" or scope["path"] == self._uploads:
            await self._app(scope, receive, send)
            return
        body = (await receive()).get("body", b"")  # the whole of it, as `SmallBodies` gives it
        if all(isinstance(path, str) and self._clips.has(Path(path)) for path in _paths_in(parsed(body))):
            await self._app(scope, replayed(body, receive), send)
            return
        gone = JSONResponse({"error": "This clip is no longer here; drop it again."}, 404)
        await gone(scope, receive, send)


def parsed(body: bytes) -> Any:
    """Returns what a request says, None where it cannot be read, which Gradio refuses."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _paths_in(value: Any) -> Iterator[Any]:
    """Yields the paths of all files in a request, however deep they are."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if "path" in one:
                yield one["path"]
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that gives a `body` that was read already, and then what else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
