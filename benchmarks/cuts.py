"""python -m benchmarks.cuts --data DATA --out OUT.json: who is who across a cut, on clips joined from those of DATA.

Each pair of real clips of known people gives the first frames of one and the last of the other, with the cut after
three, six or nine of twelve: of one person a jump cut, of two a cut from one to the other. The second part is also lit
otherwise, shown larger, and both are made small and compressed. Wrong is a face made of two people, and one person made
two.
"""

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np

from base.command_line.parse import parse_flags
from base.ending import run
from base.flags import option, required
from base.machine.processors import usable_processors
from benchmarks.measure import write_document
from cache.schema import FRAMES, REAL
from extract.clips.recogniser import make_descriptor
from extract.clips.tracks import find_people
from extract.clips.yunet import YuNetDetector
from extract.readers.layouts import read_dataset
from extract.video.decode import sample_frames
from extract.video.display import one_size

CUTS = (3, 6, 9)
EACH = 3
"""Pairs of clips of each two people; of one person all pairs are taken."""
Images = list[np.ndarray]
Pair = tuple[Path, Path, int]


def _lit(before: Images, after: Images) -> Images:
    table = np.clip(255 * (np.arange(256)[:, None] / 255) ** 0.9 * np.array([1.12, 1.04, 0.96]), 0, 255)
    return before + [np.stack([cv2.LUT(image[..., k], table[:, k].astype(np.uint8)) for k in range(3)], 2)
                     for image in after]  # fmt: skip


def _zoomed(image: np.ndarray, factor: float) -> np.ndarray:
    """Returns the upper middle of the picture, `factor` times as large."""
    height, width = image.shape[:2]
    across, down = round(width / factor), round(height / factor)
    left, top = (width - across) // 2, (height - down) // 4
    return cv2.resize(image[top : top + down, left : left + across], (width, height), interpolation=cv2.INTER_LINEAR)


def _compressed(before: Images, after: Images) -> Images:
    """Returns the frames at half their size, as x264 keeps them at a rate factor of 32."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "joined.mp4")
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25, options={"crf": "32"})
            height, width = before[0].shape[:2]
            stream.width, stream.height, stream.pix_fmt = width // 4 * 2, height // 4 * 2, "yuv420p"
            for image in before + after:
                small: Any = cv2.resize(image, (stream.width, stream.height), interpolation=cv2.INTER_AREA)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
            container.mux(stream.encode())
        return sample_frames(path).images


KINDS: dict[str, Callable[[Images, Images], Images]] = {
    "as they are": operator.add,
    "second part lit otherwise": _lit,
    "second part 1.3 times as large": lambda before, after: before + [_zoomed(image, 1.3) for image in after],
    "half size, CRF 32": _compressed,
}


@dataclass(frozen=True)
class CutsConfig:
    """On which clips, and by what faces are told apart."""

    data: Path = required("data set whose real clips say who is in them")
    out: Path = required("file to write")
    recogniser: Path | None = option(None, "SFace's .onnx file (default: told apart by texture)")


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, and writes the figures."""
    config: CutsConfig = parse_flags("python -m benchmarks.cuts", str(__doc__), CutsConfig, argv)
    records = [record for record in read_dataset(config.data).records if record.label == REAL and record.target]
    clips = [(config.data / record.path, record.target) for record in sorted(records, key=lambda record: record.id)]
    pairs = list(_pairs(clips))
    with ProcessPoolExecutor(usable_processors()) as processes:
        found = list(
            processes.map(partial(_crossings, config.recogniser), [(one, other, cut) for one, other, cut, _ in pairs])
        )
    same = np.array([same for *_, same in pairs])
    rows = {}
    for kind in KINDS:
        crossed = np.array([each[kind] for each in found])
        rows[kind] = {
            "two people made one": round(float(crossed[~same].mean()), 4),
            "one person made two": round(float(1 - crossed[same].mean()), 4),
        }
    figures = {"clips": len(clips), "people": len({person for _, person in clips}), "pairs of two": int((~same).sum())}
    figures |= {
        "pairs of one": int(same.sum()),
        "told apart by": config.recogniser.name if config.recogniser else "texture",
    }
    write_document(config.out, figures | {"rows": rows})


def _pairs(clips: Sequence[tuple[Path, str]]) -> Iterator[tuple[Path, Path, int, bool]]:
    """Yields two clips, after how many frames the cut lies, and whether they show one person; the same each time."""
    by_people: dict[frozenset[str], list[tuple[Path, Path]]] = {}
    for (one, person), (other, second) in itertools.combinations(clips, 2):
        by_people.setdefault(frozenset((person, second)), []).append((one, other))
    random = np.random.default_rng(0)
    for people, pairs in by_people.items():
        chosen = pairs if len(people) == 1 else [pairs[i] for i in random.permutation(len(pairs))[:EACH]]
        for (one, other), cut in itertools.product(chosen, CUTS):
            yield one, other, cut, len(people) == 1


@cache
def _images(path: Path) -> Images:
    cv2.setNumThreads(1)
    return sample_frames(path).images


def _crossings(recogniser: Path | None, pair: Pair) -> dict[str, bool]:
    """Returns, for each way to join them, whether one person's track has faces on both sides of the cut."""
    one, other, cut = pair
    images = one_size([*_images(one)[:cut], *_images(other)[cut:FRAMES]])
    found = {}
    for kind, join in KINDS.items():
        joined = join(list(images[:cut]), list(images[cut:]))
        people = find_people(joined, YuNetDetector(), descriptor=make_descriptor(recogniser))
        boxes = [box is not None for box in people.judged[0].track]
        found[kind] = any(boxes[:cut]) and any(boxes[cut:])
    return found


if __name__ == "__main__":
    run(main)
