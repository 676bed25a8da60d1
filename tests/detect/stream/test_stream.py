"""The stream: verdicts like those on clips, nothing searched twice, frames dropped rather than late, sources lost."""

import functools
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from base.errors import UserError
from cache.profile import CropProfile
from cache.schema import FRAMES
from detect.detector.judge import Detector
from detect.detector.networks import CropScorer, FeatureScorer
from detect.stream import stage as stream
from detect.stream.frame_sources import open_source
from detect.stream.frames import Frame, FrameSource, Lost, sampled
from detect.stream.overlay import WAITING, Overlay
from detect.stream.recent_frames import RecentFrames
from detect.stream.stage import StreamConfig, watch
from extract.backbones.engines import Engine
from extract.clips.face_detectors import face_detector_hash
from extract.clips.haar import HaarDetector
from extract.drawn.clip import Capture, Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from extract.video.decode import read_times, sample_frames
from reelcheck.cli import dispatch
from tests import ROOT
from tests.clips import counting_images, read_number, write_clip

PROFILE = CropProfile(detector_file=face_detector_hash("yunet"))
BLIND = CropProfile(detector="none", detector_file=face_detector_hash("none", None))


def brightness(inputs) -> np.ndarray:
    crops, masks = inputs["crops"].astype(np.float64), inputs["mask"]
    return ((crops.mean(axis=(2, 3, 4)) * masks).sum(axis=1) / masks.sum(axis=1) / 255)[:, None]


def detector(profile=BLIND, network=brightness) -> Detector:
    return Detector(profile, CropScorer(network), None, None)


def feature_detector(profile=PROFILE) -> tuple[Detector, list[int]]:
    """A detector with an engine that averages colours, and the crops that its engine was given."""
    given: list[int] = []

    def run(crops, regions):
        assert regions.shape == (len(crops), 4)
        given.append(len(crops))
        return crops.reshape(len(crops), -1, 3).mean(axis=1)

    def head(inputs):
        weights = np.linspace(0, 1, FRAMES) * inputs["mask"]
        return (inputs["features"].mean(axis=2) * weights).sum(axis=1, keepdims=True) / 255 / FRAMES

    return Detector(profile, FeatureScorer(Engine(run, 24), head, "colours"), None, None), given


def frames(seconds, picture=lambda: np.zeros((64, 96, 3), np.uint8)) -> list[Frame]:
    return [Frame(at, picture) for at in seconds]


def verdicts(events) -> list[dict]:
    return [event for event in events if event["event"] == "verdict"]


def source(*runs, name="fake", lives=True) -> FrameSource:
    """A source that gives one of `runs` each time it is opened, and is lost after each."""
    left = iter(runs)

    def opened():
        run = next(left, None)
        if run is None:
            raise Lost("nobody answers")
        yield from run
        if lives:
            raise Lost("it has ended")

    return FrameSource(name, lives, opened)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    scene = Scene(make_look(0, 1), (1,))
    return draw_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", scene, Capture(frames=60))


def test_frames_are_taken_at_the_middles_of_even_spans():
    taken = [frame.seconds for frame in sampled(frames(np.arange(0, 3, 0.1)), 6.0, None)]
    assert taken == pytest.approx([0.2, 0.7, 1.2, 1.7, 2.2, 2.7])
    # A source that stands still goes on showing its last frame.
    taken = [frame.seconds for frame in sampled(frames([0, 0.1, 2.0, 2.1]), 6.0, None)]
    assert taken == [0.1, 0.1, 0.1, 0.1]
    assert list(sampled([], 6.0, [0.0, 1.0])) == []


@pytest.mark.parametrize("count", [1, 5, 12, 13, 60])
def test_a_short_file_is_sampled_as_a_clip(tmp_path, count):
    path = write_clip(tmp_path / "clip.mp4", counting_images(count))
    found = open_source(str(path), 6.0)
    expected = sample_frames(path)
    taken = list(sampled(found.frames(), 6.0, found.moments))
    assert [read_number(frame.picture()) for frame in taken] == [read_number(image) for image in expected.images]
    assert [frame.seconds for frame in taken] == pytest.approx(expected.times)


@pytest.mark.parametrize(("suffix", "count"), [("mp4", 5), ("mp4", 100), ("ts", 5), ("ts", 100)])
def test_a_file_whose_frames_have_one_time_gets_the_verdicts_of_a_clip(tmp_path, suffix, count):
    """Their order says when they are shown, as it does for detection."""
    path = write_clip(tmp_path / f"clip.{suffix}", counting_images(count), times=[0] * count)
    ((expected, _),) = next(detector().judge([path]))
    *events, last, _ = watch(open_source(str(path), 6.0), detector(), StreamConfig(fast=True))
    assert len(events) + 1 == min(count, FRAMES)
    assert last["verdict"] == expected.verdict != "Undecided"
    assert last["probability"] == pytest.approx(expected.probability, abs=1e-12)


def test_a_long_file_without_times_is_not_read_to_its_end_first(tmp_path):
    path = write_clip(tmp_path / "raw.h264", counting_images(100))
    times, end, scale = read_times(path, seconds=1.0)
    assert len(times) == 27
    assert end * scale > 1.0
    assert open_source(str(path), 1.0).moments is None


def test_a_raw_stream_of_frames_goes_at_its_own_times(tmp_path):
    """Its packets have no times, and its frames are counted in units far smaller than a frame."""
    path = write_clip(tmp_path / "raw.h264", counting_images(50))
    assert [frame.seconds for frame in open_source(str(path), 6.0).frames()] == pytest.approx(np.arange(50) / 25)


@pytest.mark.parametrize("profile", [PROFILE, BLIND])
def test_the_last_verdict_on_a_short_file_is_that_of_detection(clip, profile):
    judge, _ = feature_detector(profile)
    ((expected, _),) = next(judge.judge([clip]))
    *_, last, ended = watch(open_source(str(clip), 6.0), judge, StreamConfig(fast=True))
    assert ended["verdicts"] == FRAMES
    assert last["probability"] == pytest.approx(expected.probability, abs=1e-12)
    assert last["box"] == (expected.frames[-1].box and tuple(expected.frames[-1].box))


def test_a_new_frame_costs_one_pass_and_is_searched_once(monkeypatch):
    searched: dict[tuple, int] = {}

    class Counting(HaarDetector):
        def find(self, image):
            searched["find", id(image)] = searched.get(("find", id(image)), 0) + 1
            return super().find(image)

    monkeypatch.setattr("detect.stream.recent_frames.make_face_detector", lambda *_: Counting())
    judge, given = feature_detector()
    recent = RecentFrames(judge, "still", 0.5)
    from extract.drawn.clip import draw_frames

    images = list(itertools.islice(draw_frames(Scene(make_look(0, 1), (1,)), Capture(frames=40)), 40))
    given.clear()
    for number, image in enumerate(images):
        recent.add(number / 2, image)
    # A face that moves is at times cut anew, where an earlier frame was dropped and its box changed.
    assert len(given) <= 1.5 * len(images)
    assert set(given) == {1}
    assert max(searched.values()) == 1


def test_before_twelve_frames_it_is_undecided_and_says_so():
    recent = RecentFrames(detector(), "x", 0.5)
    verdicts_so_far = [recent.add(number, np.full((64, 96, 3), 200, np.uint8)) for number in range(14)]
    assert [verdict.verdict for verdict in verdicts_so_far] == ["Undecided"] * 11 + ["Fake"] * 3
    assert verdicts_so_far[4].reason == "5 of 12 frames seen so far"
    assert recent.add(14, np.zeros((64, 96, 3), np.uint8)).probability == pytest.approx(200 / 255 * 11 / 12)
    recent.clear()
    assert recent.add(15, np.zeros((64, 96, 3), np.uint8)).reason == "1 of 12 frames seen so far"
    assert recent.add(16, np.zeros((64, 96, 3), np.uint8), last=True).verdict == "Real"


def test_nobody_there_is_undecided(tmp_path):
    empty = draw_empty_clip(tmp_path / "empty.mp4")
    events = list(watch(open_source(str(empty), 6.0), detector(PROFILE), StreamConfig(fast=True)))
    assert {event["verdict"] for event in verdicts(events)} == {"Undecided"}
    assert "a face was found in 0 of" in verdicts(events)[-1]["reason"]


def test_frames_are_dropped_and_counted_where_judging_is_slow():
    def slow(inputs):
        time.sleep(0.25)
        return brightness(inputs)

    def live_frames():
        for number in range(100):
            time.sleep(0.01)
            yield Frame(number / 100, lambda: np.zeros((64, 96, 3), np.uint8))

    config = StreamConfig(window=0.24, retries=0)  # one frame each 20 ms
    events = list(watch(source(live_frames()), detector(network=slow), config))
    said, ended = verdicts(events), events[-1]
    assert ended["dropped"] > 10
    assert len(said) + ended["dropped"] == pytest.approx(49, abs=2)
    assert max(event["lag"] for event in said) < 1.0
    assert ended["seconds"] < 8


def test_a_file_that_is_watched_fast_loses_nothing(tmp_path):
    path = write_clip(tmp_path / "long.mp4", counting_images(200))

    def slow(inputs):
        time.sleep(0.01)
        return brightness(inputs)

    start = time.monotonic()
    events = list(watch(open_source(str(path), 1.2), detector(network=slow), StreamConfig(window=1.2, fast=True)))
    assert time.monotonic() - start < 6
    assert events[-1]["dropped"] == 0
    assert [event["seconds"] for event in verdicts(events)] == pytest.approx(
        [int((k + 0.5) * 2.5) / 25 for k in range(len(verdicts(events)))], abs=0.041
    )


def test_a_file_goes_at_its_own_pace(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", counting_images(50))
    start = time.monotonic()
    list(watch(open_source(str(path), 6.0), detector(), StreamConfig()))
    assert 1.8 < time.monotonic() - start < 5


def test_a_lost_source_is_opened_again_and_what_was_seen_is_forgotten(monkeypatch):
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.02)
    still = frames(np.arange(0, 1.5, 0.01))
    events = list(watch(source(still, still), detector(), StreamConfig(window=0.6, retries=2)))
    kinds = [event["event"] for event in events if event["event"] != "verdict"]
    assert kinds == ["lost", "lost", "lost", "given up", "ended"]
    waits = [event["seconds_to_next_try"] for event in events if event["event"] == "lost"]
    assert waits[:2] == [0.02, 0.02]  # it had come back in between
    assert all(event["reason"] for event in events if event["event"] == "lost")
    second = events[[event["event"] for event in events].index("lost") + 1 :]
    assert verdicts(second)[0]["frames"] == 1


def test_waits_grow_to_a_limit(monkeypatch):
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(stream, "LONGEST_WAIT", 0.04)
    events = list(watch(source(), detector(), StreamConfig(retries=5)))
    waits = [event["seconds_to_next_try"] for event in events if event["event"] == "lost"]
    assert waits == [0.01, 0.02, 0.04, 0.04, 0.04]
    assert events[-2] == {"event": "given up", "reason": "nobody answers", "tries": 6}


def serve(folder: Path, port: int = 0, ends: bool = True) -> ThreadingHTTPServer:
    """Serves the files of a folder; without `ends`, as live sources do, whose end nobody knows."""

    class Quiet(SimpleHTTPRequestHandler):
        def send_header(self, keyword, value):
            if ends or keyword != "Content-Length":
                super().send_header(keyword, value)

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_an_address_that_dies_and_comes_back_is_survived(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.2)
    write_clip(tmp_path / "live.ts", counting_images(300))
    server = serve(tmp_path, ends=False)
    port = server.server_port
    said, kinds = 0, []
    for event in watch(open_source(f"http://127.0.0.1:{port}/live.ts", 0.012), detector(), StreamConfig(window=0.012)):
        kinds.append(event["event"])
        if event["event"] == "lost" and kinds.count("lost") == 1:
            server.shutdown()
            server.server_close()
        elif event["event"] == "lost" and kinds.count("lost") == 3:
            server = serve(tmp_path, port, ends=False)
        elif event["event"] == "verdict" and kinds.count("lost") >= 3:
            said += 1
            if said == 3:
                break
    server.shutdown()
    server.server_close()
    assert said == 3
    assert kinds[0] == "verdict"


def test_an_address_without_anyone_is_lost_not_a_crash():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"rtsp://127.0.0.1:{taken.getsockname()[1]}/x"
        events = list(watch(open_source(address, 6.0), detector(), StreamConfig(retries=0)))
    assert [event["event"] for event in events] == ["given up", "ended"]


@pytest.mark.parametrize("word", ["absent.mp4", "no such thing", "9" * 20])
def test_what_is_no_source_is_refused(word):
    with pytest.raises(UserError, match="is not a file, a camera's number or an address"):
        open_source(word, 6.0)


def test_a_text_file_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match="cannot be watched"):
        open_source(str(tmp_path / "text.mp4"), 6.0)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"threshold": 2.0}, "--threshold 2 is not a probability"),
        ({"window": 0.0}, "--window 0 is not"),
        ({"retries": -1}, "--retries -1 is below 0"),
        ({"overlay": Path("x.gif")}, "is not an MP4"),
    ],
)
def test_a_wrong_setting_is_one_sentence(changes, what):
    with pytest.raises(UserError, match=what):
        stream._check(replace(StreamConfig(source="clip.mp4"), **changes))


def test_the_annotated_video_has_every_frame_and_the_verdict(clip, tmp_path):
    out = tmp_path / "seen.mp4"
    events = list(watch(open_source(str(clip), 6.0), detector(PROFILE), StreamConfig(overlay=out)))
    with av.open(str(out)) as file:
        seen = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert float(file.duration or 0) / 1e6 == pytest.approx(60 / 25, abs=0.2)
    assert len(seen) == pytest.approx(60, abs=3)
    with av.open(str(clip)) as file:
        plain = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    changed = [np.abs(one.astype(int) - other).max() > 100 for one, other in zip(seen[-5:], plain[-5:], strict=True)]
    assert all(changed)
    assert events[-1]["event"] == "ended"


def test_an_overlay_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        list(watch(source([]), detector(), StreamConfig(overlay=tmp_path / "file" / "x.mp4")))
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(UserError, match=r"there is no folder .*absent; make it, or choose another --overlay"):
        dispatch(["stream", str(tmp_path / "clip.mp4"), "--overlay", str(tmp_path / "absent" / "x.mp4")])
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("size", [(64, 1), (1, 64)])
def test_an_overlay_that_fails_on_the_way_is_told_and_nothing_waits_for_it(tmp_path, size):
    """As on a full disk: many more frames come than may wait for a writer that has given up."""

    def pictures():
        for number in range(3 * WAITING):
            time.sleep(0.01)
            yield Frame(number / 100, lambda: np.zeros((*size, 3), np.uint8))

    with pytest.raises(UserError, match=r"x\.mp4 cannot be written"):
        list(watch(source(pictures()), detector(), StreamConfig(overlay=tmp_path / "x.mp4", retries=0)))


def test_a_folder_in_the_place_of_the_overlay_is_told_at_once(tmp_path):
    (tmp_path / "x.mp4").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        Overlay(tmp_path / "x.mp4")


def test_the_source_is_not_overwritten_by_its_overlay(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", counting_images(5))
    (tmp_path / "link.mp4").symlink_to(path)
    with pytest.raises(UserError, match="is the source itself"):
        dispatch(["stream", str(path), "--overlay", str(tmp_path / "link.mp4")])


def test_no_two_threads_convert_a_picture_at_once(tmp_path):
    """Overlay and judge want the same one; libav's frames bear one at a time, and end the process else."""
    at_work, most, made = 0, 0, 0

    def convert():
        nonlocal at_work, most, made
        at_work, made = at_work + 1, made + 1
        most = max(most, at_work)
        time.sleep(0.02)
        at_work -= 1
        return np.zeros((64, 64, 3), np.uint8)

    shown = source([Frame(number / 2, convert) for number in range(6)])
    list(watch(shown, detector(), StreamConfig(overlay=tmp_path / "x.mp4", retries=0, fast=True)))
    assert (most, made) == (1, 6)


def test_a_camera_that_is_not_there_is_lost():
    events = list(watch(open_source("97", 6.0), detector(), StreamConfig(retries=0)))
    assert events[0]["event"] == "given up"
    assert "camera 97 gives no picture" in events[0]["reason"]


PROGRAM = """
import sys
from base.ending import run
from detect.stream import stage as stream
from reelcheck.cli import dispatch
from tests.detect.stream.test_stream import detector
stream.open_configured = lambda _: detector()
run(lambda: dispatch(["stream", *sys.argv[1:]]))
"""


def watch_until_signal(folder: Path, number: int) -> tuple[int, str, str, Path]:
    """Sends a signal to a stream after 15 verdicts; returns its status, the rest of its output, errors, and overlay."""
    path, overlay = write_clip(folder / "long.mp4", counting_images(250) * 2), folder / "seen.mp4"
    command = [sys.executable, "-c", PROGRAM, str(path), "--window", "1", "--overlay", str(overlay)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(15):
            assert json.loads(process.stdout.readline())["event"] == "verdict"
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    return process.returncode, rest, errors, overlay


def frames_in(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


@pytest.mark.parametrize(
    ("number", "ending"),
    [(signal.SIGINT, (0, "")), (signal.SIGTERM, (143, "interrupted; finished work is kept.\n"))],
)
def test_a_signal_ends_it_cleanly(ctrl_c, tmp_path, number, ending):
    status, rest, errors, overlay = watch_until_signal(tmp_path, number)
    assert (status, errors) == ending
    assert json.loads(rest.splitlines()[-1])["event"] == "ended"
    assert frames_in(overlay) > 20


@pytest.mark.slow
def test_a_kill_leaves_an_overlay_that_lacks_no_more_than_its_last_second(tmp_path):
    status, _, _, overlay = watch_until_signal(tmp_path, signal.SIGKILL)
    assert status == -signal.SIGKILL
    # The fifteenth verdict is on the frame at 1.2 s.
    assert frames_in(overlay) >= 20


def test_ctrl_c_is_heard_while_an_event_is_printed(tmp_path, monkeypatch, capsys):
    path = write_clip(tmp_path / "clip.mp4", counting_images(30))
    monkeypatch.setattr(stream, "open_configured", lambda _: detector())
    printed, dumped = iter((KeyboardInterrupt,)), json.dumps

    def dumps(event):
        for interrupt in printed:
            raise interrupt
        return dumped(event)

    monkeypatch.setattr(stream.json, "dumps", dumps)
    assert dispatch(["stream", str(path), "--fast"]) == 0
    assert json.loads(capsys.readouterr().out)["event"] == "ended"


@pytest.mark.slow
def test_a_minute_keeps_up_and_grows_no_memory(tmp_path):
    """60 s of 720p at 30 frames/s: a verdict each half second, no growing lag, memory flat."""
    import cv2

    from extract.drawn.clip import draw_frames

    drawn = [cv2.resize(image, (1280, 720)) for image in draw_frames(Scene(make_look(0, 1), (1,)), Capture(frames=90))]
    path = write_clip(tmp_path / "minute.mp4", (drawn + drawn[::-1]) * 10, rate=30, options={"preset": "ultrafast"})
    judge, _ = feature_detector()
    process, memory, said = psutil.Process(os.getpid()), [], []
    for event in watch(open_source(str(path), 6.0), judge, StreamConfig()):
        memory.append(process.memory_info().rss / 2**20)
        said.append(event)
    lags = [event["lag"] for event in verdicts(said)]
    assert said[-1]["dropped"] <= 2
    assert len(lags) >= 117
    assert np.mean(lags[-30:]) < np.mean(lags[10:40]) + 0.1
    assert memory[-1] - memory[30] < 50
