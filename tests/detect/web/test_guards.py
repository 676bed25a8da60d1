"""The guards of the page, one by one: what each lets through, and what it refuses."""

import asyncio
import base64
import json
import logging
import resource
import socket
import time
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from base.machine.streams import OutputLost
from detect.web.guards import bodies, connections, logs
from detect.web.guards.bodies import Count, limited
from detect.web.guards.connections import Connection, Connections, Patience, surplus
from detect.web.guards.logs import ShortLog, short_log
from detect.web.guards.origins import Forwarded, OwnNames, Policy, SameOrigin, Token, is_foreign
from detect.web.guards.refusals import Refused
from detect.web.guards.visitors import is_among, visitor_at
from detect.web.server import serve
from tests.detect.web.serving import wait_for


@dataclass
class Talk:
    """A request to a guard, the way a server would make it, and the answer."""

    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes | float, ...] = (b"",)
    """Parts of the body; a number is a pause in seconds."""
    client: str = "192.0.2.1"
    status: int = 0
    answer: bytes = b""
    answer_headers: Headers = field(default_factory=Headers)

    def scope(self) -> dict:
        named = [(key.lower().encode(), text.encode()) for key, text in self.headers.items()]
        return {
            "type": "http", "method": "POST", "path": self.path, "headers": named, "query_string": b"",
            "client": (self.client, 50000), "scheme": "http", "server": ("127.0.0.1", 7860),
        }  # fmt: skip

    def receive(self):
        left = list(self.pieces)

        async def receive():
            while left:
                if isinstance(piece := left.pop(0), float):
                    await asyncio.sleep(piece)
                else:
                    return {"type": "http.request", "body": piece, "more_body": bool(left)}
            return {"type": "http.disconnect"}

        return receive

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.answer_headers = message["status"], Headers(raw=message["headers"])
        else:
            self.answer += message.get("body", b"")

    async def with_guard(self, guard) -> "Talk":
        await guard(self.scope(), self.receive(), self.send)
        return self

    def to(self, guard) -> "Talk":
        return asyncio.run(self.with_guard(guard))


async def page(scope, receive, send) -> None:
    """Stands for the page: answers with what it was asked."""
    request = Request(scope, receive)
    asked = {"body": (await request.body()).decode(), "headers": dict(request.headers), "scheme": request.url.scheme}
    await JSONResponse({**asked, "client": scope["client"][0]})(scope, receive, send)


async def nobody(scope, receive, send) -> None:
    pytest.fail("the request came through")


# Who a visitor is


def test_visitors_are_known_by_address_and_by_the_network_of_an_ipv6_address():
    assert visitor_at("192.0.2.7") == visitor_at("::ffff:192.0.2.7") == "192.0.2.7"
    assert visitor_at("2001:db8::1") == visitor_at("2001:db8::ffff") != visitor_at("2001:db8:0:1::1")
    assert visitor_at("") == ""
    assert is_among("10.1.2.3", "10.0.0.0/8")
    assert not is_among("10.1.2.3", None)
    assert not is_among("", "10.0.0.0/8")


# Connections


def connection(visitor: str, since: float, is_answered: bool = False) -> Connection:
    return Connection(socket.socket(), visitor, since, is_answered)


def test_who_has_owed_a_request_longest_makes_room():
    own = [connection("a", since) for since in (2, 1, 3)]
    others = [connection("b", 0)]
    assert surplus(own[2], own + others, 9, 3) is None
    assert surplus(own[2], own + others, 9, 2) is own[1]
    assert surplus(others[0], own + others, 3, 3) is own[1]  # not of those who have few
    for one in own:
        one.is_answered = True
    assert surplus(own[2], own + others, 9, 2) is own[2]  # nobody's answer is broken off for one more
    assert surplus(others[0], own + others, 3, 3) is own[1]  # but for another visitor's first
    for one in own + others:
        one.socket.close()


@pytest.fixture
def port(monkeypatch):
    """Where a page is that waits 0.4 s for a request, lets each visitor have three connections, and is swept."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.4)
    monkeypatch.setattr(connections, "READ_SECONDS", 0.4)
    monkeypatch.setattr(connections, "MOST_EACH", 3)
    watched = Connections()

    async def sweep():
        while True:
            watched.end_late()
            await asyncio.sleep(0.05)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            sweeping = asyncio.create_task(sweep())
            for answer in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{answer}.complete"})
            sweeping.cancel()
        elif scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(100):
                await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            pytest.fail("a visitor who reads nothing was answered")
        else:
            await page(scope, receive, send)

    with serve(Patience(app, watched), "127.0.0.1", 0, watched) as port:
        yield port
        wait_for(lambda: not any(one.is_answered for one in watched._open.values()))


def knock(port: int, content: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.sendall(content)
    return connection


ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("begun", [b"", b"GET / HT", ASK + b"GET"])
def test_a_request_that_does_not_come_or_drips_is_not_waited_for(port, begun):
    with knock(port, begun) as connection:
        start = time.monotonic()
        answers, more = b"", b"some"
        connection.settimeout(0.1)
        while more and time.monotonic() - start < 5:
            try:
                connection.sendall(b"x")  # never ends
                answers += (more := connection.recv(1000))
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - start < 2
        assert answers.count(b" 200 ") == begun.count(ASK)


def test_half_requests_push_out_each_other_and_no_whole_one(port):
    begun = [knock(port, b"GET / HT") for _ in range(10)]
    with closing(knock(port, ASK)) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    for one in begun:
        one.close()


def test_who_does_not_read_the_answer_is_not_waited_for(port):
    with knock(port, ASK.replace(b"/ ", b"/large ")) as connection:
        time.sleep(1.2)
        received = 0
        while piece := connection.recv(1 << 20):
            received += len(piece)
        assert 0 < received < 50 << 20


def test_a_head_that_is_too_large_is_refused(port):
    with knock(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


# Bodies


def read(talk: Talk, most: int = 10, count: Count | None = None) -> bytes:
    async def whole() -> bytes:
        receive = limited(talk.scope(), talk.receive(), most, count)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        return body

    return asyncio.run(whole())


def test_a_body_that_is_too_large_is_not_read():
    assert read(Talk(pieces=(b"12345", b"67890"))) == b"1234567890"
    with pytest.raises(Refused, match="larger than 10 bytes") as refusal:
        read(Talk(headers={"content-length": "11"}, pieces=(5.0,)))
    assert refusal.value.status_code == 413
    with pytest.raises(Refused, match="larger"):
        read(Talk(pieces=(b"12345", b"67890", b"1", 60.0)))


def test_a_body_that_stops_or_trickles_or_breaks_off(monkeypatch):
    monkeypatch.setattr(bodies, "SILENT_SECONDS", 0.2)
    with pytest.raises(Refused, match="too slowly"):
        read(Talk(pieces=(b"1", 5.0, b"2")))
    with pytest.raises(Refused, match="too slowly"):
        read(Talk(pieces=(b"1", 0.06) * 20 + (b"",)), 100)
    with pytest.raises(ClientDisconnect):
        read(Talk(pieces=()))


# Where requests come from


FORWARDED = {
    "host": "127.0.0.1:7860", "x-forwarded-for": "203.0.113.9", "x-forwarded-host": "reelcheck.example",
    "x-forwarded-proto": "https", "x-real-ip": "203.0.113.9",
}  # fmt: skip


def test_only_the_named_proxy_is_believed():
    for proxy in (None, "192.0.2.2", "10.0.0.0/8"):
        asked = json.loads(Talk(headers=FORWARDED).to(Forwarded(page, proxy)).answer)
        assert asked["headers"]["host"] == "127.0.0.1:7860"
        assert (asked["client"], asked["scheme"]) == ("192.0.2.1", "http")
    for proxy in ("192.0.2.1", "192.0.2.0/24"):
        asked = json.loads(Talk(headers=FORWARDED).to(Forwarded(page, proxy)).answer)
        assert asked["headers"]["host"] == "reelcheck.example"
        assert (asked["client"], asked["scheme"]) == ("203.0.113.9", "https")


def test_a_visitor_cannot_pass_for_another_through_the_proxy():
    headers = FORWARDED | {"x-forwarded-for": "198.51.100.1, 203.0.113.9"}
    assert json.loads(Talk(headers=headers).to(Forwarded(page, "192.0.2.1")).answer)["client"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://127.0.0.1:7860"}, False),
        ({"origin": "http://localhost:7860"}, True),
        ({"origin": "http://127.0.0.1:7861"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"host": "page.example", "origin": "https://page.example:443"}, False),
        ({"host": "PAGE.example:80", "origin": "http://page.example"}, False),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
    ],
)
def test_other_sites_are_refused_and_links_to_the_page_are_not(headers, foreign):
    headers = {"host": "127.0.0.1:7860"} | headers
    assert is_foreign(Headers(headers)) == foreign
    assert Talk(headers=headers).to(SameOrigin(nobody if foreign else page)).status == (403 if foreign else 200)


@pytest.mark.parametrize(
    ("host", "names", "known"),
    [
        ("evil.example", (), False),
        ("evil.example:7860", ("page.example",), False),
        ("", (), False),
        ("127.0.0.1.evil.example", (), False),
        ("[", (), False),
        ("192.0.2.7:7860", (), True),
        ("[2001:db8::1]:7860", (), True),
        ("[::1]", (), True),
        ("localhost:7860", (), True),
        ("0.0.0.0:7860", (), True),
        ("PAGE.example", ("page.example",), True),
        ("a.page.example", ("*.page.example",), True),
    ],
)
def test_nobody_leads_here_by_a_name_of_theirs(host, names, known):
    guard = OwnNames(page if known else nobody, "0.0.0.0", names)
    assert Talk(headers={"host": host}).to(guard).status == (200 if known else 400)
    own = {"host": f"{socket.gethostname()}.local"}
    assert Talk(headers=own).to(OwnNames(page, "0.0.0.0", ())).status == 200


def test_a_proxy_has_looked_at_the_name_unless_there_are_names_to_look_for():
    for names, client, status in (
        ((), "192.0.2.1", 200),
        ((), "192.0.2.9", 400),
        (("page.example",), "192.0.2.1", 400),
    ):
        guard = Forwarded(OwnNames(page, "0.0.0.0", names), "192.0.2.1")
        assert Talk(headers=FORWARDED | {"host": "evil.example"}, client=client).to(guard).status == status, names
    guard = Forwarded(OwnNames(page, "0.0.0.0", ["reelcheck.example"]), "192.0.2.1")
    assert Talk(headers=FORWARDED).to(guard).status == 200


def basic(words: bytes) -> str:
    return f"Basic {base64.b64encode(words).decode()}"


@pytest.mark.parametrize("header", ["Bearer secret", "bearer secret", basic(b"anybody:secret"), basic(b":secret")])
def test_who_has_the_token_comes_through(header):
    assert Talk(headers={"authorization": header}).to(Token(page, "secret", ["/health"])).status == 200


WRONG = ("", "Bearer secret2", "Bearer", "Token secret", basic(b"secret:x"), basic(b"secret"), "Basic !", "Bearer \xe9")


@pytest.mark.parametrize("header", WRONG)
def test_who_has_not_the_token_does_not(header):
    assert Talk(headers={"authorization": header}).to(Token(nobody, "secret", ["/health"])).status == 401
    assert Talk("/health", headers={"authorization": header}).to(Token(page, "secret", ["/health"])).status == 200


def test_what_browsers_are_told():
    headers = Talk().to(Policy(page)).answer_headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]


# The log


def test_an_exception_is_a_line_with_its_place(capsys):
    with short_log():
        try:
            raise ValueError("wrong")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    line = capsys.readouterr().err
    assert line.startswith(f"Exception in ASGI application: ValueError: wrong ({__file__}, line")
    assert line.count("\n") == 1


def test_a_line_that_nobody_takes_ends_nothing(monkeypatch):
    def gone(*arguments, **named):
        raise OutputLost(BrokenPipeError())

    monkeypatch.setattr(logs, "show", gone)
    monkeypatch.setattr(logs, "MOST_LINES", 1)
    with short_log():
        for _ in range(2):
            logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")


def test_a_flood_is_counted(monkeypatch, capsys):
    log = ShortLog()

    def tell(text):
        log.handle(logging.LogRecord("x", logging.WARNING, "", 0, text, (), None))

    for number in range(1000):
        tell(f"line {number} " + "x" * 1000)
    assert len(capsys.readouterr().err) < logs.MOST_LINES * (logs.LONGEST + 10)
    monkeypatch.setattr(logs, "SECONDS", -1)
    tell("later")
    assert capsys.readouterr().err.splitlines() == [f"... and {1000 - logs.MOST_LINES} more lines like these", "later"]


# Room for connections


@pytest.fixture
def few_files():
    """At first, macOS lets a process open 256 files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_connections_as_are_let_in_can_be_opened(few_files):
    with serve(Starlette(), "127.0.0.1", 0, Connections()):
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 2 * connections.MOST
