"""How much of an upload has arrived, told to the browser that sends it, which draws a ring of it."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive

from detect.web.guards.visitors import visitor_of

PROGRESS = "/gradio_api/upload_progress"
"""Where Gradio's script asks for it."""
PAUSE_SECONDS, WAIT_SECONDS = 0.2, 3.0
"""Time between two messages, and how long an upload is waited for that has not begun."""
HEAD_BYTES = 4096
"""The part of a request in which the file's name stands."""
NAME = re.compile(rb'filename="([^"\r\n]*)"')


@dataclass
class Arrival:
    """An upload that is arriving: its first bytes, and how many have come since its browser was told."""

    head: bytes = b""
    news: int = 0

    def take(self, piece: bytes) -> None:
        """Counts a piece of the request's body."""
        self.head += piece[: HEAD_BYTES - len(self.head)]
        self.news += len(piece)

    def message(self) -> str:
        """Returns what has come, as Gradio's script understands it; the script knows the file by its name."""
        name = NAME.search(self.head)
        called = unquote(name[1].decode(errors="replace")) if name else ""
        size, self.news = self.news, 0
        return json.dumps({"msg": "update", "orig_name": called, "chunk_size": size})


class Arrivals:
    """The uploads that are arriving, by visitor and by the id that their browser gave them."""

    def __init__(self) -> None:
        self._arriving: dict[tuple[str, str], Arrival] = {}

    @contextmanager
    def counted(self, request: Request) -> Iterator[Receive]:
        """Gives a `receive` that counts what it gives of the body of `request`."""
        arrival, key = Arrival(), _key(request)
        self._arriving[key] = arrival

        async def receive() -> Message:
            message = await request.receive()
            arrival.take(message.get("body", b""))
            return message

        try:
            yield receive
        finally:
            self._arriving.pop(key, None)

    def route(self) -> Route:
        """Returns the route that tells a browser of an upload of its own until that has arrived."""

        async def tell(request: Request) -> Response:
            return StreamingResponse(self._messages(_key(request)), media_type="text/event-stream")

        return Route(PROGRESS, tell)

    async def _messages(self, key: tuple[str, str]) -> AsyncIterator[str]:
        end = time.monotonic() + WAIT_SECONDS
        while (arrival := self._arriving.get(key)) or time.monotonic() < end:
            if arrival is not None:
                end = 0.0
                yield f"data: {arrival.message()}\n\n"
            await asyncio.sleep(PAUSE_SECONDS)
        yield 'data: {"msg": "done"}\n\n'


def _key(request: Request) -> tuple[str, str]:
    return visitor_of(request), request.query_params.get("upload_id", "")
