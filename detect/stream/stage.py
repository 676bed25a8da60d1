"""Verdicts on a camera, an address or a file while it plays, as JSON Lines."""

import contextlib
import json
import queue
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import require_place
from base.flags import bare, option
from base.progress import show
from base.text import printable
from detect.detector.config import DEFAULT_WINDOW, DetectorConfig, require_threshold, require_window
from detect.detector.judge import Detector
from detect.detector.load import open_configured
from detect.detector.verdict import Verdict
from detect.stream.frame_sources import open_source
from detect.stream.frames import Frame, FrameSource, Lost, Picture, SourceError, paced, sampled
from detect.stream.overlay import Overlay
from detect.stream.recent_frames import RecentFrames
from extract.video.containers import ClipError

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before a lost source is opened again. The wait doubles after each failure, up to the longest."""


@dataclass(frozen=True)
class StreamConfig(DetectorConfig):
    """What to watch with, and how."""

    source: str = bare(
        "",
        "a camera's number, an address such as rtsp://user:password@host/path, or a file; ~/.netrc signs in too",
        "SOURCE",
    )
    window: float = option(DEFAULT_WINDOW, "seconds that a verdict looks back; a frame is taken every twelfth of that")
    overlay: Path | None = option(None, "an .mp4 to write: the picture with box and verdict")
    fast: bool = option(False, "judge a file as fast as possible, without dropping frames")
    retries: int | None = option(None, "how often in a row to reopen a lost source (default: for ever)")


def stream(config: StreamConfig) -> int:
    """Watches `config.source` until it ends or Ctrl-C; prints one line of JSON per event.

    Returns the exit status: 2 if the source was given up, else 0.
    """
    _check(config)
    source = open_source(config.source, config.window)
    detector = open_configured(config)
    if detector.about.warning:
        show(detector.about.warning, beside=True)
    status = 0
    with contextlib.closing(watch(source, detector, config)) as events:
        try:
            for event in events:
                show(json.dumps(event))
                status = 2 if event["event"] == "given up" else status
        except KeyboardInterrupt:  # raised while printing, so `watch` does not know yet
            with contextlib.suppress(KeyboardInterrupt):
                show(json.dumps(events.throw(KeyboardInterrupt)))
    return status


class Screen(Protocol):
    """Shows every frame with the current verdict: an `Overlay`, or the page's live view."""

    verdict: Verdict | None

    def add(self, frame: Frame) -> None:
        """Takes a frame; the reader waits until this returns."""
        ...

    def close(self) -> None:
        """Finishes showing."""
        ...


def watch(
    source: FrameSource,
    detector: Detector,
    config: StreamConfig,
    screen: Screen | None = None,
    stopped: threading.Event | None = None,
) -> Generator[dict[str, Any]]:
    """Yields an event for each verdict on `source` and for each loss of it; the last event is a summary.

    A frame that arrives while another is judged waits. The next one replaces it, and it counts as dropped. The summary
    also counts the pictures that the overlay leaves out. `screen` replaces the overlay that `config` names. Setting
    `stopped` ends the watch.
    """
    recent = RecentFrames(detector, source.name, config.threshold)
    written = None
    if config.overlay and not screen:
        written = Overlay(config.overlay, waits=config.fast and not source.lives)
    overlay = screen or written
    reader = _Reader(source, config, overlay, stopped or threading.Event())
    verdicts, start = 0, time.monotonic()
    try:
        reader.start()
        for item in reader.items():
            if isinstance(item, dict):
                if item["event"] == "lost":
                    recent.clear()
                    if overlay:
                        overlay.verdict = None
                yield item
                continue
            verdict = recent.add(item.frame.seconds, item.frame.picture(), item.last)
            if overlay:
                overlay.verdict = verdict
            verdicts += 1
            yield _event(verdict, item, reader.dropped)
    except KeyboardInterrupt:
        pass
    finally:
        reader.stop()
        if overlay:
            overlay.close()
    spent = round(time.monotonic() - start, 3)
    ended = {"event": "ended", "verdicts": verdicts, "dropped": reader.dropped, "seconds": spent}
    yield ended | ({"overlay_left_out": written.left_out} if written else {})


@dataclass(frozen=True, eq=False)
class _Arrival:
    """A frame to judge, whether it is the last one, and its time of arrival (`time.monotonic`)."""

    frame: Frame
    last: bool
    arrived: float


class _Reader(threading.Thread):
    """Reads the source in the background, reopens it when it is lost, and keeps the newest frame for judging."""

    def __init__(
        self, source: FrameSource, config: StreamConfig, overlay: Screen | None, stopped: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._source, self._config, self._overlay = source, config, overlay
        self._waiting: queue.Queue[_Arrival | dict[str, Any] | BaseException | None] = queue.Queue(1)
        self._stopped = stopped
        self.dropped = 0

    def items(self) -> Iterator[_Arrival | dict[str, Any]]:
        """Yields frames to judge and events to report, until the source ends or reading is stopped."""
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _next(self) -> _Arrival | dict[str, Any] | BaseException | None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Empty):  # an endless wait would block Ctrl-C
                return self._waiting.get(timeout=0.5)
        return None

    def stop(self) -> None:
        """Stops reading."""
        self._stopped.set()

    def run(self) -> None:
        try:
            self._read()
            self._put(None)
        except ClipError as error:
            name, reason = self._source.name, error.reason
            self._put(SourceError(f"{name} cannot be watched any further ({reason}); give another source."))
        except BaseException as error:  # noqa: BLE001 - `items` raises it in the other thread
            self._put(error)

    def _read(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                moments = self._source.moments
                for number, frame in enumerate(sampled(self._frames(), self._config.window, moments), start=1):
                    failures = 0
                    self._take(frame, moments is not None and number == len(moments))
                    if self._stopped.is_set():
                        return
                return
            except Lost as lost:
                failures += 1
                if self._config.retries is not None and failures > self._config.retries:
                    self._put({"event": "given up", "reason": printable(str(lost)), "tries": failures})
                    return
                wait = min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT)
                self._put({"event": "lost", "reason": printable(str(lost)), "seconds_to_next_try": wait})
                self._stopped.wait(wait)

    def _frames(self) -> Iterator[Frame]:
        frames = self._source.frames()
        if not (self._source.lives or self._config.fast):
            frames = paced(frames)
        for frame in frames:
            if self._overlay:
                frame = Frame(frame.seconds, _SharedPicture(frame.picture))
                self._overlay.add(frame)
            if self._stopped.is_set():
                return
            yield frame

    def _take(self, frame: Frame, last: bool) -> None:
        """Queues a frame. It replaces one that still waits, unless no frame may be dropped."""
        image = frame.picture()
        arrival = _Arrival(Frame(frame.seconds, lambda: image), last, time.monotonic())
        if self._config.fast and not self._source.lives:
            self._put(arrival)
            return
        try:
            self._waiting.put_nowait(arrival)
        except queue.Full:
            with contextlib.suppress(queue.Empty):
                waiting = self._waiting.get_nowait()
                self.dropped += isinstance(waiting, _Arrival)
                if not isinstance(waiting, _Arrival):
                    self._put(waiting)
            self._put(arrival)

    def _put(self, item: _Arrival | dict[str, Any] | BaseException | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._waiting.put(item, timeout=0.5)
                return


class _SharedPicture:
    """A picture that two threads ask for, the overlay's and the judging one.

    The first converts it and the other waits: two threads that converted one frame at once have crashed the process.
    """

    def __init__(self, picture: Picture) -> None:
        self._picture, self._lock = picture, threading.Lock()
        self._image: np.ndarray | None = None

    def __call__(self) -> np.ndarray:
        with self._lock:
            if self._image is None:
                self._image = self._picture()
            return self._image


def _event(verdict: Verdict, arrival: _Arrival, dropped: int) -> dict[str, Any]:
    return {
        "event": "verdict",
        "seconds": round(arrival.frame.seconds, 3),
        "verdict": verdict.verdict,
        "probability": verdict.probability,
        "calibrated": verdict.calibrated,
        "coverage": round(verdict.coverage, 4),
        "reason": verdict.reason,
        "distance": verdict.distance,
        "beside": verdict.beside and asdict(verdict.beside),
        "frames": len(verdict.frames),
        "box": verdict.frames[-1].box if verdict.frames else None,
        "run": asdict(verdict.run),
        "band": asdict(verdict.band),
        "dropped": dropped,
        "lag": round(time.monotonic() - arrival.arrived, 3),
    }


def _check(config: StreamConfig) -> None:
    require_threshold(config.threshold)
    require_window("window", config.window)
    if config.retries is not None and config.retries < 0:
        raise UserError(f"--retries {config.retries} is below 0; give 0 or above, or leave it out.")
    if config.overlay and config.overlay.suffix != ".mp4":
        raise UserError(f"--overlay {config.overlay} is not an MP4 file; give a name that ends in .mp4.")
    if config.overlay:
        require_place(config.overlay, f"choose another {flag('overlay')}")
    if config.overlay and _is_same(config.overlay, config.source):
        raise UserError(
            f"--overlay {config.overlay} is the source itself, which would be overwritten; give another name."
        )


def _is_same(path: Path, source: str) -> bool:
    with contextlib.suppress(OSError, ValueError):  # one of them is not a file
        return path.samefile(source)
    return False
