"""Stage 1 against the plain loop and against its own floor; a second backbone against the network alone."""

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from base.errors import UserError
from base.machine.processors import usable_processors
from benchmarks.measure import Result, summarise, timed
from benchmarks.ratios.clips import make_clips
from cache.profile import FeatureProfile
from cache.schema import FRAMES, OK, Row, VideoRecord
from cache.store import Writer, create_store, find_rows, open_store, store_folder
from extract.backbones.engines import Engine
from extract.config import ExtractConfig
from extract.steps import Clock, rows_from_store
from extract.unit import extract_videos, start_engine
from extract.video.decode import sample_frames

if TYPE_CHECKING:
    import keras

SAMPLES = {"1080p": (32, 2), "480p": (96, 6)}
"""Videos in a repeat: ours, and the plain loop's."""
AIMS = {"1080p": 8.0, "480p": 3.5}
FLOOR_AIM, SECOND_AIM = 0.85, 0.90
CORES = usable_processors()
BEYOND_THE_FLOOR = ("faces", "write")
"""What stage 1 does besides, as its clock calls it; the rest is the way of crops from process to process, and waits."""


def stage1(clips: Path, repeats: int, size: str) -> Iterator[Result]:
    """Yields `extract_<size>` and `extract_floor_<size>`, both measured in the same repeats."""
    config = ExtractConfig(clips, weights="random")
    engine, model = start_engine(config), _plain_model()
    ours, theirs = (make_clips(clips, size, count) for count in SAMPLES[size])
    _plain_loop(theirs[:1], model)
    rates: dict[str, list[float]] = {"videos_a_second": [], "plain_videos_a_second": [], "floor_videos_a_second": []}
    parts: dict[str, list[float]] = {"decode_core_seconds": [], "backbone_core_seconds": []}
    beyond: dict[str, list[float]] = {f"{kind}_core_seconds": [] for kind in BEYOND_THE_FLOOR}
    for _ in range(repeats):
        decode, backbone = _floor(ours[:4], engine)
        parts["decode_core_seconds"].append(decode)
        parts["backbone_core_seconds"].append(backbone)
        rates["floor_videos_a_second"].append(CORES / (decode + backbone))
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            seconds, _ = timed(lambda clock=clock: _extract(ours, config, engine, Path(folder), clock=clock))
        rates["videos_a_second"].append(len(ours) / seconds)
        for kind in BEYOND_THE_FLOOR:
            beyond[f"{kind}_core_seconds"].append(clock.seconds[kind] / len(ours))
        rates["plain_videos_a_second"].append(len(theirs) / timed(lambda: _plain_loop(theirs, model))[0])
    reached, plain, floor = (np.array(rates[name]) for name in rates)
    yield summarise(f"extract_{size}", AIMS[size], (reached / plain).tolist(), rates)
    yield summarise(f"extract_floor_{size}", FLOOR_AIM, (reached / floor).tolist(), rates | parts | beyond)


def _floor(paths: Sequence[Path], engine: Engine) -> tuple[float, float]:
    """Returns the core-seconds that decoding a video's twelve frames and the backbone on twelve crops take."""
    crops = np.random.default_rng(0).integers(0, 256, (2 * engine.batch, 160, 160, 3), np.uint8)
    _, decode = timed(lambda: [sample_frames(path) for path in paths])
    _, backbone = timed(lambda: engine.features(crops, np.zeros((len(crops), 4), np.uint8)))
    return decode / len(paths), backbone / len(crops) * FRAMES


def _extract(
    paths: Sequence[Path],
    config: ExtractConfig,
    engine: Engine,
    folder: Path,
    profile: FeatureProfile | None = None,
    clock: Clock | None = None,
) -> None:
    """Runs stage 1 on `paths`, keeping crops; the engine is already started, as the plain loop's model is."""
    videos = [(VideoRecord(str(i), path.name, 0, "", "", "", "", 1, 1), path) for i, path in enumerate(paths)]
    kinds = (config.crop_profile, profile or config.profile)
    crops, features = (Writer(create_store(folder, kind), []) for kind in kinds)
    rows = list(extract_videos(videos, config, lambda: engine, crops, features, clock or Clock()))
    require_good(rows, len(paths))


def require_good(rows: Sequence[Row], count: int) -> None:
    """Raises a UserError that names each of `rows` but those that are `ok`, as all `count` should be."""
    failed = [f"{row.id} ({row.outcome}: {row.reason})" for row in rows if row.outcome != OK]
    if failed or len(rows) != count:
        which = f": {', '.join(failed)}" * bool(failed)
        raise UserError(f"of {count} good clips, {count - len(rows)} have no row and {len(failed)} failed{which}.")


def second_backbone(clips: Path, repeats: int) -> Iterator[Result]:
    """Yields `second_backbone`: MobileNetV2 from kept crops into shards, against the network alone on arrays.

    The ratio's limit is what the crops' reading and the features' writing take besides; the row has both.
    """
    config = ExtractConfig(clips, backbone="mobilenetv2", weights="random")
    engine, paths = start_engine(config), make_clips(clips, "480p", SAMPLES["480p"][0])
    rates: dict[str, list[float]] = {"videos_a_second": [], "backbone_videos_a_second": []}
    parts: dict[str, list[float]] = {f"{part}_core_seconds": [] for part in ("backbone", "crops", "write")}
    arrays = np.random.default_rng(0).integers(0, 256, (len(paths) * FRAMES, 160, 160, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        _extract(paths, config, engine, Path(folder))
        kept = list(find_rows(open_store(store_folder(Path(folder), config.crop_profile))).values())
        for number in range(repeats):
            # A new version makes a new profile, of which the store holds nothing yet.
            profile, clock = replace(config.profile, version=100 + number), Clock()
            again = partial(_extract, paths, config, engine, Path(folder), profile, clock)
            seconds, cores = timed(lambda: engine.features(arrays, np.zeros((len(arrays), 4), np.uint8)))
            rates["backbone_videos_a_second"].append(len(paths) / seconds)
            rates["videos_a_second"].append(len(paths) / timed(again)[0])
            _, reading = timed(lambda: deque(rows_from_store(kept), maxlen=0))
            for part, spent in zip(parts.values(), (cores, reading, clock.seconds["write"]), strict=True):
                part.append(spent / len(paths))
    ratios = np.array(rates["videos_a_second"]) / rates["backbone_videos_a_second"]
    yield summarise("second_backbone", SECOND_AIM, ratios.tolist(), rates | parts)


def _plain_model() -> "keras.Model":
    """Returns ResNet50 with random weights, which take as long as any."""
    import keras

    make: Any = keras.applications.ResNet50
    return make(include_top=False, weights=None, input_shape=(160, 160, 3), pooling="avg")


def _plain_loop(paths: Sequence[Path], model: "keras.Model") -> list[np.ndarray]:
    """Returns float32 (12, 2048) of each video: seek, full-size Haar cascade, one `predict` a video.

    It is what one would write by hand: the published notebook with its frame sampling corrected.
    """
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    quiet: Any = {"verbose": 0}
    return [model.predict(_plain_crops(path, cascade), **quiet) for path in paths]


def _plain_crops(path: Path, cascade: cv2.CascadeClassifier) -> np.ndarray:
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
