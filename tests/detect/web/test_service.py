"""The page as a service runs it: whatever its standard error leads to, it goes on, and it ends by a signal."""

import contextlib
import signal
import socket
import time

import pytest

from tests.detect.web.process import Page, started
from tests.detect.web.serving import judge, wait_for

MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # what a browser sends to https://
    b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"garbage\r\n\r\n",
)
KINDS = (
    pytest.param(("a file", signal.SIGINT, 130), id="file"),
    pytest.param(("a pipe without a reader", signal.SIGTERM, 143), id="pipe"),
    pytest.param(("nothing", signal.SIGTERM, 143), id="nothing", marks=pytest.mark.slow),
    pytest.param(("a terminal", signal.SIGINT, 130), id="terminal", marks=pytest.mark.slow),
)


@pytest.fixture(scope="module", params=KINDS)
def service(request, face, tmp_path_factory):
    kind, number, status = request.param
    with started(tmp_path_factory.mktemp("service"), "--examples", str(face.parent), kind=kind) as page:
        yield page, number, status


def knock(page: Page, content: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", page.port), 60) as connection:
        connection.sendall(content)
        return connection.recv(100)


def test_malformed_requests_cost_themselves_alone(service, face):
    page, _, _ = service
    for content in MALFORMED:
        assert b" 400 " in knock(page, content)
    with page.client() as visitor:
        assert visitor.get("/").status_code == 200
        assert judge(visitor, face)["state"] == "judged"


def test_a_signal_ends_the_page_with_its_status_at_once_while_a_clip_is_judged(service, face):
    page, number, status = service
    judging = page.log.with_name("judging")
    judging.unlink(missing_ok=True)
    with page.client() as visitor, contextlib.ExitStack() as stack:
        place = visitor.post("/api/verdicts", files={"file": ("x.mp4", face.read_bytes())}).headers["location"]
        wait_for(judging.exists, 60)
        for _ in range(2):  # who looks at a clip, and who waits for a verdict
            stack.enter_context(visitor.stream("GET", "/examples/1"))
        waits = socket.create_connection(("127.0.0.1", page.port))
        waits.sendall(f"GET {place}?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        stack.callback(waits.close)
        start = time.monotonic()
        assert page.end(number) == status
        assert time.monotonic() - start < 5
    assert list(page.folder.iterdir()) == []
    words = page.log.read_text()
    assert "Traceback" not in words
    assert "lost sys.stderr" not in words
    # Who looks at a clip reads nothing of it: what the system does not take for them is cut off after three seconds.
    cut = "Cancel 0 running task(s), timeout graceful shutdown exceeded\n"
    usual = words.replace("Invalid HTTP request received.\n", "").replace(cut, "", 1)
    assert usual in ("", "interrupted; finished work is kept.\n")
