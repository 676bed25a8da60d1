"""Face detectors: a small copy is searched and mapped back; harder searches find more; YuNet loses nobody."""

import hashlib
import math
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest

from base.errors import UserError
from cache.schema import LEAST_COVERAGE
from extract.clips.face_detectors import NoDetector, face_detector_hash, make_face_detector
from extract.clips.haar import CASCADE_FILE, HaarDetector
from extract.clips.tracks import find_people
from extract.clips.yunet import YUNET_FILE, YuNetDetector
from extract.drawn.clip import Capture, Scene, draw_frames
from extract.drawn.look import make_look
from extract.video.decode import sample_frames
from tests.clips import CELEB_DF_MINI

IMAGE = np.zeros((240, 320, 3), np.uint8)
DETECTORS = (HaarDetector(), YuNetDetector())


def test_haar_searches_a_small_copy_and_maps_back(monkeypatch):
    asked = []

    def find(grey, *numbers, **options):
        asked.append((grey.shape, *numbers, options["minSize"]))
        return np.array([[10, 20, 60, 60]]) if len(asked) > 5 else ()

    detector = HaarDetector()
    monkeypatch.setattr(detector, "_cascade", SimpleNamespace(detectMultiScale=find))
    large = np.zeros((1080, 1920, 3), np.uint8)
    assert detector.find(large).tolist() == [[30, 60, 180, 180]]
    # Large faces at every second size; then all of them.
    assert [shape for shape, *_ in asked] == [(121, 214), (84, 149), (58, 103), (40, 72), (28, 50), (360, 640)]
    assert asked[-1][1:] == (1.2, 5, (24, 24))


def test_searching_harder_looks_around_the_box_of_the_small_copy(monkeypatch):
    asked = []

    def find(grey, **options):
        asked.append((grey.shape, options["minSize"]))
        return np.array([[10, 20, 100, 100]])

    detector = HaarDetector()
    monkeypatch.setattr(detector, "_cascade", SimpleNamespace(detectMultiScale=find))
    found = detector.find_harder(np.zeros((1080, 1920, 3), np.uint8), np.array([900, 450, 300, 300]))
    # The window begins 0.75 sides left of and above the box, 75 pixels of the small copy.
    assert found.tolist() == [[(300 - 75 + 10) * 3, (150 - 75 + 20) * 3, 300, 300]]
    assert asked == [((250, 250), (62, 62))]


@pytest.mark.parametrize("height", [120, 240, 480])
def test_small_and_large_faces_are_found_as_by_one_search_of_all_sizes(height):
    person = next(draw_frames(Scene(make_look(0, 0), (0,)), Capture(frames=1)))
    image = np.full((480, 640, 3), 120, np.uint8)
    image[:height, : height * 4 // 3] = cv2.resize(person, (height * 4 // 3, height), interpolation=cv2.INTER_AREA)
    found = HaarDetector().find(image)
    cascade = cv2.CascadeClassifier(str(CASCADE_FILE))
    everything = cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1.2, 5, minSize=(24, 24))
    assert len(found) == len(everything) == 1
    assert _overlap(found[0], everything[0]) >= 0.9


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_window_too_small_for_a_face_finds_nothing(detector):
    for box in ([0, 0, 319, 239], [0, 0, 3, 3], [310, 230, 5, 5], None):
        assert detector.find_harder(IMAGE, None if box is None else np.array(box)).shape == (0, 4)


def _overlap(one, other) -> float:
    """Intersection over union of two boxes."""
    corner, opposite = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = np.prod(np.maximum(opposite - corner, 0))
    return float(shared / (np.prod(one[2:]) + np.prod(other[2:]) - shared))


def test_without_a_detector_the_whole_frame_is_the_face():
    assert NoDetector().find_harder(IMAGE, np.array([1, 1, 2, 2])).tolist() == [[0, 0, 320, 240]]


def test_the_cascade_ships_with_opencv():
    assert CASCADE_FILE.is_file()
    assert len(face_detector_hash("haar")) == 16
    assert face_detector_hash("none") == ""


def test_yunet_searches_a_small_copy_and_maps_back(tmp_path):
    detector = make_face_detector("yunet", write_yunet(tmp_path / "yunet.onnx"))
    image = np.zeros((960, 1280, 3), np.uint8)
    # One bright cell of 8 x 8 pixels in the copy, in row 10 and column 20; the network below takes it for a face.
    image[320:352, 640:672] = 255
    assert detector.find(image).tolist() == [[(164 - 16) * 4, (84 - 16) * 4, 128, 128]]
    assert detector.find(IMAGE).shape == (0, 4)
    assert len(face_detector_hash("yunet", tmp_path / "yunet.onnx")) == 16


def test_yunet_searches_harder_in_larger_copies_and_around_a_box(tmp_path):
    detector = make_face_detector("yunet", write_yunet(tmp_path / "yunet.onnx"))
    image = np.zeros((960, 1280, 3), np.uint8)
    image[320:336, 640:656] = 255  # a cell in the copy of 640
    expected = [[(324 - 16) * 2, (164 - 16) * 2, 64, 64]]
    assert len(detector.find(image)) == 0
    assert detector.find_harder(image, None).tolist() == expected
    # A window of four sides around the box, in which a side is 64 pixels.
    (box,) = detector.find_harder(image, np.array([640, 320, 128, 128]))
    assert _overlap(box, np.array([616, 296, 64, 64])) > 0.5
    assert detector.find_harder(IMAGE, None).shape == (0, 4)


def test_yunet_comes_with_the_package():
    content = YUNET_FILE.read_bytes()
    assert hashlib.sha1(content).hexdigest() == "ef67e5024c8b12fc1b4837796dd86b4727adec67"  # as OpenCV registers it
    assert "Shiqi Yu" in (YUNET_FILE.parent / "LICENSE").read_text()
    assert face_detector_hash("yunet") == hashlib.sha256(content).hexdigest()[:16]
    person = next(draw_frames(Scene(make_look(0, 0), (0,)), Capture(frames=1)))
    assert len(make_face_detector("yunet").find(person)) == 1


@pytest.mark.skipif(not CELEB_DF_MINI.is_dir(), reason="celeb-df-mini is not here")
@pytest.mark.parametrize("clip", ["YouTube-real/00002.mp4", "Celeb-real/id1_0000.mp4"])
def test_yunet_finds_tilted_heads_and_loses_nobody_that_haar_found(clip):
    """Haar finds a face in 2 of 12 frames of the first clip and in 10 of the second."""
    track = find_people(sample_frames(CELEB_DF_MINI / clip).images, YuNetDetector()).judged[0].track
    assert all(box is not None for box in track)


@pytest.mark.slow
@pytest.mark.skipif(not CELEB_DF_MINI.is_dir(), reason="celeb-df-mini is not here")
def test_no_clip_that_haar_covers_is_lost_by_yunet():
    for clip in sorted(CELEB_DF_MINI.rglob("*.mp4")):
        images = sample_frames(clip).images
        coverage = [
            np.mean([box is not None for box in find_people(images, detector).judged[0].track])
            for detector in DETECTORS
        ]
        assert coverage[1] >= LEAST_COVERAGE or coverage[0] < LEAST_COVERAGE, clip


def test_yunet_sees_the_colours_in_the_order_it_was_trained_with(tmp_path):
    detector = make_face_detector("yunet", write_yunet(tmp_path / "yunet.onnx", channels=(3.0, 0.0, 0.0)))
    image = np.zeros((480, 640, 3), np.uint8)
    image[160:176, 320:336, 2] = 255
    assert len(detector.find(image)) == 1
    assert len(detector.find(image[..., ::-1])) == 0


def write_yunet(path: Path, channels: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Path:
    """Writes a network with the inputs and outputs of YuNet that takes each bright cell for a face four cells wide.

    `channels` weighs the channels in the order in which they come in.
    """
    nodes, outputs, constants = [], [], []
    for stride in (8, 16, 32):
        bright = np.repeat(np.array(channels)[None, :, None, None], stride, 2).repeat(stride, 3) / (3 * 255 * stride**2)
        if stride != 8:
            bright *= 0
        still = np.zeros((1, 3, stride, stride))
        for name, kernel, bias in (
            ("cls", bright, [0.0]),
            ("obj", bright, [0.0]),
            ("bbox", still.repeat(4, 0), [0.5, 0.5, math.log(4), math.log(4)]),
            ("kps", still.repeat(10, 0), [0.0] * 10),
        ):
            output = f"{name}_{stride}"
            values: dict[str, np.ndarray] = {"kernel": kernel.astype(np.float32), "bias": np.array(bias, np.float32)}
            values["shape"] = np.array([1, -1, len(bias)], np.int64)
            constants += [onnx.numpy_helper.from_array(value, f"{kind}_{output}") for kind, value in values.items()]
            make = onnx.helper.make_node
            nodes += [
                make("Conv", ["input", f"kernel_{output}", f"bias_{output}"], [f"map_{output}"], strides=[stride] * 2),
                make("Transpose", [f"map_{output}"], [f"last_{output}"], perm=[0, 2, 3, 1]),
                make("Reshape", [f"last_{output}", f"shape_{output}"], [output]),
            ]
            outputs.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [1, None, len(bias)]))
    source = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 640, 640])
    graph = onnx.helper.make_graph(nodes, "yunet", [source], outputs, constants)
    opset = onnx.helper.make_opsetid("", 13)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def test_a_wrong_file_for_yunet_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone\.onnx, which is not a file; give another one as --detector-file"):
        make_face_detector("yunet", tmp_path / r"gone.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(UserError, match=r"text\.onnx is not a face detector that OpenCV can read"):
        make_face_detector("yunet", tmp_path / "text.onnx")


def test_yunet_says_the_same_of_a_narrow_picture_each_time():
    """Of pictures with a side up to 32, its network gave boxes of leftover memory: nowhere, or without a size."""
    detector, random = make_face_detector("yunet", None), np.random.default_rng(0)
    for height, width in [(1, 200), (8, 200), (33, 1000), (64, 1000), (1000, 33), (16, 16), (32, 32)] * 4:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        for find in (detector.find, lambda image: detector.find_harder(image, None)):
            boxes = find(image)
            assert (boxes[:, 2:] > 0).all()
            assert (np.abs(boxes) <= 2 * max(height, width)).all()
            np.testing.assert_array_equal(find(image), boxes)
