"""Where a request comes from: whose word is taken for it, from which pages it may be sent, and with which token."""

import base64
import binascii
import hmac
import ipaddress
import socket
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from detect.web.guards.refusals import Refused
from detect.web.guards.visitors import is_among

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
PROXIED = "reelcheck.proxied"
"""What marks a request that came through the proxy."""


class Forwarded:
    """Believes what `proxy` says about a visitor's address and the page's name, and nobody else."""

    def __init__(self, app: ASGIApp, proxy: str | None) -> None:
        self._app, self._proxy = app, proxy
        self._behind_proxy = ProxyHeadersMiddleware(app, proxy or [])  # pyright: ignore[reportArgumentType]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on as the visitor sent it."""
        if not is_among((scope.get("client") or ("",))[0], self._proxy):
            await self._app(scope, receive, send)
            return
        headers, name = scope["headers"], Headers(scope=scope).get("x-forwarded-host", "").split(",")[0].strip()
        if name:
            headers = [*(pair for pair in headers if pair[0] != b"host"), (b"host", name.encode())]
        await self._behind_proxy({**scope, "headers": headers, PROXIED: True}, receive, send)  # pyright: ignore[reportArgumentType]


class OwnNames(TrustedHostMiddleware):
    """Answers only who asks for the page under a name of its own: this machine's, or one of the `names` given.

    Somebody else's name can be made to lead here, and then that site's page is of the same origin as this one (DNS
    rebinding). Numeric addresses are nobody's names. Without `names`, a proxy is trusted to have looked at them.
    """

    def __init__(self, app: ASGIApp, host: str, names: Sequence[str]) -> None:
        machine = socket.gethostname()
        super().__init__(app, ["localhost", host, machine, f"{machine}.local", *names], www_redirect=False)
        self._trusts_proxy = not names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        is_proxied = self._trusts_proxy and scope.get(PROXIED, False)
        if scope["type"] == "http" and (is_proxied or is_numeric(Headers(scope=scope).get("host", ""))):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def is_numeric(host: str) -> bool:
    """Tells whether a `host` header holds an address in numbers.

    >>> is_numeric("192.0.2.1:7860"), is_numeric("[::1]"), is_numeric("a.example")
    (True, True, False)
    """
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


class SameOrigin:
    """Refuses what another site's page has its visitor's browser send here, but for the origins `allowed`."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str] = ()) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on if it is from this page, from a link to it, or from no browser."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if is_foreign(headers) and headers.get("origin") not in self._allowed:
            await Refused(403, "This page answers to itself only, not to other sites.")(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_foreign(headers: Headers) -> bool:
    """Tells by the `headers` of a request whether another site's page sent it. Links to this page are welcome.

    >>> is_foreign(Headers({"host": "a.example", "origin": "http://b.example"}))
    True
    """
    if (origin := headers.get("origin")) is not None:
        return _place(origin) != _place(f"//{headers.get('host', '')}")
    from_elsewhere = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    return from_elsewhere and headers.get("sec-fetch-mode") != "navigate"


def _place(address: str) -> str:
    """Returns the host and port of an `address`; a proxy may have taken off TLS, so the usual ports say nothing."""
    _, _, place = address.lower().partition("//")
    return place.removesuffix(":80").removesuffix(":443")


class Token:
    """Answers only who sends the `token`: as a bearer, as programs do, or as a password, which browsers ask for.

    The paths `free` need none.
    """

    def __init__(self, app: ASGIApp, token: str, free: Collection[str]) -> None:
        self._app, self._token, self._free = app, token.encode(), free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        header = Headers(scope=scope).get("authorization", "") if scope["type"] == "http" else ""
        if scope["type"] == "http" and scope["path"] not in self._free and not self._is_known(header):
            ways = 'Basic realm="Reelcheck", charset="UTF-8", Bearer'
            why = "This page needs its token: as a bearer token, or as the password of any user."
            await Refused(401, why, www_authenticate=ways)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_known(self, header: str) -> bool:
        kind, _, value = header.partition(" ")
        given = value.encode()
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(value, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                return False
        return kind.lower() in ("basic", "bearer") and hmac.compare_digest(given, self._token)


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
