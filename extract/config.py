"""What to extract, and how: one frozen dataclass, from which the command's flags are made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from base.commands import flag
from base.errors import UserError
from base.flags import option, required
from cache.profile import CropProfile, FeatureProfile, Precision, Sampling
from extract.backbones.engines import ENGINES
from extract.backbones.networks import BACKBONES
from extract.backbones.weights import identify_weights
from extract.clips.face_detectors import FACE_DETECTORS, face_detector_hash
from extract.clips.recogniser import recogniser_hash
from extract.readers.layouts import READERS, Compression
from extract.video.containers import Limits
from extract.video.numbered import FPS, require_rate

BackendName = Literal["local", "loky", "ray", "dask"]
SCHEMES: dict[str, tuple[str, ...]] = {"ray": ("", "ray"), "dask": ("", "tcp", "tls", "ws", "wss")}
"""How addresses of clusters may begin, by backend; the other backends run on this machine only."""
MOST_MARGIN = 2.0


@dataclass(frozen=True)
class ExtractConfig:
    """What to extract, and how. Settings that change the numbers have the defaults of the profile."""

    data: Path = required("the data set's folder, or a CSV file that lists its videos")
    out: Path = option(Path("data"), "where the store goes: OUT/<name of the data set>/...")
    backbone: str = option(FeatureProfile.backbone, "the frozen network", choices=lambda: BACKBONES)
    weights: str = option(FeatureProfile.weights, "imagenet (downloaded once), random, or the path of an .h5 file")
    precision: Precision = option(
        FeatureProfile.precision, "number format of the backbone; bfloat16 is faster only on hardware made for it"
    )
    sampling: Sampling = option(
        CropProfile.sampling, "uniform: twelve frames spread over the clip; first: its first twelve frames"
    )
    detector: str = option(
        CropProfile.detector,
        "face detector; none if the clips are face crops already",
        choices=lambda: FACE_DETECTORS,
    )
    detector_file: Path | None = option(None, "another ONNX file for yunet than the one that comes with it")
    recogniser_file: Path | None = option(None, "SFace's ONNX file, to tell who is who across cuts; none: by texture")
    margin: float = option(
        CropProfile.margin, f"margin around the face on each edge, in sides of its box, 0 to {MOST_MARGIN:g}"
    )
    layout: str = option(
        "auto", "the data set's layout on disk; auto: recognised by its folders", choices=lambda: ["auto", *READERS]
    )
    compression: Compression = option("auto", "compression level of FaceForensics++; auto: the one on disk")
    keep_crops: bool = option(True, "keep the crops (about 0.4 MB a video), so that each video is decoded only once")
    blends: int = option(0, "blended clips to make of each real one, as fakes to train on")
    show: Path | None = option(None, "PNG file for a sheet of blended clips beside their sources")
    retry_failed: bool = option(False, "try again the videos that failed before")
    engine: str = option(
        "auto",
        "what runs the backbone; auto: OpenVINO if installed and there is no GPU",
        choices=lambda: ["auto", *ENGINES],
    )
    batch: int = option(0, "crops in a batch of the backbone; 0: chosen for the engine")
    workers: int = option(
        0,
        "processes that decode and find faces; 0: one per usable core, or one per unit of videos on a cluster",
    )
    backend: BackendName = option("local", "where the work runs: in this process, or by joblib over units of videos")
    address: str = option("", "address of a running Ray or Dask cluster; empty: start one here")
    fps: float = option(FPS, "frames a second of clips that are folders of numbered pictures; a video knows its own")
    clip_seconds: float = option(300.0, "time limit for one clip, in seconds")
    clip_pixels: int = option(64_000_000, "size limit for one frame, in pixels")

    def check(self) -> None:
        """Raises a UserError that names a number out of range."""
        if not 0 <= self.margin <= MOST_MARGIN:
            raise UserError(f"{flag('margin', self.margin)} is out of range; give 0 to {MOST_MARGIN:g}.")
        for name, number in (("workers", self.workers), ("batch", self.batch), ("blends", self.blends)):
            if number < 0:
                raise UserError(f"{flag(name, number)} is out of range; give 0 or more.")
        require_rate(self.fps)
        if self.address:
            self._check_address()

    def _check_address(self) -> None:
        if self.backend not in SCHEMES:
            raise UserError(
                f"{self.backend} runs on this machine only; leave out {flag('address')}, or use "
                f"{flag('backend', 'ray')} or dask."
            )
        example = "10.0.0.1:6379" if self.backend == "ray" else "tcp://10.0.0.1:8786"
        if not _is_address(self.address, self.backend):
            raise UserError(
                f"{flag('address', self.address)} is not an address of {self.backend}; give one such as {example}."
            )

    @property
    def crop_profile(self) -> CropProfile:
        """The part of the profile that decides the crops."""
        file_hash = face_detector_hash(self.detector, self.detector_file)
        recogniser = recogniser_hash(self.recogniser_file)
        return CropProfile(self.sampling, self.detector, file_hash, self.margin, recogniser_file=recogniser)

    @property
    def face_files(self) -> dict[str, Path | None]:
        """The files that the user gave for finding faces and telling them apart, by the names of their settings."""
        return {"detector_file": self.detector_file, "recogniser_file": self.recogniser_file}

    @property
    def profile(self) -> FeatureProfile:
        """Exactly the settings that change the features."""
        taps = BACKBONES[self.backbone].taps
        return FeatureProfile(self.crop_profile, self.backbone, identify_weights(self.weights), self.precision, taps)

    @property
    def limits(self) -> Limits:
        """What one clip may cost."""
        return Limits(pixels=self.clip_pixels, seconds=self.clip_seconds)


def _is_address(text: str, backend: str) -> bool:
    if (backend, text) == ("ray", "auto"):  # the cluster that was started on this machine
        return True
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        return bool(parts.hostname and parts.port) and parts.scheme in SCHEMES[backend] and not parts.path
    except ValueError:
        return False
