"""python -m benchmarks.ratios.pngs: what twelve frames cost as PNG, by several decoders, and as a video.

All are the frames of one 480p video; each decoder runs in one thread, and each has to give the same pixels.
"""

import argparse
import statistics
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from base.command_line.parse import Parser
from base.ending import run
from benchmarks.measure import timed, write_document
from benchmarks.ratios.clips import make_clips
from extract.video.decode import sample_frames
from extract.video.pictures import read_picture

HERE = Path(__file__).parents[1]


def decode_by_pyav(path: Path) -> np.ndarray:
    """Returns the picture at `path`, uint8 RGB (H, W, 3), by FFmpeg's decoder."""
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def unpack(path: Path) -> None:
    """Unpacks the bytes of the PNG at `path`, from which no decoder has made pixels yet."""
    data, place, packed = path.read_bytes(), 8, b""
    while place < len(data):
        size, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        packed += data[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += 12 + size
    zlib.decompress(packed)


DECODERS: dict[str, Callable[[Path], np.ndarray]] = {
    "reelcheck": lambda path: read_picture(path).images[0],
    "opencv": lambda path: np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)),
    "pyav": decode_by_pyav,
}


def seconds_of(clips: Path, repeats: int) -> dict[str, float]:
    """Returns the core-seconds, medians, that twelve frames take: of the video, and of PNG by each decoder."""
    (video,) = make_clips(clips, "480p", 1, different=1)
    paths = list(_written(sample_frames(video).images, clips))
    for path in paths:
        first, *others = (decode(path) for decode in DECODERS.values())
        assert all(np.array_equal(first, other) for other in others), path
    works: dict[str, Callable[[], object]] = {"video": lambda: sample_frames(video)}
    for name, each in {**DECODERS, "zlib": unpack}.items():
        works[name] = partial(_each, each, paths)
    cv2.setNumThreads(1)
    taken = [{name: timed(work)[1] for name, work in works.items()} for _ in range(repeats)]
    return {name: round(statistics.median(each[name] for each in taken), 4) for name in works}


def _each(work: Callable[[Path], object], paths: Sequence[Path]) -> None:
    for path in paths:
        work(path)


def _written(images: Sequence[np.ndarray], folder: Path) -> Iterator[Path]:
    for number, image in enumerate(images):
        Image.fromarray(image).save(path := folder / f"{number:03}.png")
        yield path


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints and writes the result."""
    parser: argparse.ArgumentParser = Parser(prog="python -m benchmarks.ratios.pngs", description=__doc__)
    parser.add_argument("--clips", type=Path, default=HERE / "clips", help="folder of the clips")
    parser.add_argument("--repeats", type=int, default=15, help="how often each is measured")
    parser.add_argument("--out", type=Path, default=HERE / "pngs.json", help="results file")
    arguments = parser.parse_args(argv)
    seconds = seconds_of(arguments.clips, arguments.repeats)
    print(seconds)
    write_document(arguments.out, {"core_seconds_of_twelve": seconds, "repeats": arguments.repeats})


if __name__ == "__main__":
    run(main)
