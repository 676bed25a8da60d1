"""python -m benchmarks.faces DATA OUT.json: which input size YuNet needs, on real faces as they are and small in 4K."""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import timed, write_document
from extract.clips.haar import HaarDetector
from extract.clips.tracks import find_people
from extract.clips.yunet import YuNetDetector
from extract.video.decode import sample_frames

LONG_SIDES = (320, 480, 640, 1280)
FACES = (48, 64, 96, 128, 192, 256)
"""Sides of the faces that are pasted into frames of 3840 x 2160."""


class Resized(YuNetDetector):
    """YuNet on copies with a given long side."""

    def __init__(self, long_side: int) -> None:
        super().__init__()
        self.long_side = long_side

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `FaceDetector.find`."""
        return self._find(image, self.long_side)


def main(data: Path, out: Path) -> None:
    """Measures, and writes the figures."""
    cv2.setNumThreads(1)
    clips = [sample_frames(path).images for path in sorted(data.rglob("*.mp4"))]
    detectors = {"haar": HaarDetector()} | {f"yunet {side}": Resized(side) for side in LONG_SIDES[:-1]}
    rows = {name: _clips(clips, detector) for name, detector in detectors.items()}
    small = {f"{face} px": _recall(clips, face) for face in FACES}
    figures = {"clips": len(clips), "as they are": rows, "recall in 3840 x 2160 by long side of the copy": small}
    write_document(out, figures)


def _clips(clips: list[list[np.ndarray]], detector: HaarDetector | YuNetDetector) -> dict[str, float]:
    tracks = []
    _, seconds = timed(lambda: tracks.extend(find_people(images, detector).judged[0].track for images in clips))
    coverage = [sum(box is not None for box in track) / len(track) for track in tracks]
    sides = [np.array([max(box[2:]) for box in track if box is not None]) for track in tracks]
    change = np.concatenate([np.abs(np.diff(np.log(side))) for side in sides if len(side) > 1])
    return {
        "core_ms_a_frame": round(1000 * seconds / sum(map(len, clips)), 1),
        "coverage": round(float(np.mean(coverage)), 4),
        "clips_below_half": sum(share < 0.5 for share in coverage),
        "median_change_of_side": round(float(np.median(change)), 4),
    }


def _recall(clips: list[list[np.ndarray]], side: int) -> dict[str, float]:
    """Returns the share of faces that are found within half of their side, by long side of the copy."""
    scenes = list(_scenes(clips, side))
    return {
        str(long_side): round(
            float(np.mean([_hits(Resized(long_side).find(image), centre, side) for image, centre in scenes])), 2
        )
        for long_side in LONG_SIDES
    }


def _hits(boxes: np.ndarray, centre: np.ndarray, side: int) -> bool:
    return bool((np.abs(boxes[:, :2] + boxes[:, 2:] / 2 - centre) < side / 2).all(axis=1).any())


def _scenes(clips: list[list[np.ndarray]], side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields frames of 3840 x 2160 with one real face of `side` pixels, and its centre."""
    random = np.random.default_rng(side)
    for images in clips[::3]:
        boxes = YuNetDetector().find(images[0])
        if len(boxes):
            x, y, width, height = boxes[0]
            around = int(0.5 * max(width, height))
            left, top = max(0, x - around), max(0, y - around)
            patch = images[0][top : y + height + around, left : x + width + around]
            scale = side / max(width, height)
            patch = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            at = random.integers(0, [3840 - patch.shape[1], 2160 - patch.shape[0]])
            image = cv2.resize(images[0][:90, :160], (3840, 2160), interpolation=cv2.INTER_CUBIC)
            image[at[1] : at[1] + patch.shape[0], at[0] : at[0] + patch.shape[1]] = patch
            yield image, at + scale * np.array([x - left + width / 2, y - top + height / 2])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
