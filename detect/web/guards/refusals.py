"""How a request is refused: by a status and a sentence, as a problem of RFC 9457."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

PROBLEM = "application/problem+json"


class Refused(HTTPException):
    """A request that is not answered: the HTTP `status`, and why in a sentence."""

    def __init__(self, status: int, why: str, **headers: str) -> None:
        super().__init__(status, why, {name.replace("_", "-"): value for name, value in headers.items()})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as an ASGI application."""
        await problem(self)(scope, receive, send)


def problem(refusal: HTTPException) -> Response:
    """Returns a refusal as programs read it.

    It ends the connection, so that nobody has to read what else the request holds.
    """
    status = refusal.status_code
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": refusal.detail}
    return JSONResponse(content, status, {"connection": "close", **(refusal.headers or {})}, PROBLEM)
