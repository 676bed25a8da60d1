"""Addresses: where redirects may lead, and that no server keeps anybody waiting for ever."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import parse_headers
from ipaddress import ip_address

import pytest

from detect import addresses
from detect.addresses import AddressError, open_address

Answer = Callable[[socketserver.StreamRequestHandler, str], object]
INSIDE = "127.0.0.2"
"""What stands for a machine in this one's own network; 127.0.0.1 stands for the public one."""


@contextmanager
def serving(answer: Answer, host: str = "127.0.0.1") -> Iterator[tuple[str, list[str]]]:
    """Serves what `answer` writes for a path; gives the address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            path = self.rfile.readline().split()[1].decode()
            asked.append(path)
            self.headers = parse_headers(self.rfile)
            with suppress(OSError):  # who asked has gone
                answer(self, path)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://{host}:{server.server_address[1]}", asked
        server.shutdown()


def redirects(to: str) -> Answer:
    return lambda handler, _: handler.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n".encode())


def content(handler, _) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nclip")


def counts_down(handler, path) -> None:
    """/3 redirects to /2, and so on to /0, which has content."""
    left = int(path[1:])
    content(handler, path) if left == 0 else redirects(f"/{left - 1}")(handler, path)


def read(address: str, seconds: float = 20.0) -> bytes:
    with open_address(address, seconds) as answer:
        return answer.read()


@pytest.fixture
def public(monkeypatch):
    """Has all addresses but `INSIDE` count as public."""
    monkeypatch.setattr(addresses, "_is_inside", lambda host: str(host) == INSIDE)


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.0.1", True),
        ("169.254.169.254", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("fe80::1", True),
        ("fd00::1", True),
        ("::ffff:127.0.0.1", True),
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("::ffff:8.8.8.8", False),
    ],
)
def test_what_is_inside(host, inside):
    assert addresses._is_inside(ip_address(host)) == inside


def test_five_redirects_are_followed_and_a_sixth_is_not():
    with serving(counts_down) as (address, asked):
        assert read(f"{address}/5") == b"clip"
        asked.clear()
        with pytest.raises(AddressError, match="redirects more than 5 times or in a circle"):
            read(f"{address}/6")
        assert len(asked) == 6


@pytest.mark.parametrize("to", ["/again", "/a"])
def test_a_circle_of_redirects_is_named(to):
    with serving(redirects(to)) as (address, asked):
        with pytest.raises(AddressError, match="in a circle"):
            read(f"{address}/a")
        assert len(asked) <= 3


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher"])
def test_a_redirect_to_another_protocol_makes_no_connection(scheme):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.3)
        with (
            serving(redirects(f"{scheme}://127.0.0.1:{other.getsockname()[1]}/x")) as (address, _),
            pytest.raises(AddressError, match=f"{scheme}://127"),
        ):
            read(address)
        with pytest.raises(TimeoutError):
            other.accept()


@pytest.mark.parametrize("host", [INSIDE, "127.0.0%2e2", "127.2", "0x7f000002"])
def test_a_redirect_from_the_public_network_into_this_one_is_refused(public, host):
    with serving(content, INSIDE) as (inside, asked):
        with (
            serving(redirects(inside.replace(INSIDE, host))) as (address, _),
            pytest.raises(AddressError, match="in this machine's own network"),
        ):
            read(address)
        assert asked == []


def test_a_redirect_inside_this_network_is_followed(public):
    with serving(content, INSIDE) as (inside, _), serving(redirects(f"{inside}/x"), INSIDE) as (address, _):
        assert read(address) == b"clip"


def test_a_name_that_means_another_host_by_the_time_of_connecting_gets_no_request(public, monkeypatch):
    resolve, times = socket.getaddrinfo, []

    def changing(host, *arguments, **options):
        if host != "moves.test":
            return resolve(host, *arguments, **options)
        times.append(host)
        return resolve("127.0.0.1" if len(times) == 1 else INSIDE, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    with serving(content, INSIDE) as (inside, asked):
        with (
            serving(redirects(inside.replace(INSIDE, "moves.test"))) as (address, _),
            pytest.raises(AddressError, match="in this machine's own network"),
        ):
            read(address)
        assert (len(times), asked) == (2, [])


def drips(start: bytes, piece: bytes) -> Answer:
    def answer(handler, _) -> None:
        handler.wfile.write(start)
        while True:
            time.sleep(0.05)
            handler.wfile.write(piece)

    return answer


DRIPS = {
    "body": drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "body with a length": drips(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x"),
    "header line": drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "status line": drips(b"HTTP/1.1 200 ", b"x"),
    "nothing": lambda *_: time.sleep(3),
}


@pytest.mark.parametrize("answer", DRIPS.values(), ids=DRIPS)
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(answer):
    with serving(answer) as (address, _):
        start = time.monotonic()
        with pytest.raises(AddressError, match=r"has not ended after 0\.4 s"):
            read(address, 0.4)
        assert 0.4 <= time.monotonic() - start < 2


def test_a_redirect_whose_text_has_no_end_is_followed():
    def answer(handler, path):
        if path == "/end":
            content(handler, path)
        else:
            drips(b"HTTP/1.1 302 Found\r\nLocation: /end\r\n\r\n", b"x")(handler, path)

    with serving(answer) as (address, _):
        assert read(f"{address}/start", 5.0) == b"clip"


@pytest.mark.parametrize("lines", [b"X-Header: x\r\n", b"x" * 65536], ids=["lines", "one line"])
def test_a_header_without_end_is_an_error(lines):
    def answer(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(lines)

    with serving(answer) as (address, _), pytest.raises(AddressError, match="got more than"):
        read(address)


def test_a_missing_file_has_its_code():
    with serving(lambda handler, _: handler.wfile.write(b"HTTP/1.1 410 Gone\r\n\r\n")) as (address, _):
        with pytest.raises(AddressError) as caught:
            read(address)
        assert (str(caught.value), caught.value.code) == ("Gone", 410)
