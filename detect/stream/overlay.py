"""The annotated video of a stream: each picture with the face's box and the current verdict."""

import queue
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from base.errors import UserError
from base.files import sync
from base.machine.disk import unwritable
from detect.detector.verdict import Verdict
from detect.stream.frames import Frame

_GREY = (120, 120, 120)
COLOURS = {"Fake": (213, 94, 0), "Real": (0, 114, 178), "Unsure": _GREY, "Undecided": _GREY, "Failed": _GREY}
"""RGB. The verdict is also written as text."""
WAITING = 8
"""Pictures that wait to be written, at most."""
CLOCK = Fraction(1, 1000)
FRAGMENTS = {
    "movflags": "empty_moov+default_base_moof+hybrid_fragmented",
    "frag_duration": "1000000",
    "flush_packets": "1",
}
"""Each second is playable once it is written, so a kill costs no more; the end makes it an MP4 like any other."""


class Overlay:
    """Writes an MP4 in the background, which a kill leaves playable. Pictures written from now on show `verdict`.

    If writing is too slow, `add` either waits or leaves the picture out, and `left_out` counts it.
    """

    def __init__(self, path: Path, waits: bool = False) -> None:
        try:
            path.open("wb").close()  # PyAV would fail only at the first picture
            self._file = av.open(str(path), "w", options=FRAGMENTS)
        except OSError as error:  # PyAV's errors about files are OSErrors too
            raise _write_error(path, error) from None
        self._path, self._waits = path, waits
        self._failure: UserError | None = None
        self.verdict: Verdict | None = None
        self.left_out = 0
        self._stream: av.VideoStream | None = None
        self._last = -1
        self._waiting: queue.Queue[Frame | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    def add(self, frame: Frame) -> None:
        """Queues a frame; raises a UserError if writing has failed."""
        if self._failure:
            raise self._failure
        try:
            self._waiting.put(frame, block=self._waits)
        except queue.Full:
            self.left_out += 1

    def close(self) -> None:
        """Writes the waiting frames and closes the file; raises a UserError like `add`."""
        self._waiting.put(None)
        self._thread.join()
        try:
            if self._stream is not None and not self._failure:
                for packet in self._stream.encode(None):
                    self._file.mux(packet)
            self._file.close()
            sync(self._path)
            sync(self._path.parent)
        except Exception as error:  # noqa: BLE001 - encoders and OpenCV have errors of their own
            self._failure = self._failure or _write_error(self._path, error)
        if self._failure:
            raise self._failure

    def _write_all(self) -> None:
        while (frame := self._waiting.get()) is not None:
            if self._failure:
                continue  # keeps emptying the queue; otherwise `close` would wait for ever
            try:
                self._write(np.ascontiguousarray(frame.picture()), frame.seconds)
            except Exception as error:  # noqa: BLE001 - encoders and OpenCV have errors of their own
                self._failure = _write_error(self._path, error)

    def _write(self, picture: np.ndarray, seconds: float) -> None:
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2  # H.264 needs even sides
        if self._stream is None:
            self._stream = self._add_stream(width, height)
        if (self._stream.width, self._stream.height) != (width, height):
            picture = cv2.resize(picture, (self._stream.width, self._stream.height))
        image = av.VideoFrame.from_ndarray(annotated(picture[:height, :width], self.verdict), format="rgb24")
        # A lost source restarts at 0, but times in a file must grow.
        self._last = max(self._last + 1, round(seconds / CLOCK))
        image.pts, image.time_base = self._last, CLOCK
        for packet in self._stream.encode(image):
            self._file.mux(packet)

    def _add_stream(self, width: int, height: int) -> av.VideoStream:
        # Without zerolatency, an encoder of many threads holds many pictures, which a kill would cost.
        options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
        stream = self._file.add_stream("h264", rate=30, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = CLOCK
        return stream


def _write_error(path: Path, error: Exception) -> UserError:
    return UserError(unwritable(path, error, "choose another --overlay"))


def annotated(picture: np.ndarray, verdict: Verdict | None) -> np.ndarray:
    """Returns the uint8 RGB `picture` with the verdict written on it and a box around the face."""
    picture = np.ascontiguousarray(picture).copy()
    if verdict is None:
        return picture
    colour, scale = COLOURS[verdict.verdict], max(0.5, picture.shape[0] / 720)
    thick = max(1, round(2 * scale))
    if verdict.frames and (box := verdict.frames[-1].box):
        x, y, width, height = box
        cv2.rectangle(picture, (x, y), (x + width, y + height), colour, thick)
    detail = verdict.reason if verdict.probability is None else f"p(fake) {verdict.probability:.2f}"
    text = f"{verdict.verdict}  {detail}".encode("ascii", "replace").decode()  # OpenCV draws ASCII only
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)[0][0]
    scale *= min(1.0, (picture.shape[1] - 20) / width)
    size, below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    cv2.rectangle(picture, (0, 0), (size[0] + 20, size[1] + below + 20), colour, -1)
    cv2.putText(picture, text, (10, size[1] + 10), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thick)
    return picture
