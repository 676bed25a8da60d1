"""How a clip gets from a visitor's browser into the page's folder."""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from detect.web.guards.bodies import limited
from detect.web.guards.visitors import Refused, visitor_of
from detect.web.progress import Arrivals
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
