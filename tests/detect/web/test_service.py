"""The page as a service runs it: whatever its standard error leads to, it goes on, and it ends by a signal."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from extract.drawn.clip import Scene, draw_clip
from extract.drawn.look import make_look
from tests import ROOT
from tests.detect.web.test_attacks import Page
from tests.detect.web.test_web import CALLED, free_port, wait_for

SOMEBODY = "127.0.0.1"
SECONDS = 60
PROGRAM = """
import signal, sys, time
from pathlib import Path
from unittest import mock

from base.ending import run
from reelcheck.cli import dispatch
from tests.detect.web import test_web

class Slow(test_web.Brightness):
    def score(self, *arrays):
        (Path(sys.argv[1]) / "judging").touch()
        time.sleep(1)
        return super().score(*arrays)

test_web.Brightness = Slow
def serve():
    import absl.logging  # as TensorFlow does: its handler holds standard error

    return dispatch(["web", *sys.argv[2:]])

signal.signal(signal.SIGINT, signal.default_int_handler)  # also as a shell's background job
with (
    mock.patch("detect.detector.load.newest", lambda: Path("drawn")),
    mock.patch("detect.detector.load.open_detector", lambda *arguments: test_web.detector()),
):
    run(serve)
"""
MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # what a browser sends to https://
    b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"garbage\r\n\r\n",
)


@dataclass
class Service:
    """The page in a process of its own, and how it is to end."""

    page: Page
    process: subprocess.Popen
    signal: signal.Signals
    status: int

    def knock(self, content: bytes) -> bytes:
        with socket.create_connection((SOMEBODY, self.page.port), SECONDS) as connection:
            connection.sendall(content)
            return connection.recv(100)


@contextlib.contextmanager
def standard_error(kind: str, log: Path) -> Iterator[int]:
    """A descriptor of each kind that a page is started with: under nohup, by a service manager, in a pipe."""
    if kind == "a pipe without a reader":
        reader, number = os.pipe()
        os.close(reader)
    else:
        number = os.open(log if kind == "a file" else os.devnull, os.O_WRONLY | os.O_CREAT)
    yield number
    os.close(number)


KINDS = (
    pytest.param(("a file", signal.SIGINT, 130), id="file"),
    pytest.param(("a pipe without a reader", signal.SIGTERM, 143), id="pipe"),
    pytest.param(("nothing", signal.SIGTERM, 143), id="nothing", marks=pytest.mark.slow),
)


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    return draw_clip(tmp_path_factory.mktemp("examples") / "face.mp4", Scene(make_look(7, 1), (7,)))


@pytest.fixture(scope="module", params=KINDS)
def service(request, face, tmp_path_factory):
    pytest.importorskip("gradio", reason="the page needs the extra web")
    kind, number, status = request.param
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    (temporary := folder / "temporary").mkdir()
    (log := folder / "log").touch()
    arguments = [str(folder), "--port", str(port), "--examples", str(face.parent)]
    with (
        standard_error(kind, log) as error,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=error,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        assert b"The page is at" in process.stdout.readline(), log.read_text()
        if kind == "a pipe without a reader":
            process.stdout.close()  # nobody reads this one either
        yield Service(Page(port, process.pid, folder, log), process, number, status)
        process.kill()


def test_malformed_requests_cost_themselves_alone(service, face):
    for content in MALFORMED:
        assert b" 400 " in service.knock(content)
    assert service.page.ask(SOMEBODY, "/")[0] == 200
    assert re.search(CALLED, service.page.verdict(SOMEBODY, face))


def test_a_signal_ends_the_page_with_its_status_while_a_clip_is_judged(service, face):
    page, judging = service.page, service.page.folder / "judging"
    judging.unlink(missing_ok=True)
    assert page.join(SOMEBODY, page.send(SOMEBODY, face), "last") == 200
    wait_for(judging.exists, SECONDS)
    service.process.send_signal(service.signal)
    assert service.process.wait(SECONDS) == service.status
    assert list((page.folder / "temporary").iterdir()) == []
    words = page.log.read_text()
    assert "Traceback" not in words
    assert "lost sys.stderr" not in words
    assert words in ("", "Invalid HTTP request received.\n" * 3 + "interrupted; finished work is kept.\n")
