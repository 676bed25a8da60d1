"""python -m detect stream SOURCE: verdicts on a camera, an address or a file while it runs, as JSON Lines."""

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cache.cli import Parser, add_flags, option, read_flags
from cache.schema import UserError, printable
from detect.detector.contract import EngineName
from detect.detector.load import newest, open_detector
from detect.detector.verdict import DEFAULT_WINDOW, Detector, Verdict, require_threshold, require_window
from detect.stream.frame_sources import Frame, Lost, Picture, Source, open_source, paced, sampled
from detect.stream.overlay import Overlay
from detect.stream.recent_frames import Ring
from evaluate.stats.metrics import THRESHOLD
from extract.clips.decode import ClipError

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before a lost source is opened again: twice as long each time, up to the longest."""


@dataclass(frozen=True)
class StreamConfig:
    """How to watch, and with what."""

    run: Path | None = option(None, "the run folder, or an exported one (default: the newest below runs/)")
    engine: EngineName = option("keras", "what runs the networks; all but keras need an export")
    weights: str | None = option(None, "the backbone's weights, if they have moved since the features were made")
    detector_file: Path | None = option(None, "yunet's ONNX file, if it has moved since then")
    threshold: float = option(THRESHOLD, "probability from which it is called fake")
    window: float = option(
        DEFAULT_WINDOW, "seconds that a verdict looks back on, in twelve frames; each twelfth one more is taken"
    )
    overlay: Path | None = option(None, "an .mp4 to write, the picture with box and verdict in it")
    fast: bool = option(False, "watch a file as fast as it can be judged, and drop nothing")
    retries: int | None = option(None, "times to open a lost source again in a row (default: for ever)")


def main(argv: Sequence[str]) -> int:
    """Watches the source named in `argv` until it ends, or Ctrl-C; prints a line of JSON for each verdict.

    Returns the exit status: 2 for a source that was given up, else 0.
    """
    parser = Parser(prog="python -m detect stream", description=__doc__)
    parser.add_argument("source", metavar="SOURCE", help="a camera's number, an address such as rtsp://..., or a file")
    add_flags(parser, StreamConfig)
    arguments = parser.parse_args(argv)
    config: StreamConfig = read_flags(arguments, StreamConfig)
    _check(config, arguments.source)
    source = open_source(arguments.source, config.window)
    detector = open_detector(config.run or newest(), config.weights, config.detector_file, config.engine)
    status = 0
    with contextlib.closing(watch(source, detector, config)) as events:
        try:
            for event in events:
                print(json.dumps(event), flush=True)
                status = 2 if event["event"] == "given up" else status
        except KeyboardInterrupt:  # it came while an event was printed, so that `watch` has yet to hear of it
            with contextlib.suppress(KeyboardInterrupt):
                print(json.dumps(events.throw(KeyboardInterrupt)), flush=True)
    return status


class Screen(Protocol):
    """What every frame is shown on, as it comes, with the verdict of the moment: an `Overlay`, or another."""

    verdict: Verdict | None

    def add(self, frame: Frame) -> None:
        """Takes a frame; reading waits for that."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


def watch(
    source: Source,
    detector: Detector,
    config: StreamConfig,
    screen: Screen | None = None,
    stopped: threading.Event | None = None,
) -> Generator[dict[str, Any]]:
    """Yields an event for each verdict on `source`, and for whatever happens to it; the last one sums up.

    A frame that comes while one is judged waits; a second one takes its place, and is counted as dropped. `screen`
    stands in place of the overlay that `config` names; whoever sets `stopped` ends it.
    """
    ring = Ring(detector, source.name, config.threshold)
    overlay = screen or (Overlay(config.overlay) if config.overlay else None)
    reader = _Reader(source, config, overlay, stopped or threading.Event())
    verdicts, start = 0, time.monotonic()
    try:
        reader.start()
        for item in reader.items():
            if isinstance(item, dict):
                if item["event"] == "lost":
                    ring.clear()
                    if overlay:
                        overlay.verdict = None
                yield item
                continue
            verdict = ring.add(item.frame.seconds, item.frame.picture(), item.last)
            if overlay:
                overlay.verdict = verdict
            verdicts += 1
            yield _said(verdict, item, reader.dropped)
    except KeyboardInterrupt:
        pass
    finally:
        reader.stop()
        if overlay:
            overlay.close()
    spent = round(time.monotonic() - start, 3)
    yield {"event": "ended", "verdicts": verdicts, "dropped": reader.dropped, "seconds": spent}


@dataclass(frozen=True, eq=False)
class _Taken:
    """A frame to judge, whether it is the last one, and when it came, by the clock."""

    frame: Frame
    last: bool
    came: float


class _Reader(threading.Thread):
    """Reads the source in the background: opens it again when it is lost, and keeps the newest frame to be judged."""

    def __init__(self, source: Source, config: StreamConfig, overlay: Screen | None, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self._source, self._config, self._overlay = source, config, overlay
        self._waiting: queue.Queue[_Taken | dict[str, Any] | BaseException | None] = queue.Queue(1)
        self._stopped = stopped
        self.dropped = 0

    def items(self) -> Iterator[_Taken | dict[str, Any]]:
        """Yields what there is to judge or to tell, until the source has ended or the reading is stopped."""
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _next(self) -> _Taken | dict[str, Any] | BaseException | None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Empty):  # a wait without end would keep Ctrl-C from being heard
                return self._waiting.get(timeout=0.5)
        return None

    def stop(self) -> None:
        """Ends the reading."""
        self._stopped.set()

    def run(self) -> None:
        """See `threading.Thread`."""
        try:
            self._read()
            self._put(None)
        except ClipError as error:
            self._put(UserError(f"{self._source.name} cannot be watched on ({error.reason}); give another source."))
        except BaseException as error:  # noqa: BLE001 - whoever takes the items raises it
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
                if not self._source.lives:
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
                frame = Frame(frame.seconds, _Shared(frame.picture))
                self._overlay.add(frame)
            if self._stopped.is_set():
                return
            yield frame

    def _take(self, frame: Frame, last: bool) -> None:
        """Hands a frame over; where one is waiting still, it takes that one's place, unless nothing may be dropped."""
        taken = _Taken(Frame(frame.seconds, _once(frame.picture())), last, time.monotonic())
        if self._config.fast and not self._source.lives:
            self._put(taken)
            return
        try:
            self._waiting.put_nowait(taken)
        except queue.Full:
            with contextlib.suppress(queue.Empty):
                waiting = self._waiting.get_nowait()
                self.dropped += isinstance(waiting, _Taken)
                if not isinstance(waiting, _Taken):
                    self._put(waiting)
            self._put(taken)

    def _put(self, item: _Taken | dict[str, Any] | BaseException | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._waiting.put(item, timeout=0.5)
                return


class _Shared:
    """A picture that the overlay and the judge ask for, each in its thread.

    The first makes it and the other waits: a frame that two threads convert at once has been seen to end the process.
    """

    def __init__(self, picture: Picture) -> None:
        self._picture, self._lock = picture, threading.Lock()
        self._image: np.ndarray | None = None

    def __call__(self) -> np.ndarray:
        with self._lock:
            if self._image is None:
                self._image = self._picture()
            return self._image


def _once(image: Any) -> Callable[[], Any]:
    return lambda: image


def _said(verdict: Verdict, taken: _Taken, dropped: int) -> dict[str, Any]:
    return {
        "event": "verdict",
        "seconds": round(taken.frame.seconds, 3),
        "verdict": verdict.verdict,
        "probability": verdict.probability,
        "calibrated": verdict.calibrated,
        "coverage": round(verdict.coverage, 4),
        "reason": verdict.reason,
        "frames": len(verdict.frames),
        "box": verdict.frames[-1].box if verdict.frames else None,
        "dropped": dropped,
        "lag": round(time.monotonic() - taken.came, 3),
    }


def _check(config: StreamConfig, source: str) -> None:
    require_threshold(config.threshold)
    require_window("window", config.window)
    if config.retries is not None and config.retries < 0:
        raise UserError(f"--retries {config.retries} is below 0; give 0 or above, or leave it out.")
    if config.overlay and config.overlay.suffix != ".mp4":
        raise UserError(f"--overlay {config.overlay} is no MP4; give a name that ends in .mp4.")
    if config.overlay and _is_same(config.overlay, source):
        raise UserError(
            f"--overlay {config.overlay} is the source itself, which it would overwrite; give another name."
        )


def _is_same(path: Path, source: str) -> bool:
    with contextlib.suppress(OSError, ValueError):  # one of them is no file
        return path.samefile(source)
    return False
