"""Exports say what the run says, to 1e-4, of every head and backbone; what is damaged is refused by name."""

import dataclasses
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from base.errors import UserError
from benchmarks.measure import peak_memory
from cache.profile import fingerprint, needs_regions, parse_profile
from cache.schema import FRAMES
from detect.detector.contract import CONTRACT
from detect.detector.converted import write_network
from detect.detector.formats import FORMATS, engines, load_network
from detect.detector.load import as_network, build_networks, open_detector
from detect.export import formats, parity, stage
from detect.export.parity import TOLERANCE
from detect.export.stage import ExportConfig, export
from evaluate.results.read import read_results
from extract.backbones.networks import BACKBONES, build_backbone
from extract.steps import features_of
from tests import ROOT
from tests.crops import mask_with, write_source
from tests.short import SHORT
from tests.stores import clip_row
from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
from train.end_to_end.finetune import join
from train.heads.architectures import HEADS, HeadConfig, build_head
from train.runs.ensemble import EnsembleConfig, EnsembleKind, ensemble, mix, mixed
from train.runs.recipe import Joined

SIZE = 24
MOST_MEMORY = 6e9


@pytest.fixture(scope="module")
def run(short_profile, tmp_path_factory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"), profile=short_profile)


@pytest.fixture(scope="module")
def exported(run) -> Path:
    """An ONNX export, for tests that leave it as it is."""
    return export(ExportConfig(run=run, format="onnx"))


def randomised(network):
    """Gives every weight of `network` a value of its own: a head that has learnt nothing hides mistakes."""
    random = np.random.default_rng(0)
    for weight in network.weights:
        spread = 2 / np.sqrt(weight.shape[-2]) if len(weight.shape) > 1 else 0.3
        value = random.normal(0, spread, weight.shape)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.name else value)
    return network


def assert_same(network, path: Path, format: str, inputs: list[dict]) -> None:
    own, loaded = as_network(network), load_network(path, format)
    for given in inputs:
        expected = own(given)
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.abs(loaded(given) - expected).max() / scale <= TOLERANCE


def clips_of_features(size: int) -> list[dict]:
    random = np.random.default_rng(1)
    return [
        {"features": random.normal(0, 1, (1, FRAMES, size)).astype(np.float32), "mask": mask_with(frames)[None]}
        for frames in (12, 12, 5, 1)
    ]


ALL_HEADS = [*(HeadConfig(name, 8, 0.3, 8) for name in HEADS), HeadConfig("gru", 8, 0.3, 8, True)]
QUICK = ("lstm", "attention")


@pytest.mark.parametrize(("head", "format"), [
    pytest.param(head, format, marks=() if head.head in QUICK and format == "onnx" else pytest.mark.slow)
    for head in ALL_HEADS for format in ("onnx", "litert")
])  # fmt: skip
def test_every_head_is_the_same_in(head, format, tmp_path):
    network = randomised(build_head(head, SIZE))
    inputs = clips_of_features(SIZE)
    said = [float(as_network(network)(given)[0, 0]) for given in inputs]
    assert np.ptp(said) > 0.01  # or nothing could be told apart
    path = write_network(network, tmp_path, "head", format)
    assert_same(network, path, format, inputs)


@pytest.mark.slow
@pytest.mark.parametrize("format", engines()[1:])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_the_same_in(backbone, format, tmp_path):
    network = build_backbone(backbone, "random")
    crops = {"crops": np.random.default_rng(0).integers(0, 256, (4, 160, 160, 3), np.uint8)}
    if needs_regions(BACKBONES[backbone].taps):
        crops["regions"] = np.array([[30, 30, 130, 130], [0, 0, 160, 160], [3, 0, 99, 151], [0, 0, 0, 0]], np.uint8)
    as_network(network)(crops)
    path = write_network(network, tmp_path, "backbone", format)
    assert_same(network, path, format, [crops])


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "litert", "openvino"])
def test_a_resnet50_is_exported_in_little_memory(format, tmp_path):
    """In a process of its own, whose memory nobody else's is."""
    program = f"""
import sys
from pathlib import Path
from typing import get_args
import numpy as np
from detect.detector.converted import write_network
from detect.detector.load import as_network
from extract.backbones.networks import build_backbone
from train.end_to_end.finetune import join
from train.heads.architectures import HeadConfig, build_head
network = join(build_backbone("resnet50", "random"), build_head(HeadConfig(), 2048))
zeros = {{"crops": np.zeros((1, 12, 160, 160, 3), np.uint8), "regions": np.zeros((1, 12, 4), np.uint8)}}
as_network(network)({{**zeros, "mask": np.ones((1, 12), bool)}})
write_network(network, Path(sys.argv[1]), "detector", {format!r})
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    assert peak_memory(resource.RUSAGE_CHILDREN) < MOST_MEMORY


def test_the_contract_says_what_is_there_and_how_near_it_comes(exported, run):
    said = json.loads((exported / CONTRACT).read_text())
    assert exported == run / "export" / "onnx"
    assert set(said["networks"]) == {"detector", "backbone", "head"}
    for name, entry in said["networks"].items():
        assert (exported / entry["file"]).is_file()
        assert 0 <= entry["largest_difference"] <= TOLERANCE, name
    assert said["checked_on"].startswith("kept crops")
    assert said["classes"] == {"real": 0, "fake": 1}
    assert "twelve equal spans" in said["preprocessing"]["sampling"]
    assert "0.3 of it on each edge" in said["preprocessing"]["crop"]
    assert said["temperature"] is None  # too few validation clips
    assert said["unsure"]["threshold"] == 0.5
    assert said["about_run"]["names"] == [run.name]
    assert open_detector(exported).about == open_detector(run).about
    assert "random weights" in open_detector(exported).about.warning
    assert [tap["region"] for tap in said["features"]["taps"]] == ["face", "face", "face-surround"]
    assert "mean over the face minus mean over its surround of block_3_expand_relu" in " ".join(
        said["features"]["in_words"]
    )
    assert said["networks"]["detector"]["inputs"]["regions"].startswith("uint8 (B, 12, 4)")
    assert said["networks"]["backbone"]["inputs"]["regions"].startswith("uint8 (B, 4)")
    assert "face's box in pixels of the resized crop" in said["preprocessing"]["regions"]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["h5", "keras", "savedmodel"])
def test_what_is_for_tensorflow_loads_without_us(run, tmp_path, format):
    folder = export(ExportConfig(run=run, format=format, out=tmp_path / "out"))
    entries = json.loads((folder / CONTRACT).read_text())["networks"]
    assert all(entry["largest_difference"] <= TOLERANCE for entry in entries.values())
    with pytest.raises(UserError, match=f"is in the format {format}, which detect does not run"):
        open_detector(folder)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["h5", "keras"])
def test_plain_keras_loads_the_file_where_we_are_not(run, tmp_path, format):
    folder = export(ExportConfig(run=run, format=format, out=tmp_path / "out"))
    program = "import sys, keras; print(keras.models.load_model(sys.argv[1]).input['mask'].shape)"
    command = [sys.executable, "-c", program, str(folder / f"detector{FORMATS[format].suffix}")]
    found = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout == "(None, 12)\n"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_fewer_bits_are_smaller_and_their_cost_is_measured(tmp_path, precision):
    run = write_source(tmp_path)
    folder = export(ExportConfig(run=run, format="litert", precision=precision, out=tmp_path / "out"))
    said = json.loads((folder / CONTRACT).read_text())
    assert said["cost"]["clips"] > 0
    assert 0 <= said["cost"]["reduced"]["accuracy"] <= 1
    assert said["cost"]["mean_difference"] < 0.02
    assert said["networks"]["backbone"]["largest_difference"] < 0.1  # relative to the largest feature
    limit = {"float16": 6e6, "int8": 3.5e6}[precision]
    assert sum(path.stat().st_size for path in folder.glob("backbone*")) < limit
    assert open_detector(folder).engine is not None


@pytest.mark.slow
def test_a_network_over_crops_is_exported_as_one(run, tmp_path):
    config = Cnn3dConfig(run=run, runs=tmp_path, width=4, warmup_epochs=0, epochs=1)
    folder = export(ExportConfig(run=train_cnn3d(config), format="onnx"))
    assert set(json.loads((folder / CONTRACT).read_text())["networks"]) == {"detector"}
    detector = open_detector(folder)
    crops = np.random.default_rng(0).integers(0, 256, (FRAMES, 160, 160, 3), np.uint8)
    (expected,) = as_network(build_networks(folder.parents[1])["detector"])(
        {"crops": crops[None], "mask": mask_with(12)[None]}
    )
    assert detector.probability(clip_row(crops)) == pytest.approx(float(expected[0]), abs=TOLERANCE)


@pytest.mark.slow
def test_an_export_that_is_off_is_not_written(run, exported, tmp_path, monkeypatch):
    true = formats.load_network

    def off(path, format):
        network = true(path, format)
        return lambda inputs: network(inputs) + 0.01

    monkeypatch.setattr(formats, "load_network", off)
    monkeypatch.setattr(stage, "write_network", lambda _, __, name, *___: exported / f"{name}.onnx")
    with pytest.raises(
        UserError, match=r"the onnx export gives other numbers .*0\.0001 is allowed\), so nothing was written"
    ):
        export(ExportConfig(run=run, format="onnx", out=tmp_path / "off"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ours", "theirs"), [(np.nan, np.nan), (np.inf, np.inf), (np.nan, 0.5), (0.5, np.nan), (0.5, -np.inf)]
)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_what_is_no_number_is_within_no_tolerance(monkeypatch, ours, theirs, precision):
    monkeypatch.setattr(parity, "read_network", lambda *_: lambda inputs: np.array([[inputs["theirs"]]]))
    pairs = [({"theirs": 0.5}, np.array([[0.5]])), ({"theirs": theirs}, np.array([[ours]]))]
    differences = {"head": parity.difference(Path(), "litert", pairs)}
    with pytest.raises(UserError, match=r"gives other numbers than the run \(head by nan; "):
        stage._require_parity(ExportConfig(format="litert", precision=precision), differences)
    stage._require_parity(ExportConfig(format="litert"), {"head": parity.difference(Path(), "litert", pairs[:1])})


def test_a_weight_that_is_not_finite_is_named_though_the_probability_is(run, tmp_path, monkeypatch):
    head = build_head(HeadConfig("mean", 4, 0.0, 4), SIZE)
    bias = head.weights[-1]
    bias.assign(np.full(bias.shape, np.inf))
    monkeypatch.setattr(stage, "build_networks", lambda *_: {"head": head})
    with pytest.raises(UserError, match=f"the weight {bias.path} of the head of .*source has numbers that are not fin"):
        export(ExportConfig(run=run, out=tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copied(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copied"))


def test_an_export_is_run_wherever_it_went(copied, run):
    assert open_detector(copied).profile == open_detector(run, engine="onnx").profile


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda said: said.pop("profile"), "does not describe an exported detector"),
        (lambda said: said["networks"].clear(), "names neither a detector nor"),
        (lambda said: said["networks"]["head"].update(file="../onnx/head.onnx"), "lacks '../onnx/head.onnx'"),
        (lambda said: said["networks"]["head"].update(file="absent.onnx"), r"lacks 'absent\.onnx'"),
        (lambda said: said.update(temperature={"value": "hot", "clips": 3}), "does not describe"),
        (lambda said: said.update(networks=[]), "does not describe"),
    ],
)
def test_a_contract_that_does_not_hold_is_refused(copied, change, what):
    said = json.loads((copied / CONTRACT).read_text())
    change(said)
    (copied / CONTRACT).write_text(json.dumps(said))
    with pytest.raises(UserError, match=what):
        open_detector(copied)


@pytest.mark.parametrize("content", ["", "[]", "nonsense", "[" * 100_000])
def test_a_contract_that_is_none_is_refused(copied, content):
    (copied / CONTRACT).write_text(content)
    with pytest.raises(UserError, match="does not describe an exported detector"):
        open_detector(copied)


@pytest.mark.parametrize("format", engines()[1:])
def test_a_file_that_holds_no_network_is_refused(tmp_path, format):
    path = tmp_path / f"backbone{FORMATS[format].suffix}"
    path.write_bytes(b"no network")
    with pytest.raises(UserError, match="cannot be loaded as"):
        load_network(path, format)


def test_what_cannot_be_exported_is_told(run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="for litert alone"):
        export(ExportConfig(run=run, format="onnx", precision="int8"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds something that is not an export"):
        export(ExportConfig(run=run, out=tmp_path / "mine"))
    with pytest.raises(UserError, match="has its weights inside"):
        open_detector(run, weights="random", engine="onnx")
    other = Path(shutil.copytree(run, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    config["profile"]["weights"] = "random-other"
    config["fingerprint"] = fingerprint(parse_profile(json.dumps(config["profile"]), ""))
    (other / "config.json").write_text(json.dumps(config))
    joined = ensemble(EnsembleConfig((run, other), runs=tmp_path / "runs"))
    with pytest.raises(UserError, match="do not all judge the same features, so it has no one network"):
        export(ExportConfig(run=joined))


@pytest.mark.slow
def test_an_ensemble_is_exported_as_one_detector(run, tmp_path):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    for kind in ("average", "stacked"):
        joined = ensemble(EnsembleConfig((run, other), runs=tmp_path / "runs", kind=kind))
        folder = export(ExportConfig(run=joined, format="onnx"))
        contract = json.loads((folder / CONTRACT).read_text())
        assert set(contract["networks"]) == {"detector", "backbone", "head"}
        assert max(network["largest_difference"] for network in contract["networks"].values()) < TOLERANCE
        own, exported = (open_detector(joined, engine=engine) for engine in ("keras", "onnx"))
        crops = np.random.default_rng(0).integers(0, 256, (1, FRAMES, 160, 160, 3), np.uint8)
        regions, mask = np.full((1, FRAMES, 4), [30, 30, 130, 130], np.uint8), np.ones((1, FRAMES), bool)
        assert exported.engine
        found = features_of(crops, regions, mask, exported.engine)
        assert exported.probabilities(found, regions, mask) == pytest.approx(
            own.probabilities(crops, regions, mask), abs=TOLERANCE
        )
    with pytest.raises(UserError, match=r"stacked on logits, for which \.h5 has no layer"):
        export(ExportConfig(run=joined, format="h5"))


@pytest.mark.parametrize("kind", get_args(EnsembleKind))
def test_an_ensemble_is_mixed_as_its_runs_are(kind):
    heads = [build_head(HeadConfig("mean", 8, 0.0, 8, start="nothing"), SIZE) for _ in range(3)]
    mixture = Joined(kind, [0.5, 0.2, 0.3], 0.1 if kind == "stacked" else 0.0)
    random = np.random.default_rng(0)
    inputs = {"features": random.random((4, FRAMES, SIZE), np.float32), "mask": np.ones((4, FRAMES), bool)}
    single = np.array([as_network(head)(inputs)[:, 0] for head in heads])
    found = as_network(mix(heads, mixture))(inputs)
    assert found.shape == (4, 1)
    np.testing.assert_allclose(found[:, 0], mixed(mixture, single), atol=1e-6)


def test_without_the_converters_it_says_what_to_install(run, tmp_path, monkeypatch):
    def lacks(*_):
        raise ImportError("This requires the tf2onnx module.")

    monkeypatch.setitem(FORMATS, "onnx", dataclasses.replace(FORMATS["onnx"], write=lacks))
    monkeypatch.setattr(stage, "build_networks", lambda *_: {"head": build_head(HeadConfig("mean", 4, 0.0, 4), SIZE)})
    monkeypatch.setattr(stage, "own_outputs", lambda *_: {})
    with pytest.raises(UserError, match=r"not written as onnx without a package that is missing .*extra export"):
        export(ExportConfig(run=run, format="onnx", out=tmp_path / "out"))


def test_a_converter_that_is_missing_is_told_before_keras_is_started(run, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "start_keras", lambda *_: pytest.fail("it started Keras first"))
    monkeypatch.setitem(FORMATS, "onnx", dataclasses.replace(FORMATS["onnx"], modules=("no_such_module",)))
    with pytest.raises(UserError, match=r"not written as onnx without .* \(No module named 'no_such_module'\)"):
        export(ExportConfig(run=run, format="onnx", out=tmp_path / "out"))


def test_without_kept_crops_noise_is_checked(run):
    network = join(build_backbone("short", "random"), build_head(HeadConfig("mean", 8, 0.0, 8), SHORT.features))
    checks = parity.own_outputs({"detector": as_network(network)}, parity.noise(read_results(run)))
    assert [int(inputs["mask"].sum()) for inputs, _ in checks["detector"]] == [12, 12, 5]


def test_tensorflow_is_not_imported_by_an_exported_engine(exported, tmp_path):
    from tests.clips import counting_images, write_clip

    clip = write_clip(tmp_path / "clip.mp4", counting_images(20))
    program = """
import sys
from detect.__main__ import main
status = main(sys.argv[1:])
loaded = {"tensorflow", "keras", "scipy", "sklearn", "matplotlib"} & sys.modules.keys()
assert not loaded, loaded
sys.exit(status)
"""
    command = [sys.executable, "-c", program, str(clip), "--run", str(exported.parents[1]), "--engine", "onnx"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("Do not rely on")
    assert found.stderr.count("\n") == 1
    assert found.stdout.splitlines()[-1].startswith("Undecided")


def test_the_api_judges_by_an_export_where_tensorflow_cannot_be_loaded(exported):
    program = """
import sys
import numpy as np
sys.modules |= {"tensorflow": None, "keras": None}
import reelcheck
detector = reelcheck.load_detector(sys.argv[1], engine="onnx")
assert reelcheck.judge(np.zeros((12, 64, 64, 3), np.uint8), detector).verdict == "Undecided"
"""
    subprocess.run([sys.executable, "-c", program, str(exported.parents[1])], cwd=ROOT, check=True)


def test_an_export_of_before_opens_and_says_what_it_knows(exported, run, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "older")
    contract = json.loads((folder / CONTRACT).read_text())
    few = {name: value for name, value in contract.items() if name not in ("about_run", "unsure")}
    for clips, fitted in ((12, False), (100, True)):
        (folder / CONTRACT).write_text(json.dumps(few | {"temperature": {"value": 2.0, "clips": clips}}))
        detector = open_detector(folder)
        assert detector.about.names == (run.name,)
        assert "random weights" in detector.about.warning
        assert detector.band(0.5).fitted == fitted
