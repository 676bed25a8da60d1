"""Addresses as sources: a file on a server is played once, at its own times; no address leads where it should not."""

import socket
import threading
import time
from pathlib import Path

import pytest

from cache.schema import UserError
from detect import addresses
from detect.stream import stage as stream
from detect.stream.frame_sources import Lost, open_source
from detect.stream.overlay import Overlay
from detect.stream.stage import StreamConfig, watch
from tests.clips import counting_images, read_number, write_clip
from tests.detect.stream.test_stream import detector, frames_in, serve
from tests.detect.test_addresses import INSIDE, Answer, redirects, serving


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
    taken = [list(stream.sampled(source.frames(), 6.0, source.moments)) for source in (remote, here)]
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


@pytest.mark.parametrize(("status", "text"), [(404, "Not Found"), (410, "Gone")])
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
        answers = iter([content, content, away, content, away])

        def answer(handler, path):
            next(answers)(handler, path)

        with serving(answer) as (address, _):
            source = open_source(address, 6.0)
            assert source.lives
            with pytest.raises(Lost):
                list(source.frames())
        assert (asked, list(answers)) == ([], [])


@pytest.mark.parametrize("word", ["gopher://127.0.0.1/x", "concat://a|b", "ftp://127.0.0.1/x"])
def test_an_address_of_another_kind_is_refused(word):
    with pytest.raises(UserError, match="is no address that can be watched; give one with file, http, https"):
        open_source(word, 6.0)


def test_a_protocol_in_front_of_an_address_makes_it_none(folder):
    with pytest.raises(UserError, match="is not a file, a camera's number or an address"):
        open_source(f"concat:file://{folder}/clip.mp4", 6.0)


def test_rtsp_may_make_its_connection():
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def accept():
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(99))

        frames = open_source(f"rtsp://127.0.0.1:{server.getsockname()[1]}/x", 6.0).frames()
        threading.Thread(target=accept, daemon=True).start()
        with pytest.raises(Lost):
            next(frames)
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
