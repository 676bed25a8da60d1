"""The plain loop: what one would write by hand. It is the published notebook with its frame sampling corrected."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    import keras


def plain_model() -> "keras.Model":
    """Returns ResNet50 with random weights, which take as long as any."""
    import keras

    make: Any = keras.applications.ResNet50
    return make(include_top=False, weights=None, input_shape=(160, 160, 3), pooling="avg")


def plain_loop(paths: Sequence[Path], model: "keras.Model") -> list[np.ndarray]:
    """Returns float32 (12, 2048) of each video: seek, full-size Haar cascade, one `predict` a video."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    quiet: Any = {"verbose": 0}
    return [model.predict(_crops(path, cascade), **quiet) for path in paths]


def _crops(path: Path, cascade: cv2.CascadeClassifier) -> np.ndarray:
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    crops = []
    for position in np.linspace(0, count - 1, 12).astype(int):
        video.set(cv2.CAP_PROP_POS_FRAMES, int(position))
        _, frame = video.read()
        faces = cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), 1.3, 5)
        if len(faces):
            x, y, width, height = max(faces, key=lambda face: face[2] * face[3])
            frame = frame[y : y + height, x : x + width]
        crops.append(cv2.resize(frame, (160, 160)) / 255.0)
    video.release()
    return np.array(crops, np.float32)
