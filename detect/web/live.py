"""The live part of the page: one thread watches the source, and every visitor sees its latest picture and verdict."""

import logging
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from base.progress import show
from detect.detector.judge import Detector
from detect.detector.networks import Scorer, Scores
from detect.detector.verdict import Verdict
from detect.stream.frames import TIMEOUT, Frame, FrameSource, Lost
from detect.stream.overlay import annotated
from detect.stream.stage import LONGEST_WAIT, StreamConfig, watch
from detect.web.judging import jpeg
from extract.backbones.engines import Engine
from extract.video.containers import ClipError

PICTURES = 4
"""Pictures a second, at most: enough to see whose face it is."""
WIDEST = 960
"""Width of a picture in pixels, at most."""
LAST_WORD = 10.0
"""Seconds to wait for the thread to end; it may be in the middle of a verdict."""
_LOG = logging.getLogger("reelcheck.web")


class Live:
    """Watches `source` while its block lasts. It opens a lost source again, and plays a file over and over."""

    def __init__(self, source: FrameSource, detector: Detector, threshold: float) -> None:
        """`detector` is used in another thread (see `shared`)."""
        self.latest = Latest()
        self._source = source if source.lives else looped(source)
        self._detector, self._config = detector, StreamConfig(threshold=threshold)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Live":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(LAST_WORD)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                for event in watch(self._source, self._detector, self._config, self.latest, self._stopped):
                    self.latest.tell(event)
            except Exception:  # noqa: BLE001 - the page goes on, and visitors see neither paths nor tracebacks
                _LOG.exception("the live source")
                self.latest.tell({"event": "lost", "reason": "see above", "seconds_to_next_try": LONGEST_WAIT})
                self._stopped.wait(LONGEST_WAIT)


class Latest:
    """The latest picture and verdict of the source, and nothing older; it takes the place of a stream's overlay.

    Frames come from one thread and events from another. Each attribute is replaced as a whole, so readers need no lock.
    """

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.picture, self.number = b"", 0
        self._latest_words: tuple[Verdict, float, int] | None = None
        self._lost, self._came, self._next = False, math.inf, 0.0

    def add(self, frame: Frame) -> None:
        """Takes a frame, which becomes the picture if the last one has been shown for long enough."""
        now = time.monotonic()
        self._came, self._lost = now, False
        if now >= self._next:
            self._next = now + 1 / PICTURES
            self.picture = jpeg(narrow(annotated(frame.picture(), self.verdict)))
            self.number += 1

    def tell(self, event: dict) -> None:
        """Takes an event of `detect.stream.stage.watch`; prints to the terminal, once, why a source is lost."""
        if event["event"] == "verdict" and self.verdict is not None:
            self._latest_words = self.verdict, event["lag"], event["dropped"]
        elif event["event"] == "lost":
            if not self._lost:
                show(f"The live source is lost ({event['reason']}); it is being opened again.", beside=True)
            self._latest_words, self._lost = None, True

    def close(self) -> None:
        """Does nothing: there is no file to end."""

    def words(self) -> dict[str, Any]:
        """Returns what the words beside the picture say: their `state`, and of a verdict what it cost too."""
        if self._lost or time.monotonic() - self._came > TIMEOUT:
            return {"state": "lost", "verdict": None, "lag": 0.0, "dropped": 0}
        if not self._latest_words:
            return {"state": "none", "verdict": None, "lag": 0.0, "dropped": 0}
        verdict, lag, dropped = self._latest_words
        return {"state": "verdict", "verdict": verdict, "lag": lag, "dropped": dropped}


def narrow(picture: np.ndarray) -> np.ndarray:
    """Returns the uint8 RGB `picture`, shrunk to at most `WIDEST` pixels."""
    height, width = picture.shape[:2]
    if width <= WIDEST:
        return picture
    return cv2.resize(picture, (WIDEST, max(1, round(height * WIDEST / width))), interpolation=cv2.INTER_AREA)


def looped(source: FrameSource) -> FrameSource:
    """Returns a file's `source` as one that starts again at its end, its seconds going on; Lost if it is unreadable."""

    def frames() -> Iterator[Frame]:
        seconds, gap, start = 0.0, 0.04, 0.0
        while True:
            count = 0
            try:
                for count, frame in enumerate(source.frames(), start=1):
                    gap = start + frame.seconds - seconds if count > 1 else gap
                    seconds = start + frame.seconds
                    yield Frame(seconds, frame.picture)
            except ClipError as error:
                raise Lost(error.reason) from None
            except OSError as error:  # it has been removed since it was opened
                raise Lost(error.strerror or "it cannot be read") from None
            if not count:
                raise Lost("it holds no frame")
            start = seconds + gap

    return FrameSource(source.name, False, frames)


def shared(detector: Detector, lock: threading.Lock) -> Detector:
    """Returns `detector` for use by several threads: its networks run one batch at a time, while they hold `lock`.

    A thread waits for one batch of another thread, not for its whole clip. LiteRT and OpenVINO need this: a network
    of theirs has one set of buffers.
    """
    return detector.with_scorer(lambda scorer: _OneAtATime(scorer, lock))


class _OneAtATime:
    """A scorer whose networks, its own and its engine's, run one at a time."""

    def __init__(self, scorer: Scorer, lock: threading.Lock) -> None:
        self._scorer, self._lock = scorer, lock
        self.input_kind, self.neighbours = scorer.input_kind, scorer.neighbours
        self.engine: Engine | None = _LockedEngine(scorer.engine, self._lock) if scorer.engine else None

    def score(self, arrays: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> Scores:
        with self._lock:
            return self._scorer.score(arrays, regions, masks)


class _LockedEngine(Engine):
    """An engine that shares one lock with other networks."""

    def __init__(self, engine: Engine, lock: threading.Lock) -> None:
        super().__init__(engine.features, engine.batch, engine.name)
        self._engine, self._lock = engine, lock

    def of_batch(self, batch: int) -> Engine:
        return _LockedEngine(self._engine.of_batch(batch), self._lock)
