"""What is judged: files, folders, patterns, lists, and addresses only where they are allowed."""

import contextlib
import functools
import io
import socketserver
import threading
import time
import unicodedata
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from base.errors import UserError
from detect.clips import inputs as sources
from detect.clips.config import DetectConfig, check
from detect.clips.inputs import open_clips


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mp4", "a.MP4", "deep/c.mov", "notes.txt", "odd[1].mp4"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"clip")
    return tmp_path / "set"


def names(words, **options):
    with open_clips([str(word) for word in words], **options) as clips:
        return [Path(clip.name).name for clip in clips]


def test_files_folders_and_patterns(folder):
    assert names([folder]) == ["a.MP4", "b.mp4", "c.mov", "odd[1].mp4"]
    assert names([folder / "*.mp4"]) == ["b.mp4", "odd[1].mp4"]
    assert names([folder / "**/*.mov"]) == ["c.mov"]
    assert names([folder / "d*"]) == ["c.mov"]
    assert names([folder / "notes.txt", folder / "absent.mp4"]) == ["notes.txt", "absent.mp4"]
    assert names([folder / "odd[1].mp4"]) == ["odd[1].mp4"]


def test_a_folder_gives_its_pictures_among_its_videos(folder):
    for name in ("c.jpg", "A.WebP", "e.png", ".hidden.png", "f.heic"):
        (folder / name).write_bytes(b"picture")
    assert names([folder]) == ["A.WebP", "a.MP4", "b.mp4", "c.jpg", "c.mov", "e.png", "f.heic", "odd[1].mp4"]


def test_folders_of_numbered_pictures_are_clips_and_said_to_be(folder, tmp_path, capsys):
    for name in ("deep/001.png", "clip/001.png", "clip/002.png", "clip/cover.jpg", "more/1.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"picture")
    assert names([folder]) == [
        "a.MP4", "b.mp4", "clip", "cover.jpg", "001.png", "c.mov", "1.jpg", "odd[1].mp4",
    ]  # fmt: skip
    assert "A folder of numbered pictures is a clip, 25 numbers a second (--fps" in capsys.readouterr().err
    assert names([folder / "clip"]) == ["clip", "cover.jpg"]
    assert names([folder / "cl*"]) == ["clip", "cover.jpg"]


def test_names_in_either_form_of_unicode_and_addresses_of_files_are_found(tmp_path):
    forms: tuple[tuple[Literal["NFC", "NFD"], Literal["NFC", "NFD"]], ...] = (("NFC", "NFD"), ("NFD", "NFC"))
    for form, other in forms:
        name = unicodedata.normalize(form, f"{form} é/ü b.mp4")
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"clip")
        assert names([tmp_path / unicodedata.normalize(other, name)]) == [Path(name).name]
        assert names([(tmp_path / name).as_uri()]) == [Path(name).name]
    assert names([tmp_path / "é absent.mp4"]) == ["é absent.mp4"]


def test_what_cannot_be_looked_at_is_a_clip_that_fails_and_a_folder_is_none(folder):
    long = "x" * 300 + ".mp4"
    (folder / "deep.mp4").mkdir()
    assert names([folder / long]) == [long]
    assert "deep.mp4" not in names([folder])


def test_a_clip_named_twice_is_judged_once(folder):
    assert names([folder / "b.mp4", folder, folder / "b.mp4"]) == ["b.mp4", "a.MP4", "c.mov", "odd[1].mp4"]


def test_a_list_on_standard_input(folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{folder / 'b.mp4'}\n\n{folder / 'deep'}\r\n"))
    assert names(["-"]) == ["b.mp4", "c.mov"]


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("{}/empty", "holds no video and no picture"),
        ("{}/*.avi", "no file matches"),
        ("https://example.org/a.mp4", "add --allow-url"),
        ("rtsp://example.org/a", "reelcheck stream rtsp://example.org/a"),
        ("file://elsewhere/a.mp4", "reelcheck stream"),
        ("-", "there is nothing to judge"),
        ("", "an empty name is no clip"),
    ],
)
def test_what_cannot_be_is_refused(folder, monkeypatch, word, what):
    (folder / "empty").mkdir()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UserError, match=what), open_clips([word.format(folder)]):
        pass


@pytest.fixture
def server(folder):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "broke off 5 bytes before the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", "cannot be downloaded"),
        (b"\0\1\2 no HTTP\r\n\r\n", "cannot be downloaded"),
    ],
)
def test_a_download_that_breaks_off_or_is_garbage_fails_alone(answer, what):
    class Broken(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        with open_clips([f"{address}/a", f"{address}/a b"], allow_url=True) as (broken, spaced):
            assert what in broken.reason
            assert "cannot be downloaded" in spaced.reason
        server.shutdown()


def test_an_address_is_downloaded_and_deleted_again(server, monkeypatch):
    with open_clips([f"{server}/b.mp4", f"{server}/absent.mp4"], allow_url=True) as clips:
        good, absent = clips
        assert (good.name, good.path.read_bytes(), good.reason) == (f"{server}/b.mp4", b"clip", "")
        assert "it cannot be downloaded" in absent.reason
    assert not good.path.exists()
    monkeypatch.setattr(sources, "LARGEST_DOWNLOAD", 3)
    with open_clips([f"{server}/b.mp4"], allow_url=True) as (large,):
        assert "larger than" in large.reason


def test_a_download_takes_no_longer_than_it_may():
    class Dripping(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            with contextlib.suppress(OSError):  # who asked has gone
                while not time.sleep(0.05):
                    self.wfile.write(b"x")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/x.mp4"
        with open_clips([address], allow_url=True, url_seconds=0.3) as (late,):
            assert late.reason == "it cannot be downloaded (it has not ended after 0.3 s)"
        server.shutdown()


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_for_downloads_that_is_none_is_refused(seconds):
    with pytest.raises(UserError, match=f"--url-seconds {seconds} is no time above 0"):
        check(DetectConfig(url_seconds=seconds))
