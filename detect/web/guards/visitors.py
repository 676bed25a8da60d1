"""Who a visitor is, and how one is refused."""

import ipaddress
from collections.abc import Collection

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send


class Refused(Exception):
    """A request that is not answered: the HTTP `status`, and why in a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status

    def response(self) -> Response:
        """Returns the answer. It ends the connection, so that nobody has to read what else the request holds."""
        return PlainTextResponse(str(self), self.status, {"connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as an ASGI application."""
        await self.response()(scope, receive, send)


def visitor_of(connection: HTTPConnection) -> str:
    """Returns the visitor who sent a request."""
    return visitor_at(connection.client.host if connection.client else "")


def visitor_at(host: str) -> str:
    """Returns the visitor at an address: the address, or of IPv6 the network of 64 bits, which one household shares.

    >>> visitor_at("192.0.2.7"), visitor_at("2001:db8::7")
    ('192.0.2.7', '2001:db8::')
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return host


def is_among(host: str, network: str | None) -> bool:
    """Tells whether the address `host` is `network`, an address or a network such as 10.0.0.0/8, or in it."""
    try:
        return network is not None and ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def without(message_or_scope: Message | Scope, names: Collection[bytes]) -> list[tuple[bytes, bytes]]:
    """Returns the headers of a request or of an answer that are not among `names`."""
    return [(name, value) for name, value in message_or_scope["headers"] if name not in names]
