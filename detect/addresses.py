"""Opens http(s) addresses, with care for where they lead and for how long they take.

A redirect is followed to http and https only, five at most. One from the public network never leads to this machine or
into its own network, where an address that somebody sends could otherwise reach what only its user should.
"""

import functools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from cache.schema import printable

TIMEOUT = 20.0
"""Seconds without an answer after which an address is given up."""
REDIRECTS = 5
"""Most redirects that are followed."""


class AddressError(Exception):
    """An address cannot be opened or read to its end; the text says why, and `code` is the status of its answer."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(printable(reason))
        self.code = code


@contextmanager
def open_address(address: str, seconds: float, timeout: float = TIMEOUT) -> Iterator[HTTPResponse]:
    """Gives the answer to a GET of the http(s) `address`; its `url` is the address at the end of all redirects.

    Raises an AddressError for whatever fails in the block too, if nothing comes for `timeout` seconds, and if the block
    has not ended after `seconds`: a server could otherwise send a byte now and then for ever.
    """
    lease = _Lease()
    timer = threading.Timer(seconds, lease.end)
    timer.daemon = True
    try:
        timer.start()
        hosts = _hosts_of(address)
        inside = bool(hosts) and all(map(_is_inside, hosts))
        opener = build_opener(_Redirects(inside), _Connects(lease, inside))
        with opener.open(address, timeout=timeout) as answer:
            yield answer
        lease.check(seconds)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        lease.check(seconds)
        reason = str(getattr(error, "reason", None) or error)
        raise AddressError(reason, getattr(error, "code", None)) from None
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
    """Follows redirects to where they may lead; `inside` says whether the first address is in this network."""

    max_redirections, max_repeats = REDIRECTS, 1
    inf_msg = f"it redirects more than {REDIRECTS} times or in a circle: "

    def __init__(self, inside: bool) -> None:
        self._inside = inside

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """See `urllib.request.HTTPRedirectHandler`."""
        fp.close()  # its text, which may have no end, would be read
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise HTTPError(newurl, code, f"it redirects to {newurl}, which is neither http nor https", headers, fp)
        if not self._inside and any(map(_is_inside, _hosts_of(newurl))):
            raise HTTPError(newurl, code, _refusal(newurl), headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refusal(address: str) -> str:
    return f"it redirects to {address}, which is in this machine's own network; if you trust that, name it yourself"


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
        """See `http.client.HTTPConnection`."""
        super().connect()
        self._watch(self.sock)


class _WatchedHttps(_Watched, HTTPSConnection):
    """The same, encrypted."""


class _Connects(HTTPHandler, HTTPSHandler):
    """Opens connections that `lease` ends, and checks whom they have reached: a name may mean another host by now."""

    def __init__(self, lease: _Lease, inside: bool) -> None:
        super().__init__()
        self._lease, self._inside = lease, inside

    def http_open(self, req: Request) -> HTTPResponse:
        """See `urllib.request.HTTPHandler`."""
        return self.do_open(functools.partial(_Watched, functools.partial(self._watch, req)), req)

    def https_open(self, req: Request) -> HTTPResponse:
        """See `urllib.request.HTTPSHandler`."""
        return self.do_open(functools.partial(_WatchedHttps, functools.partial(self._watch, req)), req)

    def _watch(self, request: Request, connection: socket.socket) -> None:
        self._lease.add(connection)
        is_proxy = request.host != Request(request.full_url).host
        if not (is_proxy or self._inside) and _is_inside(ip_address(connection.getpeername()[0])):
            raise ConnectionRefusedError(_refusal(request.full_url))
