"""What to extract, and how: one frozen dataclass, from which the command's flags are made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.cli import option, required
from cache.profile import CropProfile, FeatureProfile
from extract.backbones.engines import EngineName, Precision
from extract.backbones.networks import BackboneName, identify_weights
from extract.clips.decode import Limits, Sampling
from extract.clips.face_detectors import DetectorName, face_detector_hash
from extract.readers.layouts import Compression, Layout

BackendName = Literal["local", "loky", "ray", "dask"]


@dataclass(frozen=True)
class ExtractConfig:
    """What to extract, and how. Fields that change the numbers go into the profile; the others only into the time."""

    data: Path = required("the data set's folder, or a CSV file that lists its videos")
    out: Path = option(Path("data"), "where the store goes: OUT/<name of the data set>/...")
    backbone: BackboneName = option("resnet50", "the frozen network")
    weights: str = option("imagenet", "imagenet (downloaded once), random, or the path of an .h5 file")
    precision: Precision = option("float32", "what the backbone computes in; bfloat16 needs hardware to be faster")
    sampling: Sampling = option("uniform", "uniform: twelve frames spread over the clip; first: its first twelve")
    detector: DetectorName = option("haar", "face detector; none: the clips are face crops already")
    detector_file: Path | None = option(None, "the ONNX file that the detector yunet reads")
    margin: float = option(0.3, "what is kept around the face on each edge, in sides of its box")
    layout: Layout = option("auto", "how the data set lies on disk; auto: as its folders tell")
    compression: Compression = option("auto", "level of FaceForensics++ to read; auto: the one that is there")
    keep_crops: bool = option(True, "keep the crops (about 0.4 MB a video), so that videos are decoded once")
    retry_failed: bool = option(False, "try videos again that failed before")
    engine: EngineName = option("auto", "what runs the backbone; auto: OpenVINO if installed and there is no GPU")
    batch: int = option(0, "crops a batch of the backbone; 0: as suits the engine")
    workers: int = option(0, "processes that decode and find faces; 0: one a core, one a unit of work on a cluster")
    backend: BackendName = option("local", "where the work is done: in this process, or by joblib over units of videos")
    address: str = option("", "the scheduler of an existing Ray or Dask cluster; empty: one is started here")
    clip_seconds: float = option(300.0, "time limit for one clip, in seconds")
    clip_pixels: int = option(64_000_000, "size limit for one frame, in pixels")

    @property
    def crop_profile(self) -> CropProfile:
        """The part of the profile that decides the crops."""
        used = face_detector_hash(self.detector, self.detector_file)
        return CropProfile(self.sampling, self.detector, used, self.margin)

    @property
    def profile(self) -> FeatureProfile:
        """Exactly what changes the features."""
        return FeatureProfile(self.crop_profile, self.backbone, identify_weights(self.weights), self.precision)

    @property
    def limits(self) -> Limits:
        """What one clip may cost."""
        return Limits(pixels=self.clip_pixels, seconds=self.clip_seconds)
