"""The live source of the page: one watcher, of which visitors see the latest and nothing more."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from base.errors import UserError
from cache.schema import FRAMES
from detect.detector.verdict import SeenFrame, Verdict
from detect.stream import stage as stream
from detect.stream.frame_sources import Frame, FrameSource, Lost, open_source
from detect.web import live as web_live
from detect.web.cases import Cases, Room
from detect.web.config import WebConfig, check
from detect.web.live import Latest, Live, looped, shared
from detect.web.pages import Pages
from detect.web.service import Service
from evaluate.results.about_run import AboutRun
from tests.clips import counting_images, read_number, write_clip
from tests.detect.stream.test_stream import detector, feature_detector
from tests.detect.web.serving import detector as page_detector
from tests.detect.web.serving import text
from tests.detect.web.serving import wait_for as until
from tests.stores import clip_row

SEEN = tuple(SeenFrame(k / 2, "face", (4, 4, 24, 24)) for k in range(FRAMES))
FAKE = Verdict("/secret/camera", "Fake", 0.93, 0.87, 1.0, "", SEEN)


def shown(latest: Latest) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(latest.picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return picture


def words(latest: Latest) -> str:
    """What a visitor reads beside the picture."""
    return text(html_of(latest))


def html_of(latest: Latest) -> str:
    pages = Pages(Service(page_detector(), WebConfig(), Cases(Path(), Room(1, 1, 1, 1)), [], latest))
    return pages._html("live.html", **latest.words())


def frame(level: int = 0, size: tuple[int, int] = (64, 96), seconds: float = 0.0) -> Frame:
    return Frame(seconds, lambda: np.full((*size, 3), level, np.uint8))


def steady(level: int = 200, wait: float = 0.01) -> FrameSource:
    """A camera that goes on for ever."""

    def frames():
        start = time.monotonic()
        while True:
            time.sleep(wait)
            yield frame(level, seconds=time.monotonic() - start)

    return FrameSource("/secret/camera", True, frames)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(
        web_live, "StreamConfig", lambda threshold: stream.StreamConfig(threshold=threshold, window=0.6)
    )


def live(source: FrameSource, judge=None) -> Live:
    return Live(source, shared(judge or detector(), threading.Lock()), 0.5)


# What is there to look at


def test_before_anything_has_come_it_says_so():
    latest = Latest()
    assert (latest.picture, latest.number) == (b"", 0)
    assert words(latest) == "The verdict will be here once a frame has been judged."


def test_a_verdict_in_words_and_what_it_cost():
    latest = Latest()
    latest.add(frame())
    latest.verdict = FAKE
    latest.tell({"event": "verdict", "lag": 0.21, "dropped": 3})
    read = words(latest)
    assert read.startswith("The face looks fake Probability of fake, calibrated 87 %")
    assert read.endswith("Coverage 100 % Lag 0.2 s Dropped frames 3")
    assert "secret" not in read
    latest.verdict = Verdict("x", "Real", 0.2, None, 0.75, "", SEEN)
    latest.tell({"event": "verdict", "lag": 0.0, "dropped": 0})
    read = words(latest)
    assert read.startswith("The face looks real Score of fake, from 0 to 1 0.200")
    assert "0.200 is not the chance that this one is fake. It is not calibrated" in read
    latest.verdict = Verdict("x", "Undecided", None, None, 0.0, "a face was found in 0 of 12 frames", SEEN)
    latest.tell({"event": "verdict", "lag": 0.0, "dropped": 0})
    assert words(latest).startswith("Undecided A face was found in 0 of 12 frames. That hints neither")


def test_the_picture_has_the_box_and_is_no_wider_than_960():
    latest = Latest()
    latest.verdict = FAKE
    latest.add(frame(size=(720, 1280)))
    assert shown(latest).shape == (540, 960, 3)
    assert shown(latest).max() > 100


def test_there_are_at_most_four_pictures_a_second_and_one_is_kept():
    latest, made = Latest(), []
    start = time.monotonic()
    while time.monotonic() - start < 1.1:
        latest.add(Frame(0, lambda: made.append(1) or np.zeros((8, 8, 3), np.uint8)))
        time.sleep(0.005)
    assert 2 <= len(made) <= 5
    assert set(vars(latest)) == set(vars(Latest()))
    assert not [value for value in vars(latest).values() if isinstance(value, list | dict)]


def test_a_source_that_stands_still_is_not_taken_for_live(monkeypatch):
    monkeypatch.setattr(web_live, "TIMEOUT", 0.05)
    latest = Latest()
    latest.add(frame())
    assert latest.words()["state"] != "lost"
    time.sleep(0.06)
    assert "No picture" in words(latest)


# Watching


def test_a_file_is_played_at_its_own_pace_and_over_again(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", counting_images(20))
    source = looped(open_source(str(path), 6.0))
    taken = [(read_number(one.picture()), one.seconds) for one, _ in zip(source.frames(), range(45), strict=False)]
    assert [number for number, _ in taken] == [k % 20 for k in range(45)]
    assert np.diff([seconds for _, seconds in taken]) == pytest.approx(0.04)
    start, judge = time.monotonic(), detector()
    with live(open_source(str(path), 6.0), judge) as watched:
        until(lambda: watched.latest.picture)
        first = watched.latest.picture
        until(lambda: watched.latest.picture != first)
        until(lambda: "The face looks" in words(watched.latest))
        assert time.monotonic() - start > 0.5


def test_a_file_that_goes_is_lost_and_one_without_frames_is_no_busy_loop(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.05)
    path = write_clip(tmp_path / "clip.mp4", counting_images(10))
    with live(open_source(str(path), 6.0)) as watched:
        until(lambda: watched.latest.picture)
        path.rename(tmp_path / "away.mp4")
        until(lambda: watched.latest.words()["state"] == "lost")
        (tmp_path / "away.mp4").rename(path)
        until(lambda: watched.latest.words()["state"] != "lost")
    assert "The live source is lost (" in capfd.readouterr().err
    with pytest.raises(Lost, match="no frame"):
        next(looped(FrameSource("empty", False, lambda: iter(()))).frames())


def test_a_lost_source_is_told_in_a_line_and_opened_again(monkeypatch, capsys):
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.1)
    tries = []

    def frames():
        tries.append(1)
        if len(tries) in (1, 2, 3):
            raise Lost("/secret/camera answers nothing")
        yield from steady().frames()

    with live(FrameSource("/secret/camera", True, frames)) as watched:
        until(lambda: watched.latest.words()["state"] == "lost")
        assert "secret" not in words(watched.latest)
        assert not watched.latest.picture
        until(lambda: "The face looks fake" in words(watched.latest))
    assert capsys.readouterr().err == (
        "The live source is lost (/secret/camera answers nothing); it is being opened again.\n"
    )


def test_what_was_said_before_a_loss_is_said_no_more():
    latest = Latest()
    latest.verdict = FAKE
    latest.tell({"event": "verdict", "lag": 0.2, "dropped": 0})
    latest.tell({"event": "lost", "reason": "gone", "seconds_to_next_try": 1.0})
    latest.add(frame())
    assert latest.words()["verdict"] is None


def test_a_bug_is_told_to_the_terminal_and_the_watcher_tries_again(monkeypatch, caplog):
    monkeypatch.setattr(web_live, "LONGEST_WAIT", 0.05)
    calls = []

    def fails_at_first(inputs):
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("in /secret/place")
        return np.full((len(inputs["crops"]), 1), 0.9)

    with live(steady(), detector(network=fails_at_first)) as watched:
        until(lambda: watched.latest.words()["state"] == "lost")
        assert "secret" not in words(watched.latest)
        until(lambda: "The face looks fake" in words(watched.latest))
    assert "RuntimeError: in /secret/place" in caplog.text


@pytest.mark.slow
def test_it_stops_with_its_block_wherever_it_is():
    def lost():
        raise Lost("nobody answers")
        yield

    def hangs():
        yield frame()
        time.sleep(3)

    for frames in (lost, hangs, steady().frames):
        before = threading.active_count()
        with live(FrameSource("camera", True, frames)) as watched:
            time.sleep(0.2)
        assert not watched._thread.is_alive()
        until(lambda before=before: threading.active_count() <= before)


def test_networks_that_are_shared_run_one_at_a_time():
    inside, most = [], []

    def alone(what):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return what

    judge, given = feature_detector()
    engine, network = judge.engine, judge._scorer._head
    assert engine is not None
    run = engine._run
    engine._run = lambda crops, regions: alone(run(crops, regions))
    judge._scorer._head = lambda inputs: alone(network(inputs))
    one = shared(judge, threading.Lock())
    assert one.engine is not None
    small, crops = one.engine.of_batch(1), np.full((FRAMES, 160, 160, 3), 90, np.uint8)
    regions = np.zeros((FRAMES, 4), np.uint8)

    def pass_by(number, whole=one.engine):
        used = small if number % 2 else whole
        for _ in range(4):
            one.probability(clip_row(used.features(crops[:2], regions[:2]).repeat(6, axis=0)))

    threads = [threading.Thread(target=pass_by, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert set(given) == {1, 24}
    assert one.engine.features(crops, regions) == pytest.approx(engine.features(crops, regions))


def test_the_words_are_escaped():
    latest = Latest()
    latest.add(frame())
    latest.verdict = Verdict("x", "Fake", 0.9, None, 1.0, "", SEEN, run=AboutRun(("<img src=x>",)))
    latest.tell({"event": "verdict", "lag": 0.2, "dropped": 3})
    html = html_of(latest)
    assert "&lt;img src=x&gt;" in html
    assert "<img src=x>" not in html


def test_the_source_is_refused_before_anything_is_loaded(tmp_path):
    check(WebConfig(live="0"))
    with pytest.raises(UserError, match="is not a file, a camera's number or an address"):
        check(WebConfig(live=str(tmp_path / "absent.mp4")))
