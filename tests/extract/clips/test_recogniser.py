"""SFace's place: a small network of the same inputs and outputs, since the true file is not here."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from base.errors import UserError
from cache.profile import CropProfile, FeatureProfile, fingerprint
from detect.detector.judge import Detector
from detect.detector.networks import CropScorer
from extract.clips.crops import crop_clip
from extract.clips.face_detectors import face_detector_hash
from extract.clips.recogniser import SFace, make_descriptor, recogniser_hash
from extract.clips.tracks import find_people
from extract.clips.yunet import YuNetDetector
from extract.drawn.clip import Capture, Scene, draw_frames
from extract.drawn.look import make_look
from tests.clips import EXACT, write_clip


def write_network(path: Path, weight: float, shift: float = 0.0, blocks: int = 8) -> Path:
    """Writes a network of SFace's interface: the brightness of `blocks` x `blocks` parts of the picture, of -1 to 1,
    times `weight`, plus `shift`, repeated until there are 128.

    With one block, who is brighter than the shift undoes is one person, and who is darker another.
    """
    side, count = 112 // blocks, blocks * blocks
    constants = {
        "scale": np.full((1, 3, side, side), weight / 127.5 / 3 / side**2, np.float32),
        "shift": np.array([shift - weight], np.float32),
        "shape": np.array([1, count], np.int64),
        "repeat": np.tile(np.eye(count, dtype=np.float32), 128 // count),
    }
    nodes = [
        helper.make_node("Conv", ["data", "scale"], ["blocks"], kernel_shape=[side, side], strides=[side, side]),
        helper.make_node("Reshape", ["blocks", "shape"], ["flat"]),
        helper.make_node("Add", ["flat", "shift"], ["shifted"]),
        helper.make_node("MatMul", ["shifted", "repeat"], ["fc1"]),
    ]
    ends = [("data", [1, 3, 112, 112]), ("fc1", [1, 128])]
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in ends)
    values = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "sface", inputs, outputs, values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@cache
def person(number: int) -> list[np.ndarray]:
    return list(draw_frames(Scene(make_look(0, number), (3,)), Capture(frames=24)))[::2]


def faces_of(images: list[np.ndarray], file: Path | None) -> int:
    """Returns in how many frames the main person is seen."""
    people = find_people(images, YuNetDetector(), descriptor=make_descriptor(file))
    return sum(box is not None for box in people.judged[0].track)


BRIGHT = {"weight": 1.0, "shift": 0.08, "blocks": 1}
"""By this network, person 0 is one person, person 1 and everyone in the dark another."""


def test_the_network_decides_who_is_who_across_a_cut(tmp_path):
    two, one = person(0)[:5] + person(1)[5:], person(0)[:5] + [image // 4 * 3 for image in person(0)[5:]]
    everyone = write_network(tmp_path / "everyone.onnx", 0.0, 1.0)
    brightness = write_network(tmp_path / "brightness.onnx", **BRIGHT)
    assert [faces_of(two, file) for file in (None, brightness, everyone)] == [7, 7, 12]
    assert [faces_of(one, file) for file in (None, brightness, everyone)] == [12, 7, 12]


@pytest.mark.parametrize("scale", [1, 3])
def test_a_face_is_aligned_by_its_landmarks_wherever_it_lies(tmp_path, scale):
    """The same face at another place of a larger picture has the same description."""
    sface, image = SFace(write_network(tmp_path / "sface.onnx", 1.0)), person(0)[0]
    (box,) = YuNetDetector().find(image)
    large = np.zeros((900, 1400, 3), np.uint8)
    large[100 : 100 + 240 * scale, 50 : 50 + 320 * scale] = image.repeat(scale, 0).repeat(scale, 1)
    moved = (box * scale + np.array([50, 100, 0, 0])).astype(np.int32)
    here, there = sface.describe(image, box), sface.describe(large, moved)
    assert here is not None
    assert there is not None
    assert here.shape == (128,)
    assert float(here @ there) > 0.95  # what surrounds the face differs
    np.testing.assert_array_equal(sface.describe(large, moved + np.array([9, -9, 0, 0], np.int32) * scale), there)
    assert sface.describe(large, np.array([1200, 10, 60, 60], np.int32)) is None


def test_the_file_is_part_of_the_profile_and_older_fingerprints_stay(tmp_path):
    file = write_network(tmp_path / "sface.onnx", 1.0)
    told = CropProfile(recogniser_file=recogniser_hash(file))
    assert fingerprint(told) != fingerprint(CropProfile())
    assert fingerprint(FeatureProfile(told)) != fingerprint(FeatureProfile(CropProfile()))
    assert fingerprint(CropProfile(version=4)) == "294654f6a255"
    assert fingerprint(FeatureProfile(CropProfile(version=4))) == "be6a70b778d6"


def test_a_run_asks_for_the_file_it_was_trained_with(tmp_path):
    file, other = write_network(tmp_path / "a.onnx", **BRIGHT), write_network(tmp_path / "b.onnx", 1.0)
    yunet = face_detector_hash("yunet")
    profile, scorer = (
        CropProfile(detector_file=yunet, recogniser_file=recogniser_hash(file)),
        CropScorer(lambda inputs: np.ones((len(inputs["mask"]), 1))),
    )
    for given in (None, other):
        with pytest.raises(
            UserError, match=r"told apart by the file .*; give the same ONNX file with --recogniser-file"
        ):
            Detector(profile, scorer, None, None, recogniser_file=given)
    assert Detector(profile, scorer, None, None, recogniser_file=file).recogniser_file == file
    clip = write_clip(tmp_path / "clip.mp4", person(0)[:5] + person(1)[5:], options=EXACT)
    assert crop_clip(clip, profile, recogniser_file=file).seen.coverage == pytest.approx(7 / 12)


def test_a_file_that_is_no_recogniser_is_named(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(UserError, match=r"text\.onnx is not a recogniser of faces that OpenCV can run"):
        make_descriptor(tmp_path / "text.onnx")
    with pytest.raises(UserError, match=r"absent\.onnx is not the file of a recogniser"):
        recogniser_hash(tmp_path / "absent.onnx")
