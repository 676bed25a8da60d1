"""Opens http(s) addresses, with care for where they lead and for how long they take.

A redirect is followed to http and https only, five at most. One from the public network never leads to this machine or
into its own network, where an address that somebody sends could otherwise reach what only its user should. The same
holds for addresses that a playlist names. A sign-in goes to the host that it was given for, and to no other.
"""

import functools
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from base.text import printable
from detect.sign_in import Address, shown

TIMEOUT = 20.0
"""Seconds without an answer after which an address is given up."""
REDIRECTS = 5
"""Most redirects that are followed."""
SIGN_IN = (
    "it asks for a user and a password; put them into ~/.netrc, or before the host as in http://user:password@host"
)
PORTS = {"http": 80, "https": 443}


class AddressError(Exception):
    """An address cannot be opened or read to its end; the text says why, and `code` is the status of its answer.

    `final` tells that another try is of no use, whatever its server answers then.
    """

    def __init__(self, reason: str, code: int | None = None, final: bool = False) -> None:
        super().__init__(printable(shown(reason)))
        self.code, self.final = code, final


class Site:
    """What a user trusts by naming `address`: whatever that leads to, or names in turn, is opened by its rules."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @functools.cached_property
    def is_inside(self) -> bool:
        """Whether the address is on this machine or in its own network, and so may lead there."""
        hosts = _hosts_of(self._address.plain)
        return bool(hosts) and all(map(_is_inside, hosts))

    def check(self, address: str) -> None:
        """Raises a _RefusedError for an address to which this one must not lead."""
        if urlsplit(address).scheme not in PORTS:
            raise _RefusedError(f"it leads to {address}, which is neither http nor https")
        if address != self._address.plain and not self.is_inside and any(map(_is_inside, _hosts_of(address))):
            raise _RefusedError(_refusal(address))

    def check_reached(self, address: str, host: IPv4Address | IPv6Address) -> None:
        """Raises a _RefusedError if the `host` that `address` has led to is one that it must not reach.

        A name may mean another host by the time of connecting, the one that the user gave too.
        """
        inside = _is_inside(host)
        if inside and not self.is_inside:
            raise _RefusedError(_refusal(address))
        if address == self._address.plain:
            self.is_inside = inside

    def request(self, address: str, headers: Mapping[str, str]) -> Request:
        """Returns what asks for `address`, with the sign-in if that is for its host."""
        return self.sign(Request(address, headers=dict(headers)))

    def sign(self, request: Request) -> Request:
        """Adds the sign-in to a request that goes to the host of the user's address; urllib takes it nowhere else."""
        if self.covers(request.full_url):
            for name, value in self._address.basic.items():
                request.add_unredirected_header(name, value)
        return request

    def covers(self, address: str) -> bool:
        """Tells whether the sign-in is for the host of `address`; an encrypted connection to it is as good."""
        own, its = _origin(self._address.plain), _origin(address)
        encrypted = ("https", own[1], 443) if own == ("http", own[1], 80) else own
        return its in (own, encrypted)

    def full(self, address: str) -> str:
        """Returns `address` with the sign-in in it, if that is for its host: never to be shown."""
        return self._address.sign(address) if self.covers(address) else address


class _RefusedError(OSError):
    """An address leads to where it must not."""


@contextmanager
def open_address(
    address: str, seconds: float, timeout: float = TIMEOUT, site: Site | None = None, headers: Mapping[str, str] = {}
) -> Iterator[HTTPResponse]:
    """Gives the answer to a GET of the http(s) `address`; its `url` is the address at the end of all redirects.

    `site` is that which led here, by default the address itself; `headers` are sent along. Raises an AddressError for
    whatever fails in the block too, if nothing comes for `timeout` seconds, and if the block has not ended after
    `seconds`: a server could otherwise send a byte now and then for ever.
    """
    lease = _Lease()
    timer = threading.Timer(seconds, lease.end)
    timer.daemon = True
    site = site or Site(Address(address))
    try:
        timer.start()
        site.check(address)
        opener = build_opener(_Redirects(site), _Connects(lease, site))
        with opener.open(site.request(address, headers), timeout=timeout) as answer:
            yield answer
        lease.check(seconds)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        lease.check(seconds)
        cause, code = getattr(error, "reason", None) or error, getattr(error, "code", None)
        raise AddressError(SIGN_IN if code == 401 else str(cause), code, isinstance(cause, _RefusedError)) from None
    finally:
        timer.cancel()


class _Lease:
    """The connections of one call, which end with it."""

    def __init__(self) -> None:
        self._ended, self._open, self._lock = False, list[socket.socket](), threading.Lock()

    def add(self, connection: socket.socket) -> None:
        """Takes a connection; one that comes too late ends at once."""
        with self._lock:
            self._open.append(connection)
            if self._ended:
                _shut(connection)

    def end(self) -> None:
        """Ends all connections: who waits for more gets no more."""
        with self._lock:
            self._ended = True
            for connection in self._open:
                _shut(connection)

    def check(self, seconds: float) -> None:
        """Raises an AddressError if the connections have been ended after `seconds`."""
        if self._ended:
            raise AddressError(f"it has not ended after {seconds:g} s") from None


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it has ended already
        # That of an encrypted connection would change what the reading thread is using.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to where `site` may lead."""

    max_redirections, max_repeats = REDIRECTS, 1
    inf_msg = f"it redirects more than {REDIRECTS} times or in a circle: "

    def __init__(self, site: Site) -> None:
        self._site = site

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        fp.close()  # its text, which may have no end, would be read
        self._site.check(newurl)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        return request and self._site.sign(request)


def _refusal(address: str) -> str:
    return f"it leads to {address}, which is in this machine's own network; if you trust that, name it yourself"


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme)


def _hosts_of(address: str) -> list[IPv4Address | IPv6Address]:
    """Returns what the host of `address` is called in numbers; nothing if that is unknown, as behind a proxy."""
    name = urlsplit(f"//{Request(address).host}").hostname  # as it is opened, without escapes such as %2e
    with suppress(OSError, UnicodeError):
        return [ip_address(answer[4][0]) for answer in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    return []


def _is_inside(host: IPv4Address | IPv6Address) -> bool:
    """Tells whether `host` is this machine or in a network of its own, not in the public one."""
    mapped = host.ipv4_mapped if isinstance(host, IPv6Address) else None
    return not (mapped or host).is_global


class _Watched(HTTPConnection):
    """A connection that is shown to `watch` before anything is sent."""

    def __init__(self, watch: Callable[[socket.socket], None], host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._watch = watch

    def connect(self) -> None:
        super().connect()
        self._watch(self.sock)


class _WatchedHttps(_Watched, HTTPSConnection):
    """The same, encrypted."""


class _Connects(HTTPHandler, HTTPSHandler):
    """Opens connections that `lease` ends, and checks whom they have reached: a name may mean another host by now."""

    def __init__(self, lease: _Lease, site: Site) -> None:
        super().__init__()
        self._lease, self._site = lease, site

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(functools.partial(_Watched, functools.partial(self._watch, req)), req)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(functools.partial(_WatchedHttps, functools.partial(self._watch, req)), req)

    def _watch(self, request: Request, connection: socket.socket) -> None:
        self._lease.add(connection)
        if request.host == Request(request.full_url).host:  # no proxy
            self._site.check_reached(request.full_url, ip_address(connection.getpeername()[0]))
