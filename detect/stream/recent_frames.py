"""The last twelve frames of a stream, judged like a clip: with the same crops, backbone and head."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cache.schema import CROP_SIZE, FRAMES, Row
from detect.detector.judge import Detector, row_of
from detect.detector.verdict import Verdict
from extract.clips.boxes import Box, FaceDetector
from extract.clips.crops import CroppedClip, crop_frames
from extract.clips.face_detectors import NoDetector, make_face_detector
from extract.clips.recogniser import make_descriptor
from extract.video.film import Frames


class RecentFrames:
    """Holds the last twelve frames with their face boxes and features, and judges them whenever one is added.

    A new frame therefore costs one face search and one pass through the backbone. The verdict is the same as on a clip
    of these twelve frames, because the same functions compute it.
    """

    def __init__(self, detector: Detector, name: str, threshold: float) -> None:
        self._detector, self._name, self._threshold = detector, name, threshold
        self._faces = _CachedFaceDetector(make_face_detector(detector.profile.detector, detector.detector_file))
        self._descriptor = make_descriptor(detector.recogniser_file)
        self._engine = detector.engine.of_batch(1) if detector.engine else None
        self._features: dict[int, dict[bytes, np.ndarray]] = {}
        self._frames: deque[tuple[float, np.ndarray]] = deque()
        self._warm_up()

    def add(self, seconds: float, image: np.ndarray, last: bool = False) -> Verdict:
        """Adds the uint8 RGB `image` (H, W, 3) from `seconds`; returns the verdict on the last twelve frames.

        With fewer than twelve it is "Undecided", unless this is the `last` frame of the source.
        """
        if len(self._frames) == FRAMES:
            _, oldest = self._frames.popleft()
            self._faces.forget(oldest)
            self._features.pop(id(oldest), None)
        self._frames.append((seconds, image))
        images = [image for _, image in self._frames]
        frames = Frames(images, [at for at, _ in self._frames])
        clip = crop_frames(frames, self._faces, self._detector.profile.margin, self._descriptor)
        verdict = self._detector.verdict(self._name, self._row(clip, images), self._threshold)
        if len(images) == FRAMES or last or verdict.verdict == "Undecided":
            return verdict
        reason = f"{len(images)} of {FRAMES} frames seen so far"
        return replace(verdict, verdict="Undecided", probability=None, calibrated=None, reason=reason)

    def clear(self) -> None:
        """Forgets all frames: the next one may show something else."""
        for _, image in self._frames:
            self._faces.forget(image)
        self._frames.clear()
        self._features.clear()

    def _warm_up(self) -> None:
        """Runs the networks once: the first run takes seconds, in which frames would be dropped."""
        black = Frames([np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)] * FRAMES, list(map(float, range(FRAMES))))
        clip = crop_frames(black, NoDetector(), 0.0)
        self._detector.probability(self._row(clip, black.images))
        self._features.clear()

    def _row(self, clip: CroppedClip, images: list[np.ndarray]) -> Row:
        row = row_of(self._name, clip)
        if self._engine is None:
            return row
        features = [self._features_of(images[i], clip, i) for i in range(len(images))]
        padded = np.zeros((FRAMES, *features[0].shape), np.float16)
        padded[: len(features)] = features
        padded[~row.seen.mask] = 0
        return replace(row, array=padded)

    def _features_of(self, image: np.ndarray, clip: CroppedClip, frame: int) -> np.ndarray:
        assert self._engine is not None
        # The same frame and box give the same crop and region.
        by_box, box = self._features.setdefault(id(image), {}), clip.seen.boxes[frame].tobytes()
        if box not in by_box:
            one = slice(frame, frame + 1)
            by_box[box] = self._engine.features(clip.crops[one], clip.seen.regions[one])[0].astype(np.float16)
        return by_box[box]


class _CachedFaceDetector:
    """A face detector that keeps its results while a frame is held, so that no search is run twice."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._results: dict[int, dict[tuple[str, bytes], np.ndarray]] = {}

    def find(self, image: np.ndarray) -> np.ndarray:
        return self._once(image, "find", b"", lambda: self._detector.find(image))

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        where = b"" if box is None else box.tobytes()
        return self._once(image, "harder", where, lambda: self._detector.find_harder(image, box))

    def forget(self, image: np.ndarray) -> None:
        """Drops the results for `image`; another image may soon have the same id."""
        self._results.pop(id(image), None)

    def _once(self, image: np.ndarray, how: str, box: bytes, search: Callable[[], np.ndarray]) -> np.ndarray:
        results = self._results.setdefault(id(image), {})
        if (how, box) not in results:
            results[how, box] = search()
        return results[how, box]
