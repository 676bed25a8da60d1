"""Addresses as sources: a file on a server is played once, at its own times; no address leads where it should not."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from base.errors import UserError
from detect import addresses
from detect.stream import stage as stream
from detect.stream.address_sources import BROKEN_OFF, NO_VIDEO
from detect.stream.frame_sources import open_source
from detect.stream.frames import Lost, SourceError, sampled
from detect.stream.overlay import Overlay
from detect.stream.stage import StreamConfig, watch
from tests import ROOT
from tests.clips import counting_images, read_number, write_clip
from tests.detect.hls import playlist, write_segments
from tests.detect.stream.test_stream import PROGRAM, detector, frames_in, serve
from tests.detect.test_addresses import INSIDE, Answer, redirects, serving
from tests.detect.test_sign_in import BASIC, guarded, signed


@pytest.fixture
def folder(tmp_path):
    write_clip(tmp_path / "clip.mp4", counting_images(50))
    return tmp_path


@pytest.fixture
def server(folder):
    with serve(folder) as server:
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def whole(path: Path, missing: int = 0) -> Answer:
    """Serves the bytes of the file at `path`, the last ones `missing`."""
    content = path.read_bytes()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    return lambda handler, _: handler.wfile.write(head + content[: len(content) - missing])


def test_a_file_on_a_server_is_played_once_at_its_own_times(server):
    source = open_source(f"{server}/clip.mp4", 1.0)
    assert (source.lives, source.moments) == (False, None)
    start = time.monotonic()
    events = list(watch(source, detector(), StreamConfig(window=1.0)))
    assert 1.8 < time.monotonic() - start < 5
    assert {event["event"] for event in events} == {"verdict", "ended"}
    assert [frame.seconds for frame in source.frames()] == pytest.approx([number / 25 for number in range(50)])


def test_a_short_file_on_a_server_is_sampled_like_a_file_here(folder, server):
    remote, here = open_source(f"{server}/clip.mp4", 6.0), open_source(str(folder / "clip.mp4"), 6.0)
    taken = [list(sampled(source.frames(), 6.0, source.moments)) for source in (remote, here)]
    remote_numbers, numbers = ([read_number(frame.picture()) for frame in frames] for frames in taken)
    assert remote_numbers == numbers
    *_, last, ended = watch(remote, detector(), StreamConfig(fast=True))
    assert (last["verdict"] in ("Real", "Unsure"), ended["verdicts"]) == (True, 12)


@pytest.mark.slow
def test_a_file_whose_server_was_away_at_first_is_played_once_too(folder):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    source = open_source(f"http://127.0.0.1:{port}/clip.mp4", 1.0)
    assert source.lives
    with serve(folder, port) as server:
        start = time.monotonic()
        events = list(watch(source, detector(), StreamConfig(window=1.0, retries=0)))
        server.shutdown()
    assert 1.8 < time.monotonic() - start < 5
    assert {event["event"] for event in events} == {"verdict", "ended"}


def test_a_file_that_breaks_off_is_not_begun_again(tmp_path):
    path = write_clip(tmp_path / "clip.avi", counting_images(250))
    with serving(whole(path, missing=path.stat().st_size // 2)) as (address, asked):
        source = open_source(f"{address}/clip.avi", 1.0)
        asked.clear()
        with pytest.raises(UserError, match="it broke off before its end"):
            list(watch(source, detector(), StreamConfig(window=1.0, fast=True)))
        assert len(asked) == 2  # where it leads, and the file


@pytest.mark.parametrize(("status", "text"), [(404, "File not found"), (410, "Gone")])
def test_what_is_not_there_is_one_sentence(status, text):
    answer = f"HTTP/1.1 {status} {text}\r\n\r\n".encode()
    with serving(lambda handler, _: handler.wfile.write(answer)) as (address, asked):
        with pytest.raises(UserError, match=rf"cannot be watched \({text}, {status}\); give another source"):
            open_source(f"{address}/x", 6.0)
        assert len(asked) == 1


def test_what_is_gone_while_it_is_watched_ends_it(server, folder):
    source = open_source(f"{server}/clip.mp4", 1.0)
    (folder / "clip.mp4").unlink()
    with pytest.raises(UserError, match=r"cannot be watched any further \(File not found, 404\)"):
        list(watch(source, detector(), StreamConfig()))


def test_a_redirect_is_followed_but_not_into_this_network(server, folder, monkeypatch):
    with serving(redirects(f"{server}/clip.mp4")) as (address, _):
        assert len(list(open_source(address, 6.0).frames())) == 50
    monkeypatch.setattr(addresses, "_is_inside", lambda host: str(host) == INSIDE)
    with serving(whole(folder / "clip.mp4"), INSIDE) as (inside, asked), serving(redirects(inside)) as (address, _):
        with pytest.raises(UserError, match="in this machine's own network"):
            open_source(address, 6.0)
        assert asked == []


def test_ffmpeg_follows_no_redirect_that_was_not_checked(folder):
    """The server has content for the requests that check, and redirects each that follows one, which is FFmpeg's."""
    with serving(whole(folder / "clip.mp4")) as (other, asked):
        content, away = whole(folder / "clip.mp4"), redirects(f"{other}/x")
        answers = iter([content, away, content, away])

        def answer(handler, path):
            next(answers)(handler, path)

        with serving(answer) as (address, _):
            source = open_source(address, 6.0)
            assert source.lives
            with pytest.raises(Lost):
                list(source.frames())
        assert (asked, list(answers)) == ([], [])


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
def test_a_film_of_segments_is_played_like_a_file(tmp_path, server, folder, kind):
    write_segments(folder, counting_images(100), kind)
    film = open_source(f"{server}/film.m3u8", 6.0)
    assert not film.lives
    assert [read_number(frame.picture()) for frame in film.frames()] == list(range(100))
    here = open_source(str(write_clip(tmp_path / "whole.mp4", counting_images(100))), 6.0)
    taken = [list(sampled(source.frames(), 6.0, source.moments)) for source in (film, here)]
    films, numbers = ([read_number(frame.picture()) for frame in frames] for frames in taken)
    assert films == numbers
    *_, last, ended = watch(film, detector(), StreamConfig(fast=True))
    assert (last["frames"], ended["verdicts"]) == (12, 12)


class Growing:
    """Answers like the server of a live source: its playlist has the last three segments that there are by now.

    It grows from the first segment on that is asked for once `is_watched`.
    """

    def __init__(self, folder: Path, seconds: float, last: int) -> None:
        self._folder, self._each, self._last, self._start = folder, seconds, last, float("inf")
        self.is_watched = self.down = False

    def __call__(self, handler, path) -> None:
        if self.down:
            return
        if path != "/live.m3u8":
            if self.is_watched:
                self._start = min(self._start, time.monotonic())
            whole(self._folder / path.lstrip("/"))(handler, path)
            return
        count = min(3 + int(max(0, time.monotonic() - self._start) / self._each), self._last)
        names = [f"film{number}.ts" for number in range(max(0, count - 3), count)]
        end = ["#EXT-X-ENDLIST"] if count == self._last else []
        body = playlist(*names, *end, tags={"MEDIA-SEQUENCE": max(0, count - 3)})
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def test_a_live_playlist_is_watched_at_the_pace_of_its_frames_until_it_ends(folder):
    write_segments(folder, counting_images(150))
    live = Growing(folder, 0.5, 5)
    with serving(live) as (address, _):
        source = open_source(f"{address}/live.m3u8", 1.0)
        assert source.lives
        start, live.is_watched = time.monotonic(), True
        events = list(watch(source, detector(), StreamConfig(window=1.0)))
    assert 4.8 < time.monotonic() - start < 12
    assert {event["event"] for event in events} == {"verdict", "ended"}
    assert events[-2]["seconds"] > 4.5


def test_a_live_playlist_whose_server_was_away_is_opened_again(folder, monkeypatch):
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.05)
    write_segments(folder, counting_images(100))
    server = Growing(folder, 1e9, 9)
    with serving(server) as (address, _):
        kinds = []
        with contextlib.closing(watch(open_source(f"{address}/live.m3u8", 0.5), detector(), StreamConfig())) as events:
            for event in events:
                kinds.append(event["event"])
                server.down = kinds.count("verdict") >= 2 and kinds.count("lost") < 2
                if kinds.count("lost") >= 2 and kinds[-3:] == ["verdict"] * 3:
                    break
    assert kinds.count("lost") == 2


HOSTILE = {
    "names a file": (playlist("file:///etc/passwd", "#EXT-X-ENDLIST"), "neither http nor https"),
    "names nothing": (playlist("#EXT-X-ENDLIST"), "it names no segment of a video"),
    "is garbage": (b"#EXTM3U\n#EXTINF:\xff\n\0\n", "is damaged"),
    "names garbage": (playlist("garbage.ts", "garbage.ts"), "is no segment of a video"),
    "names itself": (playlist("#EXT-X-STREAM-INF:BANDWIDTH=1\nlist.m3u8"), "it names no segment of a video"),
    "names what is not there": (playlist("absent.ts", "#EXT-X-ENDLIST"), "File not found"),
    "has a key that cannot be had": (
        playlist('#EXT-X-KEY:METHOD=AES-128,URI="https://127.0.0.1:1/key"', "garbage.ts"),
        "Connection refused",
    ),
}


@pytest.mark.parametrize(("content", "what"), HOSTILE.values(), ids=HOSTILE)
def test_a_playlist_that_cannot_be_played_is_one_sentence_at_once(server, folder, content, what):
    (folder / "list.m3u8").write_bytes(content)
    (folder / "garbage.ts").write_bytes(bytes(range(7)) * 30_000)
    with pytest.raises(SourceError, match=what) as caught:
        open_source(f"{server}/list.m3u8", 6.0)
    assert str(caught.value).endswith("; give another source.")


def test_a_source_that_cannot_be_watched_has_the_status_of_one_given_up(server, folder):
    (folder / "list.m3u8").write_bytes(playlist("file:///etc/passwd", "#EXT-X-ENDLIST"))
    command = [sys.executable, "-c", PROGRAM, f"{server}/list.m3u8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_a_live_source_that_turns_into_garbage_is_lost_in_plain_words_and_opened_again(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.05)
    film = write_clip(tmp_path / "clip.ts", counting_images(100)).read_bytes()

    def answer(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + film)
        time.sleep(0.3)  # a moment in which frames are judged
        handler.wfile.write(bytes(range(7)) * 100_000)

    with serving(answer) as (address, _):
        *events, given_up, _ = watch(open_source(address, 0.012), detector(), StreamConfig(window=0.012, retries=0))
    assert {event["event"] for event in events} <= {"verdict", "lost"}
    assert given_up["event"] == "given up"
    assert given_up["reason"] == NO_VIDEO


def test_a_live_source_that_is_garbage_from_the_start_is_lost_in_plain_words():
    body = b"HTTP/1.1 200 OK\r\n\r\n" + b"<html>" * 9999
    with serving(lambda handler, _: handler.wfile.write(body)) as (address, _):
        given_up, _ = watch(open_source(address, 6.0), detector(), StreamConfig(retries=0))
    assert given_up["reason"] in (NO_VIDEO, BROKEN_OFF)


def test_a_file_on_a_server_that_is_no_video_is_one_sentence_at_once(server, folder):
    (folder / "page.html").write_text("<html>" * 999)
    with pytest.raises(SourceError, match=f"cannot be watched \\({NO_VIDEO}\\); give another source"):
        open_source(f"{server}/page.html", 6.0)


def test_a_file_behind_a_sign_in_is_watched_and_named_without_it(folder):
    heard: list[str] = []
    with serving(guarded((folder / "clip.mp4").read_bytes(), heard)) as (address, _):
        source = open_source(f"{signed(address)}/clip.mp4", 6.0)
        assert (source.name, source.lives) == (f"{address}/clip.mp4", False)
        assert len(list(source.frames())) == 50
        assert heard.count(BASIC) >= 4  # two that look where the address leads, and two of FFmpeg
        given_up, _ = watch(open_source(f"{address}/x.mp4", 6.0), detector(), StreamConfig(retries=0))
    assert "it asks for a user and a password" in given_up["reason"]
    assert "s@cret" not in repr(source)


def test_segments_behind_a_sign_in_get_it(folder):
    heard: list[str] = []
    write_segments(folder, counting_images(50))

    def answer(handler, path):
        guarded((folder / path.lstrip("/")).read_bytes(), heard)(handler, path)

    with serving(answer) as (address, _):
        assert len(list(open_source(f"{signed(address)}/film.m3u8", 6.0).frames())) == 50
    assert set(heard) == {BASIC}


@contextmanager
def camera(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Gives the address of a camera that sends one of the `answers` for each request but the last, and its requests."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def accept():
            connection, _ = server.accept()
            with connection:
                for answer in (*answers, b""):
                    heard.append(connection.recv(999))
                    connection.sendall(answer)

        threading.Thread(target=accept, daemon=True).start()
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/x", heard


def test_a_camera_gets_the_sign_in_and_its_name_does_not_have_it():
    with camera(b'RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n') as (address, heard):
        source = open_source(signed(address), 6.0)
        given_up, _ = watch(source, detector(), StreamConfig(retries=0))
    assert f"Authorization: {BASIC}".encode() in heard[1]
    assert source.name == address
    assert "cret" not in given_up["reason"]


@pytest.mark.parametrize("word", ["gopher://127.0.0.1/x", "concat://a|b", "ftp://127.0.0.1/x"])
def test_an_address_of_another_kind_is_refused(word):
    with pytest.raises(UserError, match=r"cannot watch .*: the scheme must be one of file, http, https"):
        open_source(word, 6.0)


def test_a_protocol_in_front_of_an_address_makes_it_none(folder):
    with pytest.raises(UserError, match="is not a file, a camera's number or an address"):
        open_source(f"concat:file://{folder}/clip.mp4", 6.0)


def test_rtsp_may_make_its_connection():
    with camera() as (address, heard), pytest.raises(Lost):
        next(open_source(address, 6.0).frames())
    assert heard[0].startswith(b"OPTIONS rtsp://127.0.0.1")


@pytest.mark.parametrize("fast", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_overlay_holds_each_frame_that_the_summary_does_not_count(folder, monkeypatch, fast):
    monkeypatch.setattr("detect.stream.overlay.WAITING", 2)
    write, given = Overlay._write, []

    def slow(self, picture, seconds):
        time.sleep(0.06)
        write(self, picture, seconds)

    monkeypatch.setattr(Overlay, "_write", slow)
    add = Overlay.add
    monkeypatch.setattr(Overlay, "add", lambda self, frame: given.append(frame) or add(self, frame))
    config = StreamConfig(overlay=folder / "seen.mp4", fast=fast)
    *_, ended = watch(open_source(str(folder / "clip.mp4"), 6.0), detector(), config)
    assert frames_in(folder / "seen.mp4") + ended["overlay_left_out"] == len(given) == 50
    assert (ended["overlay_left_out"] == 0) == fast
