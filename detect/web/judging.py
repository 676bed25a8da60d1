"""Judges a clip that a visitor gave, within the limits of the page."""

import logging
import math
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cache.schema import Row
from detect.detector.judge import Detector
from detect.detector.verdict import Verdict, failed
from detect.web.cases import MEGABYTE, Case, Judged
from detect.web.config import WebConfig
from detect.web.guards.uploads import size_of
from extract.clips.boxes import Thumbnails
from extract.video.containers import ClipError, Limits
from extract.video.decode import play_seconds
from extract.video.pictures import has_picture_name
from extract.worker_pool import map_clips

SIDE = 320
"""Longer side of a frame on the page, in pixels."""
QUALITY = 85
"""Of JPEG."""
LOST_GREY = 225
"""What is shown in place of a crop that is not judged."""
FASTEST = 250
"""Frames a second up to which a clip may be as long as the page allows."""
MEASURE_SECONDS = 30.0
"""Seconds that measuring a clip's length may take."""
REFUSED, BUG = "refused", "bug"
"""Outcomes of clips that this page does not judge, and of those at which something of ours broke."""
BUSY = "Something went wrong on this page, not with your clip. Try again in a minute."
_LOG = logging.getLogger("reelcheck.web")


def judge_case(detector: Detector, config: WebConfig, native: threading.Lock, case: Case) -> Judged:
    """Returns the verdicts on `case`. After a bug it says so, and the terminal what it was.

    What a library does outside of Python is done while holding `native`: Python cannot end in the middle of that.
    """
    fail = partial(failed, case.name)
    try:
        end = time.monotonic() + config.most_work_seconds
        if reason := refusal_of(case.clip, config, case.options.fps):
            return Judged((replace(fail(REFUSED, reason), run=detector.about),))
        left = max(0.0, end - time.monotonic())
        limits = Limits(frames=math.ceil(config.most_seconds * FASTEST), seconds=left, all_seconds=left)
        judged = _judge(detector, case, limits, native)
        if judged.people[0].outcome == "timeout":
            return replace(judged, people=(replace(judged.people[0], reason=_late(config.most_work_seconds)),))
        return judged
    except Exception:  # noqa: BLE001 - visitors see neither paths nor tracebacks
        _LOG.exception("a clip was not judged")
        return Judged((replace(fail(BUG, BUSY), run=detector.about),))


def refusal_of(clip: Path, config: WebConfig, fps: float) -> str:
    """Returns the sentence that refuses a `clip` as too large or too long, "" for others; `fps` is that of frames."""
    try:
        size = size_of(clip)
    except FileNotFoundError:
        return "It is no longer here; give it again."
    if size > config.most_megabytes * MEGABYTE:
        return f"It has {size / MEGABYTE:.0f} MB; this page takes files of up to {config.most_megabytes} MB."
    ((_, seconds),) = map_clips(play_seconds, [(0, (clip, fps))], 1, min(MEASURE_SECONDS, config.most_work_seconds))
    if not isinstance(seconds, ClipError) and seconds > config.most_seconds:
        return (
            f"It plays for {seconds:.0f} s; this page takes clips of up to {config.most_seconds:g} s, so cut it first."
        )
    return ""  # the detector says what is no clip


def _judge(detector: Detector, case: Case, limits: Limits, native: threading.Lock) -> Judged:
    small: list[Thumbnails] = []
    (judged,) = detector.judge([case.clip], replace(case.options, thumbnails=SIDE), limits, 1, small.append)
    people = tuple(_named(verdict, case) for verdict, _ in judged)
    if not small or judged[0][1] is None:
        return Judged(people)
    height, width = (side / small[0].scale for side in small[0].pictures[0].shape[:2])
    with native:
        frames, crops = tuple(map(jpeg, small[0].pictures)), tuple(_crops(*one) for one in judged)
    return Judged(people, frames, crops, (width, height))


def _crops(verdict: Verdict, row: Row | None) -> tuple[bytes, ...]:
    if row is None or row.array is None:
        return ()
    lost = [frame.status == "lost" for frame in verdict.frames]
    pictures = zip(lost, row.array, strict=False)  # a clip of fewer than twelve frames is padded
    return tuple(jpeg(np.full_like(crop, LOST_GREY) if is_lost else crop) for is_lost, crop in pictures)


def _named(verdict: Verdict, case: Case) -> Verdict:
    """Returns a verdict by the name that the visitor knows; the file's is ours."""
    kind = "folder" if case.clip.is_dir() else "picture" if has_picture_name(case.clip) else "clip"
    return replace(verdict, clip=case.name, reason=verdict.reason.replace(case.clip.name, f"the {kind}"))


def _late(seconds: float) -> str:
    return (
        f"It was not judged within {seconds:g} s, the longest that a clip may keep others waiting here. Try a shorter "
        "one, or one with smaller frames."
    )


def jpeg(picture: np.ndarray) -> bytes:
    """Returns the uint8 RGB `picture` as a JPEG."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
