"""How a clip gets from a visitor's browser into the page's folder, and what holds it there until it is judged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from detect.web.guards.bodies import limited
from detect.web.guards.visitors import Refused, visitor_at, visitor_of
from detect.web.page import sentence_html, welcome_html
from detect.web.progress import Arrivals
from detect.web.texts import STILL_JUDGED
from detect.web.uploads import NoRoom, Uploads

UPLOAD = "/gradio_api/upload"
"""Where Gradio's script sends files. Gradio itself would keep parts of broken uploads, and name files by content."""
AROUND = 16 << 10
"""Bytes that a request has around its file."""


def upload_routes(uploads: Uploads, most_bytes: int) -> list[BaseRoute]:
    """Returns the routes that take one file of at most `most_bytes`, and tell how much of it has come.

    The answer to an upload is a list of its path.
    """
    arrivals = Arrivals()

    async def take(request: Request) -> Response:
        visitor = visitor_of(request)
        try:
            with uploads.arriving(visitor) as count, arrivals.counted(request) as receive:
                receive = limited(request.scope, receive, most_bytes + AROUND, count)
                file = await _file_of(Request(request.scope, receive))
                with file.file as content:
                    path = await run_in_threadpool(uploads.keep, visitor, content, file.filename or "")
        except Refused as refusal:
            return refusal.response()
        except NoRoom as full:
            return Refused(503, str(full)).response()
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        return JSONResponse([str(path)])

    return [Route(UPLOAD, take, methods=["POST"]), arrivals.route()]


class Tabs:
    """What the tabs of browsers hold until it is judged, and which of them have something judged right now.

    Gradio keeps for each tab `held`, the clip that waits, and `shown`, the one that plays beside its verdict.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._judged: set[tuple[str, str]] = set()

    def hold(self, upload: dict | None, held: Path | None, shown: Path | None, request: gr.Request) -> Any:
        """Holds a new `upload`; the other component forgets its own, and the clip and verdict that are shown go.

        A component that is empty changes nothing: another took its place, or its clip was judged or let go.
        """
        if upload is None:
            return gr.skip()
        latest, (visitor, tab) = Path(upload["path"]), tab_of(request)
        newer = latest if self._uploads.is_for(latest, visitor) else None
        if (visitor, tab) in self._judged:
            self._uploads.replace(None, newer, tab)  # goes with the tab
            return gr.skip(), gr.skip(), gr.skip(), sentence_html("Not yet", STILL_JUDGED), gr.skip()
        self._uploads.release(shown)
        held = self._uploads.replace(held, newer, tab)
        return held, None, gr.update(interactive=held is not None), welcome_html(), None

    def let_go(self, held: Path | None, request: gr.Request) -> Any:
        """Deletes what is held, unless it is being judged."""
        if tab_of(request) in self._judged:
            return gr.skip()
        self._uploads.release(held)
        return None, gr.update(interactive=False)

    @contextmanager
    def judging(self, request: gr.Request) -> Iterator[None]:
        """Keeps what a tab holds as it is until the block ends."""
        tab = tab_of(request)
        self._judged.add(tab)
        try:
            yield
        finally:
            self._judged.discard(tab)


def tab_of(request: gr.Request) -> tuple[str, str]:
    """Returns who asks, and from which tab of their browser."""
    return visitor_at(request.client.host if request.client else ""), request.session_hash or ""


async def _file_of(request: Request) -> UploadFile:
    """Returns the one file that a request holds; raises `Refused` if it holds anything else."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(415, "An upload is a form with one file.")
    try:
        form = await request.form(max_files=1, max_fields=0)
    except HTTPException as error:
        raise Refused(400, str(error.detail)) from None
    file = form.get("files")
    if not isinstance(file, UploadFile):
        raise Refused(400, "An upload is a form with one file.")
    return file
