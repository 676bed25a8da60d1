"""The page under attack: while one visitor does their worst, another gets a verdict, and nothing is left of it."""

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from extract.drawn.clip import Scene, draw_clip
from extract.drawn.look import make_look
from tests import ROOT
from tests.detect.web.test_web import files, free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="two visitors are two addresses of this machine, as Linux has them"
    ),
]
ATTACKER, VISITOR = "127.0.0.1", "127.0.0.2"
SECONDS, LOG_BYTES, MEMORY_BYTES = 20, 200_000, 300 << 20
LARGE, CHUNK = 400 << 20, bytes(1 << 20)
EXAMPLES = ["1.mp4", "2.mp4"]
JUDGED = "Too close to call"
"""What the page says of the drawn face, which is neither bright nor dark."""
PROGRAM = """
import resource, signal, sys, time
from unittest import mock
from pathlib import Path
from base.ending import run
from reelcheck.cli import dispatch
from tests.detect.web import test_web

class Slow(test_web.Brightness):
    def score(self, *arrays):
        time.sleep(2)
        return super().score(*arrays)

test_web.Brightness = Slow
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))  # as usual
signal.signal(signal.SIGINT, signal.default_int_handler)  # also as a shell's background job
with (
    mock.patch("detect.detector.load.newest", lambda: Path("drawn")),
    mock.patch("detect.detector.load.open_detector", lambda *arguments: test_web.detector()),
):
    run(lambda: dispatch(["web", *sys.argv[1:]]))
"""


@dataclass(frozen=True)
class Page:
    """A page that is served by the command, in a process of its own."""

    port: int
    process: int
    folder: Path
    log: Path

    def connect(self, visitor: str) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS, source_address=(visitor, 0))

    def ask(self, visitor: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {"Content-Type": "application/json"} | {key.replace("_", "-"): text for key, text in headers.items()}
        with contextlib.closing(self.connect(visitor)) as connection:
            connection.request("GET" if body is None else "POST", path, content, named)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def memory(self) -> int:
        status = Path(f"/proc/{self.process}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def functions(self, visitor: str, event: str) -> list[dict]:
        """What answers to an `event`: of the clip's tab first, then of the picture's; the button comes last."""
        functions = json.loads(self.ask(visitor, "/config")[1])["dependencies"]
        return [one for one in functions if [name for _, name in one["targets"]] == [event]]

    def call(self, visitor: str, way: str, function: dict, tab: str, value: object = None) -> tuple[int, bytes]:
        """Calls a function as Gradio's script does: with `value`, and with nothing for the state it keeps itself."""
        data = [value, *[None] * (len(function["inputs"]) - 1)]
        asked = {"data": data, "fn_index": function["id"], "session_hash": tab}
        return self.ask(visitor, f"/gradio_api/{way}", asked)

    def send(self, visitor: str, clip: Path) -> str:
        """Uploads `clip`; returns its path on the page."""
        body = form(clip.read_bytes(), name=clip.name)
        status, answer = self.ask(visitor, "/gradio_api/upload", body, Content_Type=FORM)
        assert status == 200, answer
        return json.loads(answer)[0]

    def hold(self, visitor: str, clip: str | None, tab: str, component: int = 0) -> tuple[int, bytes]:
        """Tells the page which clip a component, the clip's or the picture's, has now."""
        held = clip and {"path": clip, "meta": {"_type": "gradio.FileData"}}
        return self.call(visitor, "run/predict", self.functions(visitor, "change")[component], tab, held)

    def join(self, visitor: str, clip: str, tab: str) -> int:
        """Holds `clip` and asks for its verdict; returns the status."""
        assert self.hold(visitor, clip, tab)[0] == 200
        return self.judge(visitor, tab)

    def judge(self, visitor: str, tab: str) -> int:
        """Asks for the verdict on what the tab holds; returns the status."""
        return self.call(visitor, "queue/join", self.functions(visitor, "click")[-1], tab)[0]

    def read(self, visitor: str, tab: str) -> str:
        """What the tab reads, once it is judged."""
        return self.ask(visitor, f"/gradio_api/queue/data?session_hash={tab}")[1].decode()

    def verdict(self, visitor: str, clip: Path) -> str:
        """What a visitor reads who drops `clip`."""
        tab, sent = uuid.uuid4().hex, self.send(visitor, clip)
        assert self.join(visitor, sent, tab) == 200
        answers = self.read(visitor, tab)
        assert self.ask(visitor, f"/gradio_api/file={sent}")[0] == 200  # it plays beside its verdict
        self.leave(visitor, tab)
        return answers

    def leave(self, visitor: str, tab: str) -> None:
        """Closes a tab, which Gradio knows by the end of its heartbeat."""
        with contextlib.closing(self.connect(visitor)) as heartbeat:
            heartbeat.request("GET", f"/gradio_api/heartbeat/{tab}")
            assert heartbeat.getresponse().readline() == b"data: ALIVE\n"


FORM = "multipart/form-data; boundary=b"


def form(*contents: bytes, name: str = "x.mp4") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    return b"".join(head + content + b"\r\n" for content in contents) + b"--b--\r\n"


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    return draw_clip(tmp_path_factory.mktemp("face") / "face.mp4", Scene(make_look(7, 1), (7,)))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("attacked"), free_port()
    log = folder / "log"
    (folder / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(folder / "temporary")}
    command = [sys.executable, "-c", PROGRAM, "--port", str(port)]
    with (
        log.open("w") as out,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=out, text=True) as process,
    ):
        assert process.stdout is not None
        assert "The page is at" in process.stdout.readline(), log.read_text()
        yield Page(port, process.pid, folder / "temporary", log)
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert list((folder / "temporary").iterdir()) == []
    assert "IsADirectoryError" not in log.read_text()


@pytest.fixture
def unharmed(page, face) -> Iterator[Page]:
    """The page, which during and after the test has to be as it was."""
    assert JUDGED in page.verdict(VISITOR, face)
    memory = page.memory()
    yield page
    start = time.monotonic()
    assert JUDGED in page.verdict(VISITOR, face)
    assert time.monotonic() - start < SECONDS
    end = time.monotonic() + SECONDS
    while files(page.folder) != EXAMPLES and time.monotonic() < end:
        time.sleep(0.5)
    assert files(page.folder) == EXAMPLES
    assert page.memory() - memory < MEMORY_BYTES
    assert page.log.stat().st_size < LOG_BYTES


def knock(page: Page, content: bytes) -> socket.socket:
    """A connection over which the attacker has sent `content`."""
    connection = socket.create_connection(("127.0.0.1", page.port), SECONDS, source_address=(ATTACKER, 0))
    with contextlib.suppress(OSError):
        connection.sendall(content)
    return connection


def answer_to(connection: socket.socket) -> bytes:
    with connection, contextlib.suppress(OSError):
        return connection.recv(1 << 16)
    return b""


def test_five_hundred_malformed_requests(unharmed):
    head = b"POST /gradio_api/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    hold, judge = (unharmed.functions(VISITOR, event)[-1]["id"] for event in ("change", "click"))
    examples = next(unharmed.folder.rglob("examples"))  # Gradio would try to delete it as a file in the end
    deep = b"[" * 60_000
    bodies = [
        b"", b"{", b"null", b"[]", deep, b"\xff\xfe", b'{"data": 1}',
        json.dumps({"data": [], "fn_index": 10**6, "session_hash": "a"}).encode(),
        json.dumps({"data": [], "fn_index": hold, "session_hash": "a"}).encode(),
        json.dumps({"data": [1, "x", {}], "fn_index": hold, "session_hash": "a"}).encode(),
        json.dumps({"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, None, None],
                    "fn_index": hold, "session_hash": "a"}).encode(),
        json.dumps({"data": [{"path": str(examples), "meta": {"_type": "gradio.FileData"}}, None, None],
                    "fn_index": hold, "session_hash": "a"}).encode(),
        json.dumps({"data": ["x", "y"], "fn_index": judge, "session_hash": ["a"]}).encode(),
    ]  # fmt: skip
    raw = [
        b"\x16\x03\x01 no HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        head % b"upload" + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        head % b"run/predict" + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\nzz",
        b"GET /gradio_api/queue/data HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /gradio_api/queue/data?session_hash=none HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /gradio_api/file=/%00 HTTP/1.1\r\nHost: localhost\r\nRange: bytes=9-1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        *(
            head % path + b"Content-Length: %d\r\n\r\n" % len(body) + body
            for path in (b"run/predict", b"queue/join", b"cancel", b"upload")
            for body in bodies
        ),
    ]
    answers = [answer_to(knock(unharmed, raw[number % len(raw)])) for number in range(500)]
    assert not any(b"Traceback" in answer or b"root:" in answer for answer in answers)
    assert sum(b" 400 " in answer or b" 422 " in answer for answer in answers) > 100


def test_eleven_hundred_half_open_uploads(unharmed, face):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    begun = (
        b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\nContent-Type: %s\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for number in range(1100):
            content = (b"", b"POST /gradio", begun % FORM.encode() + form(bytes(70_000))[:-9])[number % 3]
            stack.enter_context(knock(unharmed, content))
        for visitor in (VISITOR, ATTACKER):
            start = time.monotonic()
            assert JUDGED in unharmed.verdict(visitor, face)
            assert time.monotonic() - start < SECONDS
    assert "out of system resource" not in unharmed.log.read_text()


def test_sixty_files_in_one_request(unharmed):
    status, answer = unharmed.ask(ATTACKER, "/gradio_api/upload", form(*[bytes(64_000)] * 60), Content_Type=FORM)
    assert (status, answer) == (400, b"Too many files. Maximum number of files is 1.")
    body = form(*[bytes(4 << 20)] * 60)
    with contextlib.suppress(OSError):  # the connection ends before all of it is sent
        assert unharmed.ask(ATTACKER, "/gradio_api/upload", body, Content_Type=FORM)[0] in {400, 413}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("upload", FORM, b"413"),
        ("upload", "application/octet-stream", b"415"),
        ("upload", "application/json", b"415"),
        ("queue/join", "application/json", b"413"),
        ("run/predict", "application/json", b"413"),
        ("run/predict", FORM, b"413"),
        ("cancel", "application/octet-stream", b"413"),
    ],
)
def test_four_hundred_megabytes(unharmed, face, path, kind, status, chunked):
    head = f"POST /gradio_api/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LARGE}"
    begun = form(b"")[:-9]
    with knock(unharmed, f"{head}{size}\r\n\r\n".encode()) as connection:
        try:
            send_chunk(connection, begun, chunked)
            for number in range(LARGE // len(CHUNK)):
                send_chunk(connection, CHUNK, chunked)
                if number == 40:
                    assert JUDGED in unharmed.verdict(VISITOR, face)
        except OSError:
            pass  # it is cut off
        else:
            pytest.fail("all of it was read")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100).split()[1] == status


def send_chunk(connection: socket.socket, content: bytes, chunked: bool) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(content), content) if chunked else content)


def test_what_another_site_sends(unharmed):
    for origin in ("http://evil.example", "null", f"http://localhost:{unharmed.port + 1}"):
        asked = unharmed.ask(ATTACKER, "/gradio_api/upload", form(b"clip"), Content_Type=FORM, Origin=origin)
        assert asked[0] == 403


def test_a_clip_whose_name_is_known_is_neither_seen_nor_judged_nor_deleted_by_another(unharmed, face):
    _, answer = unharmed.ask(VISITOR, "/gradio_api/upload", form(face.read_bytes()), Content_Type=FORM)
    clip = Path(json.loads(answer)[0])
    assert unharmed.ask(ATTACKER, f"/gradio_api/file={clip}")[0] == 404
    assert unharmed.join(ATTACKER, str(clip), "theirs") == 200
    answers = unharmed.ask(ATTACKER, "/gradio_api/queue/data?session_hash=theirs")[1].decode()
    assert "Nothing yet" in answers
    unharmed.leave(ATTACKER, "theirs")
    assert clip.exists()
    assert unharmed.join(VISITOR, str(clip), "own") == 200
    assert JUDGED in unharmed.ask(VISITOR, "/gradio_api/queue/data?session_hash=own")[1].decode()
    for visitor in (ATTACKER, VISITOR):
        time.sleep(1)
        assert clip.exists()
        unharmed.leave(visitor, "own")
    end = time.monotonic() + SECONDS
    while clip.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not clip.exists()


def test_twenty_queued_by_one_visitor(unharmed, face):
    example = str(next(unharmed.folder.rglob("examples")) / "2.mp4")
    for tab in (str, lambda number: "one tab"):
        statuses = [unharmed.join(ATTACKER, example, tab(number)) for number in range(20)]
        assert 200 in statuses
        assert statuses.count(503) >= 15
        start = time.monotonic()
        assert JUDGED in unharmed.verdict(VISITOR, face)
        assert time.monotonic() - start < SECONDS
    end = time.monotonic() + 60
    while unharmed.join(ATTACKER, example, "last") != 200 and time.monotonic() < end:
        time.sleep(1)
    time.sleep(5)
