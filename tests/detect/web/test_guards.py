"""The guards of the page, one by one: what each lets through, and what it refuses."""

import asyncio
import io
import json
import socket
import time
import traceback
from contextlib import closing
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from gradio.queueing import Event, EventQueue, Queue
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from base.machine.streams import OutputLost
from detect.web.guards import bodies, connections, logs
from detect.web.guards.answers import OwnFiles, Policy, UsedPaths
from detect.web.guards.bodies import Count, OwnClips, SmallBodies, limited
from detect.web.guards.connections import surplus
from detect.web.guards.logs import ShortLog
from detect.web.guards.origins import Forwarded, OwnNames, SameOrigin, is_foreign
from detect.web.guards.turns import FairTurns, take_turns
from detect.web.guards.visitors import Refused, is_among, visitor_at, visitor_of
from detect.web.server import serve
from detect.web.uploads import Uploads
from tests.detect.web.test_web import free_port

JOIN = "/gradio_api/queue/join"


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


@dataclass(eq=False)
class Connection:
    visitor: str
    heard: float
    is_waited_for: bool = True


def test_who_was_silent_longest_makes_room():
    own = [Connection("a", heard) for heard in (2, 1, 3)]
    others = [Connection("b", 0)]
    assert surplus(own[2], own + others, 9, 3) is None
    assert surplus(own[2], own + others, 9, 2) is own[1]
    assert surplus(others[0], own + others, 3, 3) is own[1]  # not of those who have few
    for one in own:
        one.is_waited_for = False
    assert surplus(own[2], own + others, 9, 2) is own[2]  # nobody's answer is broken off for one more
    assert surplus(others[0], own + others, 3, 3) is own[1]  # but for another visitor's first


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.4)
    monkeypatch.setattr(connections, "MOST_EACH", 3)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{answer}.complete"})
        else:
            await page(scope, receive, send)

    port = free_port()
    with serve(app, "127.0.0.1", port):
        yield port


def knock(port: int, content: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.sendall(content)
    return connection


def test_a_request_that_does_not_come_is_not_waited_for(port):
    ask = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for begun in (b"", b"GET / HT", ask + b"GET"):
        with knock(port, begun) as connection:
            start = time.monotonic()
            answers = b""
            while time.monotonic() - start < 5:
                try:
                    connection.sendall(b"x")  # never ends
                    connection.settimeout(0.1)
                    answers += (more := connection.recv(1000))
                    if not more:
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            assert time.monotonic() - start < 2
            assert answers.count(b" 200 ") == begun.count(ask)


def test_half_requests_push_out_each_other_and_no_whole_one(port):
    begun = [knock(port, b"GET / HT") for _ in range(10)]
    with closing(knock(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    for one in begun:
        one.close()


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
    assert refusal.value.status == 413
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


def test_what_is_counted_can_be_stopped():
    def count(size: int) -> None:
        raise MemoryError(size)

    with pytest.raises(MemoryError, match="2"):
        read(Talk(pieces=(b"12",)), count=count)


def test_the_page_gets_small_bodies_whole_and_large_ones_not_at_all(monkeypatch):
    monkeypatch.setattr(bodies, "MOST_BYTES", 10)
    talk = Talk(pieces=(b"123", b"456")).to(SmallBodies(page, "/upload"))
    assert json.loads(talk.answer)["body"] == "123456"
    talk = Talk(pieces=(b"12345678", b"9012")).to(SmallBodies(nobody, "/upload"))
    assert (talk.status, talk.answer_headers["connection"]) == (413, "close")
    assert Talk(pieces=()).to(SmallBodies(nobody, "/upload")).status == 0
    assert Talk("/upload", pieces=(b"12345678", b"9012")).to(SmallBodies(page, "/upload")).status == 200


# Turns


def event(visitor: str, tab: str = "tab") -> Event:
    function = SimpleNamespace(concurrency_id="network")
    return Event(tab, function, Request(Talk(client=visitor).scope()), None)  # pyright: ignore[reportArgumentType]


@dataclass
class Waiting:
    """A page of Gradio's, of which only the queue is there."""

    _queue: Queue


def page_with(*events: Event) -> Waiting:
    queue = Queue(True, 1, 1, None, None)  # pyright: ignore[reportArgumentType]
    queue.event_ids_to_events = {one._id: one for one in events}
    queue.event_queue_per_concurrency_id["network"] = EventQueue("network", 1)
    queue.event_queue_per_concurrency_id["network"].queue = list(events)
    return Waiting(queue)


async def join(tab: str, client: str, *events: Event, path: str = JOIN) -> int:
    talk = Talk(path, pieces=(json.dumps({"session_hash": tab}).encode(),), client=client)
    return (await talk.with_guard(FairTurns(page, page_with(*events), 3))).status


def test_nobodys_second_comes_before_anothers_first():
    events = [event(visitor) for visitor in "aaabbc"]
    first = {id(one): number for number, one in enumerate(events)}
    for _ in range(2):
        take_turns(events)
        assert [first[id(one)] for one in events] == [0, 3, 5, 1, 4, 2]


def test_a_visitor_and_a_tab_have_so_many_places_and_no_more():
    async def run():
        assert await join("x", "b", event("b", "1"), event("b", "2"), event("a", "3")) == 200
        assert await join("x", "b", event("b", "1"), event("b", "2"), event("b", "3")) == 503
        assert await join("x", "b", event("b", "x"), event("a", "x")) == 503
        assert await join("x", "c", event("b", "1"), event("b", "2"), event("b", "3")) == 200
        assert await join("x", "b", *[event("b")] * 9, path="/gradio_api/queue/data") == 200
        assert await join("x", "b", *[event("b", str(n)) for n in range(9)], path=JOIN + "/") == 503

    asyncio.run(run())


def test_whoever_joins_sorts_the_queue():
    async def run():
        waiting = page_with(event("a"), event("a"), event("b"))
        await Talk(JOIN).with_guard(FairTurns(page, waiting, 3))
        (queue,) = waiting._queue.event_queue_per_concurrency_id.values()
        return [visitor_of(one.request) for one in queue.queue]

    assert asyncio.run(run()) == ["a", "b", "a"]


def test_those_who_join_at_once_are_counted_and_the_body_goes_on():
    async def run():
        started = asyncio.Event()

        async def slow(scope, receive, send):
            assert (await receive())["body"] == b'{"session_hash": "a"}'
            await started.wait()

        guard = FairTurns(slow, page_with(), 3)
        talks = [Talk(JOIN, pieces=(b'{"session_hash": "a"}',)) for _ in range(5)]
        tasks = [asyncio.create_task(talk.with_guard(guard)) for talk in talks]
        await asyncio.sleep(0.05)
        started.set()
        await asyncio.gather(*tasks)
        assert not guard._joining
        return [talk.status for talk in talks]

    assert asyncio.run(run()).count(503) == 3


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b'{"session_hash": {}}'])
def test_a_body_that_names_no_tab_is_gradios_to_refuse(body):
    async def run():
        return await Talk(JOIN, pieces=(body,)).with_guard(FairTurns(page, page_with(), 1))

    assert asyncio.run(run()).status == 200


# Where requests come from


FORWARDED = {
    "host": "127.0.0.1:7860", "x-forwarded-for": "203.0.113.9", "x-forwarded-host": "reelcheck.example",
    "x-forwarded-proto": "https", "x-gradio-server": "http://evil.example",
}  # fmt: skip


def test_only_the_named_proxy_is_believed():
    for proxy in (None, "192.0.2.2", "10.0.0.0/8"):
        asked = json.loads(Talk(headers=FORWARDED).to(Forwarded(page, proxy)).answer)
        assert asked["headers"] == {"host": "127.0.0.1:7860"}
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


def test_a_file_goes_to_its_visitor_alone(tmp_path):
    class Kept:
        def is_for(self, path, visitor):
            return (str(path), visitor) == ("/served/a/clip.mp4", "192.0.2.1")

    path = "/gradio_api/file=/served/a/clip.mp4"
    assert Talk(path).to(OwnFiles(page, Kept())).status == 200
    assert Talk("/").to(OwnFiles(page, Kept())).status == 200
    for other in (Talk(path, client="192.0.2.2"), Talk(f"{path}4"), Talk("/gradio_api/file=")):
        assert other.to(OwnFiles(nobody, Kept())).status == 404
    assert Talk("/gradio_api/file=/\0").to(OwnFiles(nobody, Uploads(tmp_path, 1, 1))).status == 404


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ('{"data": [{"path": "/served/a/clip.mp4"}, null], "path": "/served/a/clip.mp4"}', 200),
        ('{"data": [{"video": [{"path": "https://192.0.2.9/clip.mp4"}]}]}', 404),
        ('{"data": [{"path": "/served/a/clip.mp4", "more": {"path": "/etc/passwd"}}]}', 404),
        ('{"data": [{"path": ["/served/a/clip.mp4"]}]}', 404),
        ("[" * 900 + '{"path": "x"}' + "]" * 900, 404),
        ("[" * 60_000, 200),  # Gradio refuses what is no JSON
        ("", 200),
    ],
)
def test_no_file_is_named_to_gradio_but_a_clip_of_the_page(asked, status):
    class Clips:
        def has(self, clip):
            return str(clip) == "/served/a/clip.mp4"

    guard, pieces = OwnClips(page, Clips(), "/gradio_api/upload"), (asked.encode(),)
    assert Talk(JOIN, pieces=pieces).to(guard).status == status
    assert Talk("/gradio_api/upload", pieces=pieces).to(guard).status == 200


def test_what_is_closed_and_what_browsers_are_told():
    for path, status in (("/", 200), ("/gradio_api/upload", 200), ("/gradio_api/uploads", 404), (JOIN, 200)):
        assert Talk(path).to(UsedPaths(page, "/gradio_api/upload")).status == status
    assert Talk("/x/gradio_api/vibe-edit").to(UsedPaths(nobody, "/gradio_api/upload")).status == 404
    assert Talk().to(Policy(page)).answer_headers["x-content-type-options"] == "nosniff"


# The log


def test_a_traceback_is_a_line_with_its_place():
    terminal = io.StringIO()
    log = ShortLog(terminal)
    try:
        raise ValueError("wrong")
    except ValueError:
        traceback.print_exc(file=log)
    line = terminal.getvalue()
    assert line.startswith("ValueError: wrong (")
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert f"{__file__}, line" in line


def test_a_line_that_nobody_takes_ends_nothing(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text, /):
            raise OutputLost(BrokenPipeError())

        def flush(self):
            self.write("")

    log = ShortLog(Gone())
    monkeypatch.setattr(logs, "MOST_LINES", 1)
    for _ in range(2):
        print("line", file=log, flush=True)
    log.tell_rest()


def test_a_flood_is_counted(monkeypatch):
    terminal = io.StringIO()
    log = ShortLog(terminal)
    for number in range(1000):
        print(f"line {number} " + "x" * 1000, file=log)
    assert len(terminal.getvalue()) < logs.MOST_LINES * (logs.LONGEST + 10)
    monkeypatch.setattr(logs, "SECONDS", -1)
    print("later", file=log)
    assert terminal.getvalue().splitlines()[-2:] == [f"... and {1000 - logs.MOST_LINES} more lines like these", "later"]
