"""The last twelve frames of a stream, judged as a clip is: by the same crops, backbone and head."""

from collections import deque
from collections.abc import Callable

import numpy as np

from cache.schema import CROP_SIZE, FRAMES, Row
from detect.detector.verdict import Detector, Verdict, row_of
from extract.clips.crops import ClipCrops, crop_frames
from extract.clips.decode import Frames
from extract.clips.face_detectors import Box, make_detector
from extract.clips.face_detectors import Detector as FaceDetector


class Ring:
    """Takes one frame after another; what was found in a frame, and its features, are kept as long as it is.

    So a new frame costs one search and one pass through the backbone, and the verdict is that of `crop_frames` and the
    run's judge on the twelve frames, by construction.
    """

    def __init__(self, detector: Detector, name: str, threshold: float) -> None:
        self._detector, self._name, self._threshold = detector, name, threshold
        self._faces = _Remembering(make_detector(detector.profile.detector, detector.detector_file))
        self._engine = detector.engine.of_batch(1) if detector.engine else None
        self._features: dict[int, dict[bytes, np.ndarray]] = {}
        self._frames: deque[tuple[float, np.ndarray]] = deque()
        self._warm_up()

    def add(self, seconds: float, image: np.ndarray, last: bool = False) -> Verdict:
        """Returns the verdict on the last twelve frames, with this uint8 RGB (H, W, 3) one from `seconds`.

        Before there are twelve it is "Undecided", unless this is the `last` frame of all.
        """
        if len(self._frames) == FRAMES:
            _, gone = self._frames.popleft()
            self._faces.forget(gone)
            self._features.pop(id(gone), None)
        self._frames.append((seconds, image))
        images = [image for _, image in self._frames]
        found = crop_frames(Frames(images, [at for at, _ in self._frames]), self._faces, self._detector.profile.margin)
        verdict = self._detector.verdict(self._name, self._row(found, images), self._threshold)
        if len(images) == FRAMES or last or verdict.verdict == "Undecided":
            return verdict
        reason = f"{len(images)} of {FRAMES} frames seen so far"
        return Verdict(self._name, "Undecided", None, None, verdict.coverage, reason, verdict.frames)

    def clear(self) -> None:
        """Forgets all frames: what comes next has nothing to do with them."""
        for _, image in self._frames:
            self._faces.forget(image)
        self._frames.clear()
        self._features.clear()

    def _warm_up(self) -> None:
        """Runs the networks once: the first time takes them seconds, in which frames would be lost."""
        crops = np.zeros((FRAMES, CROP_SIZE, CROP_SIZE, 3), np.uint8)
        array = crops
        if self._engine is not None:
            array = np.repeat(self._engine.features(crops[:1]).astype(np.float16), FRAMES, axis=0)
        self._detector.probability(array, np.ones(FRAMES, np.uint8))

    def _row(self, found: ClipCrops, images: list[np.ndarray]) -> Row:
        row = row_of(self._name, found)
        if self._engine is None:
            return row
        features = [self._features_of(images[i], found, i) for i in range(len(images))]
        padded = np.zeros((FRAMES, *features[0].shape), np.float16)
        padded[: len(features)] = features
        return Row(*row.key, row.outcome, row.reason, row.status, row.times, row.boxes, padded)

    def _features_of(self, image: np.ndarray, found: ClipCrops, frame: int) -> np.ndarray:
        assert self._engine is not None
        # The same frame and box make the same crop.
        known, box = self._features.setdefault(id(image), {}), found.boxes[frame].tobytes()
        if box not in known:
            known[box] = self._engine.features(found.crops[frame : frame + 1])[0].astype(np.float16)
        return known[box]


class _Remembering:
    """A face detector that searches no frame twice for the same thing."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._found: dict[int, dict[tuple[str, bytes], np.ndarray]] = {}

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `extract.clips.face_detectors.Detector`."""
        return self._once(image, "find", b"", lambda: self._detector.find(image))

    def find_near(self, image: np.ndarray, box: Box) -> np.ndarray:
        """See `extract.clips.face_detectors.Detector`."""
        return self._once(image, "near", box.tobytes(), lambda: self._detector.find_near(image, box))

    def find_harder(self, image: np.ndarray, box: Box) -> np.ndarray:
        """See `extract.clips.face_detectors.Detector`."""
        return self._once(image, "harder", box.tobytes(), lambda: self._detector.find_harder(image, box))

    def forget(self, image: np.ndarray) -> None:
        """Drops what was found in `image`, whose place in memory may soon be another's."""
        self._found.pop(id(image), None)

    def _once(self, image: np.ndarray, how: str, box: bytes, search: Callable[[], np.ndarray]) -> np.ndarray:
        known = self._found.setdefault(id(image), {})
        if (how, box) not in known:
            known[how, box] = search()
        return known[how, box]
