"""What the page says of a verdict, as its visitors read it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cache.schema import FRAMES
from detect.detector.judge import JudgeOptions
from detect.detector.reference import Beside
from detect.detector.verdict import SeenFrame, Verdict, WindowScore, failed
from detect.web import texts
from detect.web.app import room_of
from detect.web.cases import Case, Cases, Judged
from detect.web.config import WebConfig
from detect.web.pages import Pages
from detect.web.service import Service
from evaluate.results.about_run import AboutRun, MeasuredArea
from evaluate.stats.band import band_around
from tests.detect.web.serving import detector, text

RUN = AboutRun(("my-run",))


def verdict(**values) -> Verdict:
    frames = tuple(SeenFrame(k / 2, "face", (80, 40, 96, 80)) for k in range(FRAMES))
    return replace(Verdict("clip.mp4", "Fake", 0.93, 0.87, 1.0, "", frames), **values)


def pages(about: AboutRun = RUN) -> Pages:
    judge = detector()
    judge.about = about
    return Pages(Service(judge, WebConfig(), Cases(Path(), room_of(WebConfig())), []))


def html_of(*people: Verdict, clip: str = "clip.mp4") -> str:
    frames = len(people[0].frames)
    judged = Judged(people, (b"jpeg",) * frames, ((b"jpeg",) * frames,) * len(people), (320, 160))
    case = Case("KEY", "somebody", clip, Path(clip), JudgeOptions(), 1, judged=judged if frames else Judged(people))
    page = pages()._html("page.html", cases=[case], before="", refusal="")
    return page[page.index('id="verdict"') : page.index('class="limits"')]


def said(*people: Verdict) -> str:
    return text(html_of(*people))


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


def test_a_clip_unlike_the_training_set_is_said_to_be_so_first():
    words = said(verdict(verdict="Unsure", distance=1.7, reason="1.7 times as far from them as they are"))
    assert re.search(r'id="verdict" aria-live="polite"> (\S+ )?Unlike the clips it was trained on', words)
    assert "is called neither fake nor real" in words


def test_what_known_real_clips_say_stands_in_the_verdict():
    beside = Beside("studio", 40, 1, 0.05, True)
    assert "1 of 40 known real sources of studio score as high; a clip is called fake only" in said(
        verdict(beside=beside)
    )


def test_which_run_judged_and_how_good_it_is_stands_in_the_verdict():
    tested = AboutRun(("my-run",), MeasuredArea(0.82, 0.7, 0.94, 64), (60, 60))
    words = said(verdict(run=tested))
    assert "Judged by the run “my-run”. On 64 test clips of its own data set its ROC AUC is 0.82, 0.70 to 0.94" in words
    assert "Of clips like the 120 that the run was validated on, 87 % with this number are fake." in words
    assert "“my-run”, which was not evaluated" in said(verdict(run=AboutRun(("my-run",))))
    assert "are of one class" in said(verdict(run=AboutRun(("my-run",), MeasuredArea(None, None, None, 9))))


def test_the_page_begins_with_the_reasons_not_to_believe_it():
    doubted = AboutRun(("my-run",), doubts=("the backbone has random weights",))
    words, plain = (pages(run)._html("page.html", cases=[], before="", refusal="") for run in (doubted, AboutRun()))
    assert words.index("Do not rely on my-run: the backbone has random weights.") < words.index("Give a clip")
    assert 'class="alert" role="alert">' not in plain


def test_no_probability_is_certain():
    assert [texts.percent(p) for p in (0, 0.004, 0.5, 0.997, 1)] == ["under 1 %"] * 2 + ["50 %"] + ["over 99 %"] * 2


def test_a_picture_has_no_motion_and_no_player():
    (still, *_) = verdict().frames
    html = html_of(verdict(frames=(still,)), clip="face.jpg")
    assert "This is one still frame, so nothing is known of its motion." in text(html)
    assert "of 1 frames" not in html
    assert "<video" not in html
    nobody = verdict(verdict="Undecided", probability=None, frames=(replace(still, status="full_frame", box=None),))
    assert "No face was found in it. So the detector gives no verdict" in said(nobody)


def test_undecided_is_no_hint():
    frames = tuple(SeenFrame(k / 2, "full_frame", None) for k in range(FRAMES))
    words = said(verdict(verdict="Undecided", probability=None, calibrated=None, coverage=0.0, frames=frames))
    assert "Undecided A face was found in 0 of 12 frames (coverage 0 %); half of them are needed." in words
    assert "hints neither at real nor at fake" in words
    assert "whole frame: no frame of the clip shows a face" in words
    assert "Probability" not in words


@pytest.mark.parametrize(
    ("clip", "outcome", "reason", "words"),
    [
        ("x.mp4", "unreadable", "the clip cannot be decoded", "The clip cannot be decoded. Try a file that plays"),
        ("x.jpg", "truncated", "the picture breaks off", "The picture breaks off. Try a JPEG, PNG or WebP picture."),
        ("x.mp4", "crashed", "ended its process", "The clip ended its process. Try a file"),
        ("x.mp4", "timeout", "It was not judged within 9 s.", "cannot be judged It was not judged within 9 s. Keep"),
    ],
)
def test_a_failure_is_a_sentence(clip, outcome, reason, words):
    html = html_of(failed(clip, outcome, reason), clip=clip)
    assert "This file cannot be judged" in html
    assert words in text(html)
    assert "Keep as a page" not in html  # there is nothing to see


def test_each_person_has_a_verdict_and_crops():
    people = verdict(), verdict(face=2, verdict="Real", probability=0.1)
    html = html_of(*people)
    assert re.findall(r"<h2>(.*)</h2>", html) == ["Person 1: The face looks fake", "Person 2: The face looks real"]
    assert html.count("?face=2") == FRAMES + 1  # and the portrait
    assert "What the network saw of person 2" in html


def test_whatever_a_stranger_wrote_is_escaped():
    html = html_of(verdict(run=AboutRun(("<img src=x>",))), clip="<b>.mp4")
    assert "<img src=x>" not in html
    assert "&lt;img src=x&gt;" in html
    case = Case("KEY", "", "<b>.mp4", Path("x.mp4"), JudgeOptions(), 1)
    assert "<b>.mp4" not in pages()._html("page.html", cases=[case, case], before="", refusal="<b>.mp4")


def test_the_timeline_says_when():
    scores = ((0, 6, 0.2, 1), (3, 9, 0.8, 1), (6, 12, None, 0), (9, 15, 0.7, 1))
    one = verdict(timeline=tuple(WindowScore(*score) for score in scores))
    assert texts.timeline_sentence(one) == "Judged part by part, the clip looks fake at 3.0-15.0 s."
    assert "No part" in texts.timeline_sentence(replace(one, band=band_around(0.9, None)))
    nobody = verdict(timeline=(WindowScore(0, 6, None, 0), WindowScore(3, 9, None, 0)))
    assert "enough of a face" in texts.timeline_sentence(nobody)


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
    assert "data-start" not in html_of(verdict())


def test_the_box_is_drawn_where_the_face_is_in_the_small_frame():
    seen = [SeenFrame(0.0, "face", (80, 40, 96, 80)), SeenFrame(0.5, "tracked", (80, 40, 96, 80))]
    html = html_of(verdict(frames=(*seen, SeenFrame(1.0, "lost", None))))
    assert html.count('<i class="box" style="left:25.0%;top:25.0%;width:30.0%;height:50.0%">') == 2
    assert 'class="picture face" role="img" aria-label="Frame 1, 0.00 s: face">' in html  # no edge in colour
    assert re.search(r'class="picture tracked" .* style="border-color:#\w+"', html)
    assert "1.00 s face lost" in text(html)
    assert "dashed where it is that of a frame nearby" in text(html)


def test_what_a_verdict_does_not_mean_is_said():
    words = " ".join(texts.NOT_SAID)
    for limit in ("no evidence", "frozen", "Subtle swaps", "compression", "another data set", "Undecided"):
        assert limit in words
