"""The page: what it takes and keeps, what it says, what it lets out; and all of it in a browser where there is one."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import UserError
from cache.schema import FRAMES
from detect.detector.judge import Detector
from detect.detector.networks import Scores
from detect.detector.verdict import SeenFrame, Verdict, WindowScore
from detect.web import page as web_page
from detect.web.config import WebConfig, check, is_loopback
from detect.web.frames import frames_html
from detect.web.player import timeline_sentence
from detect.web.stage import private_folder
from detect.web.uploads import NoRoom, Uploads, copy_examples, draw_examples, refusal_of
from evaluate.results.about_run import AboutRun, MeasuredArea
from evaluate.stats.band import band_around
from evaluate.stats.calibration import Temperature
from extract.backbones.engines import Engine
from extract.clips.thumbnails import Thumbnails
from extract.config import ExtractConfig
from extract.drawn.clip import Capture, Scene, draw_clip, draw_empty_clip
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.drawn.look import make_look
from extract.pipeline import extract
from extract.video.containers import ClipError
from extract.video.decode import play_seconds, sample_frames
from reelcheck.cli import dispatch
from tests import ROOT
from tests.clips import counting_images, write_clip, write_sound
from train.data.neighbours import Neighbours
from train.fit import FitConfig, fit

# Gradio, when it ends a server and when it counts who waited.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]
CALLED = "(The face looks (real|fake)|Too close to call)"
CROPS = np.zeros((FRAMES, 160, 160, 3), np.uint8)


class Brightness:
    """Judges crops by how bright they are, so that no network has to be trained."""

    input_kind = "crops"
    engine: Engine | None = None
    neighbours: Neighbours | None = None

    def score(self, arrays, regions, masks):
        return Scores(arrays.mean(axis=(1, 2, 3, 4)) / 255)


def detector() -> Detector:
    return Detector(ExtractConfig(Path()).crop_profile, Brightness(), Temperature(1.5, 40), None)


def uploads(tmp_path) -> Uploads:
    return Uploads(tmp_path / "page", 1 << 20, 1 << 20)


def upload(where: Uploads, name: str = "clip.mp4", content: bytes = b"clip", visitor: str = "somebody") -> Path:
    with where.arriving(visitor) as count:
        count(len(content))
    return where.keep(visitor, io.BytesIO(content), name)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def verdict(**values) -> Verdict:
    frames = tuple(SeenFrame(k / 2, "face", (80, 40, 96, 96)) for k in range(FRAMES))
    return replace(Verdict("/secret/x/clip.mp4", "Fake", 0.93, 0.87, 1.0, "", frames), **values)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def html_of(one: Verdict) -> str:
    frames = Thumbnails([CROPS[0]] * len(one.frames), 0.5)
    return web_page.verdict_html(one, CROPS, frames, Path(one.clip))


def said(one: Verdict) -> str:
    return text(html_of(one))


# What it keeps


def test_an_upload_lies_under_a_name_of_its_own_and_its_folder_goes_with_it(tmp_path):
    where = uploads(tmp_path)
    first, second = upload(where), upload(where)
    assert first != second
    where.release(first)
    assert second.read_bytes() == b"clip"
    where.release(second)
    where.release(second)
    where.release(None)
    assert list(where.served.iterdir()) == [where.examples]


def test_what_a_file_is_called_goes_no_further(tmp_path):
    where = uploads(tmp_path)
    for name in ("..;rm -rf.mp4", "<script>.MP4", "a b.exe", "../../x/.mp4", ""):
        kept = upload(where, name)
        assert kept.name == ("clip.mp4" if name[-3:] in ("mp4", "MP4") and name[-5:] != "/.mp4" else "clip")
        assert kept.parent.parent == where.served


def test_only_clips_of_this_page_are_taken(tmp_path):
    where, secret = uploads(tmp_path), tmp_path / "secret.mp4"
    example = where.examples / "1.mp4"
    for path in (secret, example):
        path.write_bytes(b"clip")
    clip = upload(where)
    assert where.replace(None, clip) == clip
    assert where.replace(clip, example) == example
    for path in (secret, clip, where.served, where.examples / "../../../secret.mp4"):
        assert not where.has(path)
        assert where.replace(None, path) is None


def test_a_newer_upload_takes_the_place_of_an_older_one_and_the_same_is_kept(tmp_path):
    where = uploads(tmp_path)
    clip, picture = upload(where), upload(where, "face.png", b"picture")
    assert where.replace(clip, clip) == clip
    assert where.replace(clip, picture) == picture
    assert files(tmp_path) == ["clip.png"]
    assert where.replace(picture, None) is None
    assert files(tmp_path) == []


def test_examples_stay_and_what_nobody_asked_about_goes(tmp_path, monkeypatch):
    where = uploads(tmp_path)
    example = where.examples / "1.mp4"
    example.write_bytes(b"example")
    monkeypatch.setattr("detect.web.uploads.WAITING", -1)
    upload(where, "forgotten.avi")
    where.release(example)
    monkeypatch.undo()
    newer = upload(where, "newer.mp4")
    assert files(tmp_path) == ["1.mp4", "clip.mp4"]
    monkeypatch.setattr("detect.web.uploads.KEPT", -1)
    monkeypatch.setattr("detect.web.uploads.SWEEP_SECONDS", 0.01)
    with where.swept():
        assert newer.exists()
        where.keep_on(newer)
        wait_for(lambda: not newer.exists())
    assert files(tmp_path) == ["1.mp4"]


def wait_for(happens, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_tab_that_is_closed_takes_its_own_clips_with_it_and_nobody_elses(tmp_path):
    where = uploads(tmp_path)
    clips = [upload(where, visitor=visitor) for visitor in "aab"]
    for clip, tab in zip(clips, ("one", "two", "one"), strict=True):
        assert where.replace(None, clip, tab) == clip
    where.leave("a", "one")
    assert [clip.exists() for clip in clips] == [False, True, True]


def test_a_clip_is_handed_out_to_nobody_but_its_visitor(tmp_path):
    where = uploads(tmp_path)
    clip, example, other = upload(where, visitor="a"), where.examples / "1.mp4", tmp_path / "other"
    assert where.is_for(clip, "a")
    (tmp_path / "link").symlink_to(where.served)
    for way in (
        clip,
        clip.parent / ".." / clip.parent.name / "clip.mp4",
        tmp_path / "link" / clip.parent.name / "clip.mp4",
    ):
        assert not where.is_for(way, "b")
    assert where.is_for(example, "b")
    assert where.is_for(other, "b")  # Gradio refuses it
    assert not where.is_for(where.examples / "../x/clip.mp4", "b")
    where.release(clip)
    assert not where.is_for(clip, "a")


def test_what_only_plays_makes_room_for_what_is_to_be_judged(tmp_path):
    where = Uploads(tmp_path / "page", 4, 4)
    played = [upload(where, content=bytes(2), visitor=visitor) for visitor in "ab"]
    for clip in reversed(played):
        where.keep_on(clip)
    newer = upload(where, content=bytes(2), visitor="c")
    assert [path.exists() for path in (*played, newer)] == [True, False, True]
    own = upload(where, content=bytes(2), visitor="c")
    assert [path.exists() for path in (*played, newer, own)] == [False, False, True, True]


def test_a_visitor_who_sends_too_much_loses_their_own_oldest_upload_and_nobody_elses(tmp_path):
    where = Uploads(tmp_path / "page", 10, 4)
    other = upload(where, visitor="b")
    own = [upload(where, content=bytes(2), visitor="a") for _ in range(3)]
    assert [path.exists() for path in (other, *own)] == [True, False, True, True]
    with where.arriving("a") as count:
        count(3)  # both others are deleted for these
        with pytest.raises(NoRoom, match="no room"):
            count(2)
    assert files(tmp_path) == ["clip.mp4"]
    assert other.exists()
    assert upload(where, content=bytes(4), visitor="a").exists()  # what did not arrive takes no room


def test_when_the_page_is_full_whoever_has_the_most_makes_room_but_not_for_more_than_their_share(tmp_path):
    where = Uploads(tmp_path / "page", 10, 6)
    greedy = [upload(where, content=bytes(3), visitor="a") for _ in range(2)]
    modest = upload(where, content=bytes(3), visitor="b")
    newest = upload(where, content=bytes(3), visitor="c")
    assert [path.exists() for path in (*greedy, modest, newest)] == [False, True, True, True]
    with pytest.raises(NoRoom, match="come back"):
        upload(where, content=bytes(3), visitor="d")
    assert len(files(tmp_path)) == 3


def test_examples_are_drawn_or_copied_under_names_of_ours(tmp_path, face):
    assert [name for name, _ in draw_examples(tmp_path)] == ["A drawn face", "A room without a face"]
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with pytest.raises(UserError, match="holds no clip"):
        copy_examples(source, target)
    shutil.copyfile(face, source / "../source/..Ada.MP4")
    shutil.copyfile(face, source / "Ada\n.mp4")
    assert [(name, path.name) for name, path in copy_examples(source, target)] == [("Ada\\n", "1.mp4")]
    with pytest.raises(UserError, match="is not a folder"):
        copy_examples(source / "absent", target)


# What it takes


def test_how_long_a_clip_is(tmp_path, face):
    assert play_seconds(face) == pytest.approx(2, abs=0.1)
    slow = write_clip(tmp_path / "slow.mp4", counting_images(5), times=[0, 1000, 2000, 3000, 7500])
    assert play_seconds(slow) == pytest.approx(300)
    (tmp_path / "text.mp4").write_text("no video")
    write_sound(tmp_path / "sound.mp4")
    for name in ("text.mp4", "sound.mp4"):
        with pytest.raises(ClipError, match=name):
            play_seconds(tmp_path / name)
        assert refusal_of(tmp_path / name, 1000, 1000) == ""  # the detector says what it is


def test_what_is_too_large_or_too_long_is_refused_in_a_sentence(tmp_path, face):
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(200 << 20)
    assert refusal_of(large, 100 << 20, 120) == "it has 200 MB; this page takes files of up to 100 MB."
    slow = write_clip(tmp_path / "slow.mp4", counting_images(5), times=[0, 1000, 2000, 3000, 7500])
    assert "it plays for 300 s; this page takes clips of up to 120 s" in refusal_of(slow, 1 << 30, 120)
    assert "no longer here" in refusal_of(tmp_path / "absent.mp4", 1 << 30, 120)
    assert refusal_of(face, 1 << 30, 120) == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 2.0}, "is not a probability"),
        ({"port": 0}, "is no port"),
        ({"most_megabytes": 0}, r"--most-megabytes must be above 0 \(got 0\)"),
        ({"most_each": 0}, r"--most-each must be above 0 \(got 0\)"),
        ({"names": ("https://page.example",)}, "--names https://page.example is not a host name; give one as"),
        ({"names": ("page.example", "a*")}, "--names 'a\\*' is not a host name"),
        ({"proxy": "nginx"}, "--proxy nginx is not an address; give the one from which the proxy connects"),
        ({"most_seconds": float("nan")}, r"must be above 0 \(got nan\)"),
        ({"most_work_seconds": 0.0}, r"--most-work-seconds must be above 0 \(got 0\)"),
    ],
)
def test_a_wrong_option_is_one_sentence(values, message):
    with pytest.raises(UserError, match=message):
        check(WebConfig(**values))


def test_without_gradio_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install gradio brings it"):
        dispatch(["web"])


def test_who_can_reach_a_host():
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.0.1", "example.org", "::")))


# What it says


def test_a_verdict_in_plain_words():
    words = said(verdict())
    assert "The face looks fake" in words
    assert "Probability of fake, calibrated 87 %" in words
    assert "The raw score is 0.930." in words
    assert "A clip is called fake from the score 0.667 on and real up to 0.333" in words
    assert "A face was found in 12 of 12 frames (coverage 100 %)" in words
    assert "5.50 s face" in words
    assert "The face looks real" in said(verdict(verdict="Real"))


def test_without_calibration_it_says_so():
    words = said(verdict(calibrated=None, run=AboutRun(("my-run",), validation=(4, 2))))
    assert "Score of fake, from 0 to 1 0.930" in words
    assert "It is not calibrated: there are 4 real and 2 fake validation clips, and at least 50 of each" in words
    assert "%" not in words.replace("(coverage 100 %)", "")


def test_a_score_beside_the_threshold_is_too_close_to_call():
    words = said(verdict(verdict="Unsure", probability=0.51, calibrated=None))
    assert "Too close to call Score of fake, from 0 to 1 0.510" in words
    assert "neither real nor fake is at least twice as likely as the other, so it is called neither." in words
    assert "looks fake" not in words


def test_which_run_judged_and_how_good_it_is_stands_in_the_verdict():
    tested = AboutRun(("my-run",), MeasuredArea(0.82, 0.7, 0.94, 64), (60, 60))
    words = said(verdict(run=tested))
    assert "Judged by the run “my-run”. On 64 test clips of its own data set its ROC AUC is 0.82, 0.70 to 0.94" in words
    assert "Of clips like the 120 that the run was validated on, 87 % with this number are fake." in words
    assert "“my-run”, which was not evaluated" in said(verdict(run=AboutRun(("my-run",))))
    assert "are of one class" in said(verdict(run=AboutRun(("my-run",), MeasuredArea(None, None, None, 9))))


def test_the_page_begins_with_the_reasons_not_to_believe_it():
    words = text(web_page.header_html(AboutRun(("my-run",), doubts=("the backbone has random weights",))))
    assert words.index("Do not rely on my-run: the backbone has random weights.") < words.index("Give a clip")
    assert "alert" not in web_page.header_html(AboutRun(("my-run",)))
    assert "“my-run”, which was not evaluated" in words


def test_no_probability_is_certain():
    assert [web_page.percent(p) for p in (0, 0.004, 0.5, 0.997, 1)] == ["under 1 %"] * 2 + ["50 %"] + ["over 99 %"] * 2


def test_a_picture_has_no_motion():
    (still, *_) = verdict().frames
    words = said(verdict(frames=(still,)))
    assert "This is one still frame, so nothing is known of its motion." in words
    assert "of 1 frames" not in words
    nobody = verdict(verdict="Undecided", probability=None, frames=(replace(still, status="full_frame", box=None),))
    assert "No face was found in it. So the detector gives no verdict" in said(nobody)
    broken = verdict(clip="clip.jpg", verdict="Failed", probability=None, outcome="truncated", frames=())
    words = text(web_page.failure_html(replace(broken, reason="clip.jpg breaks off before its end")))
    assert "The picture breaks off before its end. Try a JPEG, PNG or WebP picture." in words


def test_undecided_is_no_hint():
    frames = tuple(SeenFrame(k / 2, "full_frame", None) for k in range(FRAMES))
    words = said(verdict(verdict="Undecided", probability=None, calibrated=None, coverage=0.0, frames=frames))
    assert "Undecided A face was found in 0 of 12 frames (coverage 0 %); half of them are needed." in words
    assert "hints neither at real nor at fake" in words
    assert "whole frame: no frame of the clip shows a face" in words
    assert "Probability" not in words


@pytest.mark.parametrize(
    ("outcome", "reason", "words"),
    [
        (
            "unreadable",
            "clip.mp4 cannot be decoded (Invalid data)",
            "The clip cannot be decoded (Invalid data). Try a file",
        ),
        ("timeout", "was not finished after 300 s", "The clip was not finished after 300 s. Try a file"),
    ],
)
def test_a_failure_is_a_sentence_without_names(outcome, reason, words):
    one = verdict(verdict="Failed", probability=None, outcome=outcome, reason=reason, frames=())
    found = text(web_page.failure_html(one))
    assert f"This file cannot be judged {words}" in found
    assert "secret" not in found


def test_what_a_run_is_called_is_escaped():
    html = html_of(verdict(run=AboutRun(("<img src=x>",))))
    assert "<img src=x>" not in html
    assert "&lt;img src=x&gt;" in html


def test_the_timeline_says_when():
    scores = ((0, 6, 0.2, 1), (3, 9, 0.8, 1), (6, 12, None, 0), (9, 15, 0.7, 1))
    one = verdict(timeline=tuple(WindowScore(*score) for score in scores))
    assert timeline_sentence(one) == "Judged part by part, the clip looks fake at 3.0-15.0 s."
    assert "No part" in timeline_sentence(replace(one, band=band_around(0.9, None)))
    nobody = verdict(timeline=(WindowScore(0, 6, None, 0), WindowScore(3, 9, None, 0)))
    assert "enough of a face" in timeline_sentence(nobody)


def test_each_part_of_the_clip_is_a_button_that_says_what_it_is_and_where_it_begins():
    scores = ((0, 6, 0.2, 1), (3, 9, 0.8, 1), (6, 12, None, 0), (10, 16, 0.5, 1))
    html = html_of(verdict(timeline=tuple(WindowScore(*score) for score in scores)))
    bars = re.findall(r'<button .*?style="(left:.*?)" data-start="(\d+)" .*?aria-label="(.*?)" tabindex="(.*?)"', html)
    assert bars == [
        ("left:0.00%;width:18.75%", "0", "0.0 to 6.0 s: score 0.20, looks real", "0"),
        ("left:18.75%;width:18.75%", "3", "3.0 to 9.0 s: score 0.80, looks fake", "-1"),
        ("left:37.50%;width:25.00%", "6", "6.0 to 12.0 s: too little of a face to judge", "-1"),
        ("left:62.50%;width:37.50%", "10", "10.0 to 16.0 s: score 0.50, too close to call", "-1"),
    ]
    assert "<button" not in html_of(verdict())


def test_the_clip_plays_beside_its_verdict_from_an_address_of_the_page_and_a_picture_does_not():
    assert '<video src="gradio_api/file=/secret/x%20y/clip.mp4"' in html_of(verdict(clip="/secret/x y/clip.mp4"))
    assert "<video" not in web_page.verdict_html(verdict(), CROPS, Thumbnails([CROPS[0]] * FRAMES, 1), None)


def test_the_box_is_drawn_where_the_face_is_in_the_small_frame():
    seen = [SeenFrame(0.0, "face", (80, 40, 96, 80)), SeenFrame(0.5, "tracked", (80, 40, 96, 80))]
    seen += [SeenFrame(1.0, "lost", None)]
    html = frames_html(seen, Thumbnails([np.zeros((80, 160, 3), np.uint8)] * 3, 0.5), CROPS)
    assert html.count('<i class="box" style="left:25.0%;top:25.0%;width:30.0%;height:50.0%">') == 2
    assert 'class="picture face" role="img" aria-label="Frame 1, 0.00 s: face"' in html  # no edge in colour
    assert re.search(r'class="picture tracked" style="border-color:#\w+"', html)
    assert "1.00 s face lost" in text(html)
    assert "dashed where it is that of a frame nearby" in text(html)


def test_what_a_verdict_does_not_mean_is_said():
    words = text(web_page.limits_html())
    for limit in (
        "no evidence about a person",
        "frozen",
        "Subtle swaps",
        "compression",
        "another data set",
        "Undecided",
    ):
        assert limit in words


# The page, served


def judge(app):
    return app.PageDetector(detector())


def silent(share, what):
    pass


def test_a_clip_is_judged_or_the_reason_said(app, face, tmp_path, capfd):
    config, one = WebConfig(), judge(app)
    judged = one.answer(face, config, silent)
    assert judged.plays
    assert re.search(rf"{CALLED} Probability of fake, calibrated \d+ %", text(judged.html))
    assert judged.html.count('<i class="box"') == FRAMES
    empty = one.answer(draw_empty_clip(tmp_path / "empty.mp4"), config, silent)
    assert empty.plays
    assert "Undecided" in empty.html
    assert "Nothing yet" in one.answer(None, config, silent).html
    (tmp_path / "clip.mp4").write_text("no video")
    refused = one.answer(tmp_path / "clip.mp4", config, silent)
    assert not refused.plays
    assert "The clip cannot be decoded" in refused.html
    assert str(tmp_path) not in refused.html
    assert capfd.readouterr().err == ""


def test_a_clip_that_takes_too_long_makes_way_for_the_next_and_its_visitor_is_told(app, face):
    start = time.monotonic()
    late = judge(app).answer(face, WebConfig(most_work_seconds=0.05), silent)
    assert time.monotonic() - start < 5
    assert not late.plays
    assert "It was not judged within 0.05 s, the longest that a clip may keep others waiting here." in text(late.html)


def test_a_bug_is_told_to_the_terminal_and_not_to_the_visitor(app, face, monkeypatch, capsys):
    def fail(*arguments, **named):
        raise RuntimeError(f"in {face}")

    monkeypatch.setattr(Detector, "judge", fail)
    html = judge(app).answer(face, WebConfig(), silent).html
    assert "Try again in a minute" in html
    assert str(face) not in html
    assert "Traceback" in capsys.readouterr().err


def test_pictures_are_judged_and_hostile_ones_refused_outside_this_process(app, face, tmp_path, capfd):
    picture = tmp_path / "clip.png"
    Image.fromarray(sample_frames(face).images[0]).save(picture)
    answer = judge(app).answer(picture, WebConfig(), silent)
    words = text(answer.html)
    assert not answer.plays
    assert re.search(rf"{CALLED} .* nothing is known of its motion", words)
    picture.write_bytes(picture.read_bytes()[:2000])
    assert "The picture breaks off before its end" in judge(app).answer(picture, WebConfig(), silent).html
    assert capfd.readouterr().err == ""


def test_who_lets_the_network_in_is_warned(app, monkeypatch, capsys):
    def end(*arguments):
        raise KeyboardInterrupt

    for name, stand_in in (("newest", lambda: Path("drawn")), ("open_detector", lambda *arguments: detector())):
        monkeypatch.setattr(f"detect.detector.load.{name}", stand_in)
    monkeypatch.setattr(app, "open_page", end)
    monkeypatch.setattr("signal.signal", lambda *arguments: None)

    def warning(*words) -> str:
        with pytest.raises(KeyboardInterrupt):
            dispatch(["web", *words])
        return capsys.readouterr().err

    assert "has no password" in warning("--host", "0.0.0.0")
    live = warning("--host", "0.0.0.0", "--live", "0")
    assert "can use this page and sees the picture of the live source; it has" in live
    assert warning("--live", "0") == ""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def served(app, **values):
    config = WebConfig(port=free_port(), **values)
    with private_folder() as folder, app.open_page(judge(app), config, folder) as address:
        yield address.rstrip("/"), folder


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_is_served_and_answers_to_its_own_name_alone(app):
    with served(app, host="::1") as (address, _):
        assert address.startswith("http://[::1]:")
        assert ask(address)[0] == 200
        assert ask(address, Host="elsewhere.example")[0] == 400


@pytest.mark.slow
def test_a_page_for_the_network_answers_to_its_own_names_alone(app):
    with served(app, host="0.0.0.0", names=("page.example",)) as (address, _):
        asked = {name: ask(address, Host=name)[0] for name in ("evil.example", "page.example", "192.0.2.7")}
    assert asked == {"evil.example": 400, "page.example": 200, "192.0.2.7": 200}


@pytest.fixture(scope="module")
def site(app):
    with served(app) as found:
        yield found


def ask(address: str, data: bytes | None = None, **headers: str) -> tuple[int, str, dict]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data, named), timeout=20) as found:
            return found.status, found.read().decode(errors="replace"), dict(found.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace"), dict(error.headers)


def send(address: str, name: str, content: bytes) -> tuple[int, str]:
    head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + b"\r\n--b--\r\n"
    return ask(f"{address}/gradio_api/upload", body, Content_Type="multipart/form-data; boundary=b")[:2]


def test_the_page_keeps_browsers_from_asking_elsewhere(site):
    status, page, headers = ask(site[0])
    assert status == 200
    assert "connect-src 'self'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "fonts.googleapis" not in page


def test_what_the_page_does_not_use_is_closed(site):
    for path in ("info", "openapi.json", "file=https://example.org", "proxy=https://example.org", "process_recording"):
        assert ask(f"{site[0]}/gradio_api/{path}")[0] == 404, path
    assert ask(site[0], Host="evil.example")[0] == 400


def test_no_other_file_is_handed_out(site, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_text("secret")
    for path in (secret, ROOT / "pyproject.toml", Path("/etc/passwd"), f"{site[1]}/served/../held"):
        assert ask(f"{site[0]}/gradio_api/file={path}")[0] == 403


def test_a_name_that_leaves_the_folder_and_a_file_that_is_too_large(site):
    address, folder = site
    status, answer = send(address, "../../../x.mp4", b"clip")
    assert status == 200
    assert re.fullmatch(rf'\["{re.escape(str(folder))}/served/\w+/clip\.mp4"\]', answer)
    assert not (folder / "x.mp4").exists()
    before = files(folder)
    with served_small(site) as small:
        try:
            status = send(small[0], "x.mp4", bytes(2 << 20))[0]
        except urllib.error.URLError:  # it is refused before all of it is sent
            status = 413
        assert status == 413
        assert "x.mp4" not in files(small[1])
    assert files(folder) == before


def test_an_upload_is_one_file_of_this_page_and_nothing_else(site):
    address, folder = site
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.mp4"\r\n\r\nclip\r\n'
    field = b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\nclip\r\n'
    form, end, before = "multipart/form-data; boundary=b", b"--b--\r\n", files(folder)
    for body, kind, origin, status in (
        (part + part + end, form, address, 400),
        (field + end, form, address, 400),
        (end, form, address, 400),
        (b"no parts", form, address, 400),
        (part + end, "multipart/form-data", address, 400),
        (part + end, "application/octet-stream", address, 415),
        (part + end, form, "http://evil.example", 403),
    ):
        answer = ask(f"{address}/gradio_api/upload", body, Content_Type=kind, Origin=origin)
        assert (answer[0], files(folder)) == (status, before), body
    assert ask(f"{address}/gradio_api/run/predict", bytes(100_000), Content_Type="application/json")[0] == 413


def test_a_browser_is_told_how_much_of_its_upload_has_come(site):
    address, _ = site
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a%22b.mp4"\r\n\r\n'
    head = "POST /gradio_api/upload?upload_id=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as sender:
        sender.sendall(head.encode() + part + bytes(1000))
        told = urllib.request.urlopen(f"{address}/gradio_api/upload_progress?upload_id=x", timeout=20)
        with told:
            first = json.loads(told.readline().removeprefix(b"data: "))
            assert first == {"msg": "update", "orig_name": 'a"b.mp4', "chunk_size": len(part) + 1000}
            sender.sendall(bytes(500))
            sizes = [
                json.loads(line[6:]).get("chunk_size") for line in (told.readline() for _ in range(7)) if line.strip()
            ]
            assert sum(sizes) == 500
            sender.close()
            assert told.read().strip().endswith(b'data: {"msg": "done"}')


def test_an_upload_that_breaks_off_or_finds_no_room_leaves_nothing(site, monkeypatch):
    address, folder = site
    before = sorted(folder.rglob("*"))
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode() + b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n')
        connection.sendall(bytes(2 << 20))
    monkeypatch.setattr(Uploads, "_make_room", no_room)
    assert send(address, "x.mp4", b"clip") == (503, "full")
    assert sorted(folder.rglob("*")) == before


def no_room(*arguments) -> None:
    raise NoRoom("full")


@contextmanager
def served_small(site):
    from detect.web import app as web_app

    with served(web_app, most_megabytes=1) as found:
        yield found


def test_the_page_ends_at_once_while_visitors_are_on_it(app, face, capfd):
    with served(app, examples=face.parent) as (address, folder):
        example = next(folder.rglob("1.mp4"))
        paths = ["heartbeat/a", f"file={example}", f"file={example}"]
        open_answers = [urllib.request.urlopen(f"{address}/gradio_api/{path}", timeout=20) for path in paths]
        end = time.monotonic()
    assert time.monotonic() - end < 3
    assert not folder.exists()
    assert capfd.readouterr().err == ""
    for answer in open_answers:
        answer.close()


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_sentence(app, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = WebConfig(port=taken.getsockname()[1])
        with pytest.raises(UserError, match="choose another --port"), app.open_page(judge(app), config, tmp_path):
            pass


# In a browser


READY, NOT_READY = 'button:not([disabled]):text-is("Judge")', 'button[disabled]:text-is("Judge")'


class Visitor:
    """Somebody with a browser of their own; `asked` is all that it asked for."""

    def __init__(self, browser, address: str, **options) -> None:
        self.asked: list[str] = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("#verdict [aria-live]")

    def drop(self, clip) -> None:
        self.page.locator("input[type=file]").first.set_input_files(clip)

    def judge(self) -> None:
        self.page.locator(READY).click()

    def read(self) -> str:
        self.page.wait_for_selector("#verdict h2", timeout=60_000)
        text = re.sub(r"\s+", " ", self.page.locator("#verdict").inner_text())
        return re.sub(r"^\d+\.\ds ", "", text)  # Gradio's clock may not have gone yet


@pytest.fixture
def visit(browser, site):
    """Gives visitors, and makes sure that none was sent elsewhere or left anything behind."""
    address, folder = site
    visitors: list[Visitor] = []

    def come(**options) -> Visitor:
        visitors.append(Visitor(browser, address, **options))
        return visitors[-1]

    before = files(folder)
    yield come
    for one in visitors:
        assert all(url.startswith((f"{address}/", "data:", "blob:")) for url in one.asked)
        assert str(folder) not in one.page.locator("body").inner_text()
        one.context.close()
    wait_for(lambda: files(folder) == before)


def test_a_visitor_drops_a_clip_and_reads_a_verdict(visit, face):
    one = visit()
    one.drop(face)
    one.judge()
    words = one.read()
    assert re.match(rf"{CALLED} Probability of fake, calibrated \d+ %", words)
    assert one.page.locator(".frames .box").count() == FRAMES
    assert one.page.locator(".frames .picture").first.get_attribute("aria-label") == "Frame 1, 0.08 s: face"
    assert one.page.locator(NOT_READY).is_visible()


def test_an_example_has_a_timeline_and_fits_a_phone(visit):
    one = visit(viewport={"width": 390, "height": 800}, color_scheme="dark")
    one.page.get_by_role("button", name="A drawn face").click()
    one.judge()
    assert "The clip, part by part" in one.read()
    assert one.page.locator(".bars button").count() >= 2
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_cannot_be_judged_is_said_in_the_browser(visit, tmp_path):
    one = visit()
    one.drop(draw_empty_clip(tmp_path / "empty.mp4"))
    one.judge()
    assert one.read().startswith("Undecided A face was found in 0 of 12 frames")
    other = visit()
    other.drop({"name": "../../<b>x.mp4", "mimeType": "video/mp4", "buffer": b"no video"})
    other.judge()
    assert other.read().startswith("This file cannot be judged The clip cannot be decoded")
    assert "x.mp4" not in other.page.locator("body").inner_text()


def test_a_visitor_drops_a_picture_in_place_of_a_clip(visit, face, tmp_path):
    picture = tmp_path / "x.jpg"
    Image.fromarray(sample_frames(face).images[0]).save(picture)
    one = visit()
    one.drop(face)
    one.page.locator(READY).wait_for()
    one.page.get_by_role("tab", name="A picture").click()
    one.page.locator("input[type=file][accept^=image]").set_input_files(picture)
    one.page.get_by_role("img", name="x.jpg").or_(one.page.locator("[data-testid=image] img")).first.wait_for()
    one.judge()
    assert "nothing is known of its motion" in one.read()
    assert one.page.locator(".frames .box").count() == 1
    assert one.page.locator("#verdict video").count() == 0
    one.page.get_by_role("tab", name="A clip").click()
    assert one.page.locator(NOT_READY).is_visible()


def test_a_file_of_200_mb_is_refused_before_it_is_sent(visit, tmp_path):
    one, large = visit(), tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(200 << 20)
    one.drop(large)
    one.page.get_by_text("This file is larger than 100 MB.").wait_for()
    assert not any("/upload" in url for url in one.asked)


def test_two_visitors_with_one_clip_both_get_a_verdict(visit, face):
    one, other = visit(), visit()
    for each in (one, other):
        each.drop(face)
    for each in (one, other):
        each.page.locator(READY).wait_for()
    one.judge()
    other.judge()
    assert other.read() == one.read()


def test_the_camera(visit):
    one = visit(permissions=["camera", "microphone"])
    for name in ("Capture from camera", "Click to Access Webcam", "start recording"):
        one.page.get_by_role("button", name=name).click()
    time.sleep(2.5)  # a camera needs a moment
    one.page.locator("button", has_text="Stop").click()
    one.judge()
    assert one.read().startswith("Undecided")


@pytest.fixture(scope="module")
def live_site(app, tmp_path_factory):
    clip = tmp_path_factory.mktemp("live") / "secret.mp4"
    draw_clip(clip, Scene(make_look(7, 1), (7,)), Capture(frames=200))
    with served(app, live=str(clip)) as found:
        yield found


def test_a_live_source_is_shown_beside_the_clips(browser, live_site, face):
    address, _ = live_site
    one, other = (Visitor(browser, address, viewport={"width": width, "height": 900}) for width in (1200, 390))
    other.drop(face)
    one.page.get_by_role("tab", name="Live").click()
    shown = one.page.locator("#live img")
    shown.wait_for()
    first = shown.get_attribute("src")
    one.page.wait_for_function("first => document.querySelector('#live img').src !== first", arg=first)
    one.page.get_by_role("heading", name=re.compile(CALLED)).wait_for(timeout=30_000)
    words = re.sub(r"\s+", " ", one.page.locator(".verdict.moment").inner_text())
    assert re.search(r"Probability of fake, calibrated \d+ %.* Coverage \d+ % Lag \d\.\d s Dropped frames \d+", words)
    other.judge()
    assert re.match(CALLED, other.read())
    other.page.get_by_role("tab", name="Live").click()
    other.page.locator("#live img").wait_for()
    assert other.page.evaluate("document.documentElement.scrollWidth") <= 390
    one.page.get_by_role("tab", name="Clips").click()
    time.sleep(0.5)  # what is under way
    before = len(one.asked)
    time.sleep(0.6)
    assert len(one.asked) == before  # who does not look asks for nothing
    for each in (one, other):
        assert "secret" not in each.page.content()
        assert all(url.startswith((f"{address}/", "data:", "blob:")) for url in each.asked)
        each.context.close()


# The command


@pytest.mark.slow
def test_the_command_serves_a_real_run_until_it_is_interrupted(ctrl_c, browser, face, tmp_path):
    sizes = DrawnConfig(tmp_path / "drawn", people=4, clips=2, youtube=0, fakes=8, workers=1)
    features = extract(ExtractConfig(draw_dataset(sizes), tmp_path / "data", "mobilenetv2", "random"))
    run, port = fit(FitConfig(features=features, runs=tmp_path / "runs", epochs=2, name="drawn")), free_port()
    command = [sys.executable, "-m", "detect", "web", "--run", str(run), "--port", str(port), "--live", str(face)]
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with (
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.kill)  # else a test that fails waits for it
        assert process.stdout is not None
        assert process.stdout.readline() == f"The page is at http://127.0.0.1:{port}/ until you press Ctrl-C.\n"
        one = Visitor(browser, f"http://127.0.0.1:{port}")
        one.page.get_by_role("button", name="A drawn face").click()
        one.judge()
        assert "calibrated" in one.read()
        one.page.get_by_role("tab", name="Live").click()
        one.page.get_by_role("heading", name=re.compile(CALLED)).wait_for(timeout=30_000)
        one.page.get_by_role("tab", name="Clips").click()
        one.page.get_by_role("button", name="A drawn face").click()
        one.judge()
        time.sleep(0.5)  # it is being judged
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        one.context.close()
    assert list(tmp_path.glob("reelcheck-*")) == []
