"""Which paths are answered, and what browsers are told to make of the answers."""

from pathlib import Path
from typing import Protocol

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detect.web.guards.visitors import Refused, visitor_of

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
USED = ("queue/", "run/", "heartbeat/", "file=/", "startup-events", "upload_progress", "reset", "cancel")
"""The paths of Gradio's interface that the page uses; all others, which fetch addresses or edit videos, are closed."""


class UsedPaths:
    """Closes the paths that the page does not use; its own, `uploads`, is open."""

    def __init__(self, app: ASGIApp, uploads: str) -> None:
        self._app, self._uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] == "http" and scope["path"] != self._uploads:
            _, inside, path = scope["path"].partition("/gradio_api/")
            if inside and not path.startswith(USED):
                await Refused(404, "closed")(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Kept(Protocol):
    """The clips of the page."""

    def is_for(self, path: Path, visitor: str) -> bool:
        """Tells whether `visitor` may fetch the file at `path`."""
        ...


class OwnFiles:
    """Hands a clip out to nobody but the visitor who sent it, even if others know its name."""

    def __init__(self, app: ASGIApp, kept: Kept) -> None:
        self._app, self._kept = app, kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or says that there is no such file."""
        if scope["type"] == "http" and not self._may_have(scope):
            await Refused(404, "There is no such file.")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may_have(self, scope: Scope) -> bool:
        _, is_file, path = scope["path"].partition("/file=")
        try:
            return not is_file or self._kept.is_for(Path(path), visitor_of(HTTPConnection(scope)))
        except (OSError, ValueError, RuntimeError):  # what is no path, or a loop of links
            return False


class Policy:
    """Sends the policy that keeps browsers from contacting others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and adds to the headers of its answer."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_policy)
