"""CONTRIBUTING.md says what to touch to add something: one entry is enough for flags, help, pages and commands."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from base import verbs
from base.command_line.doors import door, load
from base.command_line.parse import parse_flags
from base.errors import UserError
from base.verbs import VERBS, Verb
from cache.contents import load as load_store
from cache.profile import CropProfile, Tap, canonical_json, fingerprint, parse_profile
from cache.schema import FrameStatus
from cache.store import open_store
from detect.clips.config import DetectConfig
from detect.detector.contract import CONTRACT
from detect.detector.converted import write_network
from detect.detector.formats import FORMATS, Format
from detect.detector.load import open_detector
from detect.export.stage import ExportConfig
from evaluate.stats.weighted import CALL_METRICS, SCORE_METRICS, Metric
from extract.backbones.engines import ENGINES, make_engine
from extract.backbones.networks import BACKBONES, Backbone
from extract.backbones.weights import MOBILENETV2
from extract.clips.crops import crop_clip
from extract.clips.face_detectors import FACE_DETECTORS, KnownDetector, face_detector_hash, make_face_detector
from extract.config import ExtractConfig
from extract.readers.dataset import make_dataset, make_record
from extract.readers.found import Found
from extract.readers.layouts import READERS, Reader, read_dataset
from reelcheck.cli import dispatch
from tests import ROOT
from tests.clips import counting_images, write_clip
from tests.evaluate.report.test_report import write_run
from tests.stores import pairs
from train.data.split import SPLITS, SplitConfig, split
from train.fit import FitConfig

TABLE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TAPS = (Tap("block_1_expand_relu", "crop", "mean"),)
FEATURES = 96


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip on which nothing moves."""
    return write_clip(tmp_path / "clip.mp4", counting_images(1) * 20)


def touched(kind: str) -> str:
    """What the table says to touch for `kind`."""
    (line,) = re.findall(rf"^\| {kind} \| (.*) \|$", TABLE, re.MULTILINE)
    return line


def test_every_entry_and_file_of_the_table_is_there():
    for path in re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", TABLE):
        assert (ROOT / path).exists(), path
    registries = re.findall(r"in `([A-Z_]+)`(?: or `([A-Z_]+)`)?, `([\w/]+\.py)`", TABLE)
    assert len(registries) >= 8
    for one, other, path in registries:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert all(re.search(rf"^{name}\b.*= \{{", text, re.MULTILINE) for name in (one, other) if name), (one, path)


def test_a_backbone_a_layout_and_an_engine_make_features(tmp_path, monkeypatch, capsys):
    for kind in ("a new backbone, or other taps", "a new data set", "a faster way to run a backbone"):
        assert "entry" in touched(kind)

    def read_flat(found: Found):
        return make_dataset(
            found, [make_record(found.root, clip, int("f" in clip.stem), clip.name) for clip in found.clips]
        )

    def bright(backbone: str, weights: str, batch: int, precision: str):
        assert (backbone, weights, precision) == ("tiny", "random", "float32")
        return lambda crops, _: np.repeat(crops.mean(axis=(1, 2, 3))[:, None], FEATURES, axis=1)

    monkeypatch.setitem(BACKBONES, "tiny", Backbone(MOBILENETV2, TAPS, FEATURES))
    monkeypatch.setitem(READERS, "flat", Reader("r1.mp4", (("r1.mp4",),), read_flat))
    monkeypatch.setitem(ENGINES, "bright", bright)
    data = tmp_path / "set"
    data.mkdir()
    for name in ("r1", "f1"):
        write_clip(data / f"{name}.mp4", counting_images(14))
    assert read_dataset(data).records  # recognised
    words = [
        "--layout=flat",
        "--backbone=tiny",
        "--engine=bright",
        "--weights=random",
        "--detector=none",
        "--workers=1",
    ]
    assert dispatch(["features", f"--data={data}", f"--out={tmp_path / 'out'}", *words]) == 0
    contents = load_store(open_store(Path(capsys.readouterr().out.splitlines()[-1])))
    assert contents.folders[0].name.startswith("features-tiny-")
    assert contents.arrays.shape == (2, 12, FEATURES)
    assert contents.arrays.max() > contents.arrays.min()
    # The network itself, by the engine that is there for all.
    crops = np.random.default_rng(0).integers(0, 256, (12, 160, 160, 3), np.uint8)
    found = make_engine("tiny", "random", name="keras").features(crops, np.zeros((12, 4), np.uint8))
    assert found.shape == (12, FEATURES)


class Corner:
    """Sees a face in the upper left corner of any picture."""

    def find(self, image: np.ndarray) -> np.ndarray:
        return np.array([[2, 2, 40, 40]], np.int32)

    def find_harder(self, image: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        return self.find(image)


def test_a_face_detector_makes_crops(clip, monkeypatch):
    assert "entry" in touched("a new face detector")
    with pytest.raises(UserError, match="corner is no face detector of this version; it has yunet, haar, none"):
        make_face_detector("corner")
    monkeypatch.setitem(FACE_DETECTORS, "corner", KnownDetector(Corner))
    config = parse_flags("p", "", ExtractConfig, ["--data=x", "--detector=corner", "--weights=random"])
    assert parse_profile(canonical_json(config.profile), "it") == config.profile
    found = crop_clip(clip, config.crop_profile)
    assert found.seen.status[0] == FrameStatus.FACE
    assert found.seen.boxes[0].max() < 100
    assert face_detector_hash("corner") == ""


def test_a_split_divides_and_is_a_flag(monkeypatch):
    assert "entry" in touched("a new split")
    monkeypatch.setitem(SPLITS, "halves", lambda records, _: (["train", "test"] * (len(records) // 2), ["By turns."]))
    config = parse_flags("p", "", FitConfig, ["--split=halves", "--val=0"])
    done = split(pairs(), config.split_config)
    assert (done.kind, done.parts[:2], done.notes[0]) == ("halves", ["train", "test"], "By turns.")
    assert config.split_config == SplitConfig("halves", val=0.0)


def test_an_export_format_is_written_described_and_judges(clip, tmp_path, monkeypatch):
    import keras

    assert "entry" in touched("a new export format, or a way to run one")

    def write(network: keras.Model, path: Path, _: str) -> None:
        path.write_text(str(float(network.get_weights()[-1][0])))

    def read(path: Path):
        level = float(path.read_text())
        return lambda inputs: np.full((len(inputs["mask"]), 1), level)

    monkeypatch.setitem(FORMATS, "plain", Format(".txt", write, read, "numpy"))
    assert parse_flags("p", "", ExportConfig, ["--format=plain"]).format == "plain"
    assert parse_flags("p", "", DetectConfig, ["--engine=plain", "x.mp4"]).engine == "plain"
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(0.75))]  # pyright: ignore[reportArgumentType]
    )
    profile = CropProfile(detector="none")
    file = write_network(network, tmp_path, "detector", "plain")
    values = {"run": "run", "format": "plain", "temperature": None, "detector_file": None}
    values |= {"profile": dataclasses.asdict(profile), "fingerprint": fingerprint(profile)}
    values |= {"networks": {"detector": {"file": file.name}}}
    (tmp_path / CONTRACT).write_text(json.dumps(values))
    assert open_detector(tmp_path, engine="plain").judge_clip(clip).probability == pytest.approx(0.75)


def test_a_metric_is_on_the_page_in_the_numbers_and_at_the_terminal(tmp_path, monkeypatch, capsys):
    assert "entry" in touched("a new metric")
    monkeypatch.setitem(SCORE_METRICS, "gap", Metric("gap of means", lambda of: of.mean(of.probabilities), "how far"))
    monkeypatch.setitem(
        CALL_METRICS, "called", Metric("called fake", lambda of: of.called_fake / (of.reals + of.fakes))
    )
    run = write_run(tmp_path / "runs" / "x")
    assert dispatch(["eval", f"--run={run}", "--resamples=20"]) == 0
    printed, page = capsys.readouterr().out, (run / "report" / "report.html").read_text(encoding="utf-8")
    values = json.loads((run / "report" / "metrics.json").read_text())["parts"]["test"]["head"]
    assert {"value", "low", "high"} <= values["scores"]["gap"].keys()
    called = values["decisions"]["0.5"]["measures"]["called"]
    assert called["low"] < called["value"] < called["high"]
    for title in ("gap of means", "called fake"):
        assert f">{title}<" in page
        assert title in (run / "report" / "tables" / "measures.csv").read_text()
        assert re.search(rf"^{title}.*0\.\d", printed, re.MULTILINE)
    assert "gap of means: how far." in page


@dataclasses.dataclass(frozen=True)
class GreetConfig:
    """Whom to greet."""

    who: str = "you"


def greet(config: GreetConfig) -> str:
    return f"Hello, {config.who}."


ENTRY = '    "greet": Verb("say hello", door="train greet", stage="x:y", config="x:Y", takes="WHO=you"),\n'


def test_a_verb_is_listed_runs_and_is_a_target_of_make(tmp_path, monkeypatch, capsys):
    assert "entry" in touched("a new verb")
    here = "tests.test_contributing"
    verb = Verb("say hello", door="train greet", stage=f"{here}:greet", config=f"{here}:GreetConfig", takes="WHO=you")
    monkeypatch.setitem(VERBS, "greet", verb)
    dispatch(["--help"])
    assert "  greet       say hello\n" in capsys.readouterr().out
    for call in (lambda words: dispatch(["greet", *words]), lambda words: door("train", ["greet", *words])):
        assert call(["--who", "Ada"]) == 0
        assert capsys.readouterr().out == "Hello, Ada.\n"
    # The Makefile reads the table's text.
    (tmp_path / "base").mkdir()
    for name in ("Makefile", "base/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    text = Path(verbs.__file__).read_text(encoding="utf-8")
    (tmp_path / "base" / "verbs.py").write_text(text.replace("VERBS = {\n", "VERBS = {\n" + ENTRY))
    words = ["make", f"PYTHON={sys.executable}"]
    listed = subprocess.run([*words, "help"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "  make greet       [WHO=you]: say hello\n" in listed
    plan = subprocess.run([*words, "-n", "greet"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "reelcheck.under_make greet" in plan.stdout or "requirements.lock" in plan.stderr


@pytest.mark.parametrize("name", VERBS)
def test_what_a_verb_names_is_there(name):
    verb = VERBS[name]
    for place in filter(None, (verb.stage, verb.config, verb.after)):
        assert callable(load(place))
    if verb.config:
        settings = {field.name for field in dataclasses.fields(load(verb.config))}
        typed = re.findall(r"(\w+)=", f"{verb.needs} {verb.takes}")
        own = {"compare": {"a", "b", "c"}}.get(name, set())
        assert {word.lower() for word in typed} <= settings | own
        assert not verb.bare or verb.bare in settings
