"""The page under attack: while one visitor does their worst, another gets a verdict, and nothing is left of it."""

import contextlib
import re
import resource
import signal
import socket
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.detect.web.process import Page, started
from tests.detect.web.serving import CALLED, EXAMPLES, files, judge, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="two visitors are two addresses of this machine, as Linux has them"
    ),
]
ATTACKER, VISITOR = "127.0.0.1", "127.0.0.2"
SECONDS, LOG_BYTES, MEMORY_BYTES = 10, 200_000, 300 << 20
LARGE, CHUNK = 400 << 20, bytes(1 << 20)
FORM = "multipart/form-data; boundary=b"
HEAD = (
    b"POST /api/verdicts HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: %d\r\n\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\n'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with a network that takes two seconds, behind no proxy but one that is not here."""
    with started(tmp_path_factory.mktemp("attacked"), "--proxy", "192.0.2.1", seconds=2) as found:
        yield found
        assert found.end(signal.SIGINT) == 130
    assert list(found.folder.iterdir()) == []
    assert "Traceback" not in found.log.read_text()


def gets_a_verdict(page: Page, face: Path, visitor: str = VISITOR) -> None:
    """Checks that a visitor is served in time; they leave nothing."""
    start = time.monotonic()
    with page.client(visitor) as asking:
        said = judge(asking, face)
        assert said["verdicts"][0]["verdict"] == "Unsure"
        asking.delete(f"/api/verdicts/{said['id']}")
    assert time.monotonic() - start < SECONDS


@pytest.fixture
def unharmed(page, face) -> Iterator[Page]:
    """The page, which during and after the test has to be as it was."""
    gets_a_verdict(page, face)
    memory = page.memory()
    yield page
    gets_a_verdict(page, face)
    with page.client(ATTACKER) as attacker:  # what was taken goes ten minutes after its verdict, or like this
        for clip in page.folder.glob("reelcheck-*/clips/*"):
            attacker.delete(f"/api/verdicts/{clip.name}")
    wait_for(lambda: files(page.folder) == EXAMPLES)
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
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
    bodies = [b"", b"{", b"null", b"[" * 60_000, b"\xff\xfe", b'{"url": 1}', PART, PART + b"x\r\n--b--", b"--b--\r\n"]
    raw = [
        b"\x16\x03\x01 no HTTP\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET /api/verdicts/%00?wait=x HTTP/1.1\r\nHost: localhost\r\nRange: bytes=9-1\r\n\r\n",
        b"GET /examples/1 HTTP/1.1\r\nHost: localhost\r\nRange: bytes=9-1,,-\r\n\r\n",
        head % (b"/api/verdicts", FORM.encode()) + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        head % (b"/", b"application/json") + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\nzz",
        *(
            head % (path, kind) + b"Content-Length: %d\r\n\r\n" % len(body) + body
            for path in (b"/api/verdicts", b"/", b"/verdicts/x", b"/api/run")
            for kind in (FORM.encode(), b"application/json", b"multipart/form-data")
            for body in bodies
        ),
    ]
    answers = [answer_to(knock(unharmed, raw[number % len(raw)])) for number in range(500)]
    assert not any(b"Traceback" in answer or b" 500 " in answer for answer in answers)
    assert sum(b" 4" in answer[:13] for answer in answers) > 400


def test_eleven_hundred_half_open_and_dripping_connections(unharmed, face):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        open_ones = []
        for number in range(1100):
            content = (b"", b"POST /api", HEAD % 90_000_000 + PART + bytes(70_000))[number % 3]
            open_ones.append(stack.enter_context(knock(unharmed, content)))
        for visitor in (VISITOR, ATTACKER):
            gets_a_verdict(unharmed, face, visitor)
            for one in open_ones:
                with contextlib.suppress(OSError):
                    one.send(b"x")
    assert "out of system resource" not in unharmed.log.read_text()


def test_sixty_files_in_one_request(unharmed):
    with unharmed.client(ATTACKER) as attacker:
        many = [("file", ("x.mp4", bytes(64_000)))] * 60
        answer = attacker.post("/api/verdicts", files=many)
        assert (answer.status_code, answer.json()["detail"][:29]) == (400, "x.mp4 is no numbered picture,")
        with contextlib.suppress(httpx.TransportError):  # the connection ends before all of it is sent
            large = [("file", ("x.mp4", bytes(4 << 20)))] * 60
            assert attacker.post("/api/verdicts", files=large).status_code in (400, 413)


def test_five_uploads_of_nine_hundred_small_files_stay_out_of_memory(unharmed, face):
    memory, small = unharmed.memory(), PART + bytes(100_000) + b"\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(knock(unharmed, HEAD % 100_000_000 + 900 * small))
        wait_for(lambda: len(files(unharmed.folder)) > 4000, 30)
        assert unharmed.memory() - memory < MEMORY_BYTES / 3
        assert len(list(Path(f"/proc/{unharmed.process.pid}/fd").iterdir())) < 100
        gets_a_verdict(unharmed, face)


@pytest.mark.timeout(900)
def test_ten_thousand_tiny_files(unharmed, face):
    with httpx.Client(base_url=unharmed.address, timeout=30) as attacker:  # over one connection
        statuses = [attacker.post("/api/verdicts", files={"file": ("x.mp4", b"x")}).status_code for _ in range(2000)]
        assert statuses.count(202) < 1500
        assert set(statuses) == {202, 429}
        gets_a_verdict(unharmed, face)
        for _ in range(8000):
            attacker.post("/api/verdicts", files={"file": ("x.mp4", b"x")})
        gets_a_verdict(unharmed, face)
    assert len(files(unharmed.folder)) < 150


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [("/api/verdicts", FORM, b"413"), ("/", FORM, b"413"), ("/api/verdicts", "application/json", b"403"),
     ("/api/verdicts", "text/plain", b"415"), ("/api/run", "text/plain", b"405")],
)  # fmt: skip
def test_four_hundred_megabytes(unharmed, face, path, kind, status, chunked):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LARGE}"
    with knock(unharmed, f"{head}{size}\r\n\r\n".encode()) as connection:
        try:
            send_chunk(connection, PART, chunked)
            for number in range(LARGE // len(CHUNK)):
                send_chunk(connection, CHUNK, chunked)
                if number == 40:
                    gets_a_verdict(unharmed, face)
        except OSError:
            pass  # it is cut off
        else:
            pytest.fail("all of it was read")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100).split()[1] == status


def send_chunk(connection: socket.socket, content: bytes, chunked: bool) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(content), content) if chunked else content)


@pytest.mark.parametrize(("declared", "sent"), [(10, 1000), (1000, 10)])
def test_a_lie_about_the_length(unharmed, declared, sent):
    start = time.monotonic()
    answer = answer_to(knock(unharmed, HEAD % declared + bytes(sent)))
    assert answer[9:12] in (b"400", b"408", b"")
    assert time.monotonic() - start < 2 * SECONDS


def test_bombs(unharmed, tmp_path, face):
    picture = tmp_path / "bomb.png"
    picture.write_bytes(png_of(60_000, 60_000))
    archive = tmp_path / "bomb.mp4"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x", bytes(1 << 27))
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n")
    with unharmed.client(ATTACKER) as attacker:
        for bomb in (picture, archive, playlist):
            (verdict,) = judge(attacker, bomb)["verdicts"]
            assert (verdict["verdict"], verdict["probability"]) == ("Failed", None)
            gets_a_verdict(unharmed, face)


def png_of(width: int, height: int) -> bytes:
    """A picture that claims a size, in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_what_is_somebody_elses_is_neither_seen_nor_deleted(unharmed, face):
    with unharmed.client(VISITOR) as visitor, unharmed.client(ATTACKER) as attacker:
        key = judge(visitor, face)["id"]
        attacker.headers["x-forwarded-for"] = VISITOR  # which the proxy alone may say
        paths = [f"/api/verdicts/{key}{part}" for part in ("", "/clip", "/frames/1", "/crops/1")]
        for path in (*paths, f"/verdicts/{key}", f"/?beside={key}", f"/verdicts/{key}/report"):
            assert visitor.get(path).status_code == 200
            assert attacker.get(path).status_code == 404
        assert attacker.delete(f"/api/verdicts/{key}").status_code == 404
        for forged in ("%2e%2e", "..%2fclips", "%00", "x" * 5000, f"{key}%2f..", "..%2f..%2fexamples%2f1.mp4"):
            for path in ("/api/verdicts/%s/clip", "/verdicts/%s", "/examples/%s", "/static/%s"):
                answer = visitor.get(path % forged)
                assert answer.status_code in (404, 405) or answer.url.path == "/", path % forged
        assert visitor.delete(f"/api/verdicts/{key}").status_code == 204


def test_another_name_and_another_site(unharmed):
    with unharmed.client(ATTACKER) as attacker:
        for origin in ("http://evil.example", "null", f"http://localhost:{unharmed.port + 1}"):
            for method, path in (("POST", "/api/verdicts"), ("POST", "/"), ("DELETE", "/api/verdicts/x"), ("GET", "/")):
                assert attacker.request(method, path, headers={"origin": origin}).status_code == 403
        for host in ("evil.example", f"evil.example:{unharmed.port}", "127.0.0.1.evil.example"):  # DNS rebinding
            headers = {"host": host, "origin": f"http://{host}", "x-forwarded-host": "localhost"}
            assert attacker.get("/api/run", headers=headers).status_code == 400


def test_twenty_queued_by_one_visitor(unharmed, face):
    content = {"file": ("x.mp4", face.read_bytes())}
    with unharmed.client(ATTACKER) as attacker:
        answers = [attacker.post("/api/verdicts", files=content) for _ in range(20)]
        assert [answer.status_code for answer in answers].count(202) == 5
        assert {answer.status_code for answer in answers[5:]} == {429}
        gets_a_verdict(unharmed, face)


@pytest.mark.timeout(900)
def test_three_hundred_clips_leave_memory_and_disk_as_they_are(face, tmp_path):
    with started(tmp_path, seconds=0) as page, page.client() as visitor:
        memory = disk = 0
        for number in range(300):
            key = judge(visitor, face)["id"]
            assert re.search(CALLED, visitor.get(f"/verdicts/{key}").text)
            if number % 2:
                visitor.delete(f"/api/verdicts/{key}")
            if number == 150:
                memory, disk = page.memory(), len(files(page.folder))
        assert page.memory() - memory < 60 << 20
        assert len(files(page.folder)) <= 110 > disk
