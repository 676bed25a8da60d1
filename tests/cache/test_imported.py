"""Features of other programs: what is taken in as it is, what is refused, and that they never mix with ours."""

import numpy as np
import pytest

from base.errors import UserError
from cache.__main__ import main
from cache.contents import load
from cache.imported import import_features
from cache.profile import ForeignProfile, canonical_json, fingerprint, parse_profile
from cache.store import open_store
from cache.union import load_union
from tests.stores import pairs, write_features

COUNT, WIDTH = 8, 6


def arrays(**changes):
    random = np.random.default_rng(0)
    found = {
        "features": random.normal(size=(COUNT, 12, WIDTH)).astype(np.float32),
        "id": np.array([f"clips/{number}.mp4" for number in range(COUNT)]),
        "label": np.arange(COUNT) % 2,
        "target": np.array([f"person {number // 2}" for number in range(COUNT)]),
        "kind": np.array(["", "SimSwap"] * (COUNT // 2)),
    }
    return {name: values for name, values in (found | changes).items() if values is not None}


def write(path, **changes):
    np.savez(path, **arrays(**changes))
    return path


def test_what_was_given_is_what_is_loaded(tmp_path, capsys):
    file = write(tmp_path / "mine.npz")
    assert main(["import", str(file), "--profile", "clip-vit.b32", "--out", str(tmp_path / "data")]) == 0
    folder = next((tmp_path / "data" / "mine").iterdir())
    assert capsys.readouterr().out.strip() == str(folder)
    assert folder.name.startswith("features-clip-vit.b32-")
    contents = load(open_store(folder))
    np.testing.assert_array_equal(contents.arrays, arrays()["features"].astype(np.float16))
    assert [record.id for record in contents.records] == arrays()["id"].tolist()
    assert contents.labels.tolist() == arrays()["label"].tolist()
    assert [record.kind for record in contents.records] == arrays()["kind"].tolist()
    assert contents.records[3].target == "person 1"
    assert contents.mask.all()
    assert contents.profile.made_by == "clip-vit.b32"
    assert contents.profile.size == WIDTH
    assert main(["info", str(folder)]) == main(["verify", str(folder)]) == 0


def test_a_clip_without_frames_is_one_frame(tmp_path):
    features = arrays()["features"][:, 0]
    contents = load(open_store(import_features(write(tmp_path / "a.npz", features=features), "net", None, tmp_path)))
    np.testing.assert_array_equal(contents.arrays[:, 0], features.astype(np.float16))
    assert contents.mask.sum(axis=1).tolist() == [1] * COUNT


def test_frames_that_are_padding_are_masked(tmp_path):
    mask = np.ones((COUNT, 12), bool)
    mask[2, 5:] = False
    features = arrays()["features"]
    features[2, 5:] = np.nan  # nobody looks at them
    file = write(tmp_path / "a.npz", features=features, mask=mask)
    contents = load(open_store(import_features(file, "net", "set", tmp_path)))
    np.testing.assert_array_equal(contents.mask, mask)


def test_the_same_file_again_is_there_already_and_another_is_another(tmp_path):
    one = import_features(write(tmp_path / "a.npz"), "net", None, tmp_path)
    assert import_features(tmp_path / "a.npz", "net", None, tmp_path) == one
    assert len(open_store(one).shards) == 1
    other = import_features(write(tmp_path / "b.npz", label=np.zeros(COUNT, int), kind=None), "net", "a", tmp_path)
    assert other != one


def test_they_never_mix_with_ours(tmp_path):
    foreign = import_features(write(tmp_path / "a.npz"), "mobilenetv2", None, tmp_path)
    ours = write_features(tmp_path, pairs()).folder
    with pytest.raises(UserError, match="never mix"):
        load_union([ours, foreign])


def test_data_sets_of_one_network_go_together_and_of_two_they_do_not(tmp_path):
    wide, reals, fakes = arrays()["features"], np.zeros(COUNT, int), np.ones(COUNT, int)

    def of(name: str, labels: np.ndarray, features: np.ndarray, network: str = "net"):
        file = write(tmp_path / f"{name}.npz", label=labels, kind=None, features=features)
        return import_features(file, network, None, tmp_path / "data")

    one = of("a", reals, wide)
    contents = load_union([one, of("b", fakes, wide)])
    assert contents.labels.tolist() == [0, 1] * COUNT
    assert {record.id.partition("/")[0] for record in contents.records} == {"a", "b"}
    with pytest.raises(UserError, match=r"was made with size=3 instead of size=6; features of two profiles never mix"):
        load_union([one, of("c", fakes, wide[..., :3])])
    with pytest.raises(UserError, match=r"was made with made_by=net.v2 instead of made_by=net; features of two"):
        load_union([one, of("d", fakes, wide, "net.v2")])


def test_a_profile_is_read_back(tmp_path):
    profile = ForeignProfile("net", 7, "a" * 64)
    assert parse_profile(canonical_json(profile), "here") == profile
    assert len(fingerprint(profile)) == 12
    with pytest.raises(UserError, match="no profile"):
        parse_profile('{"made_by": "net", "size": 7, "file": "short"}', "here")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"label": None}, r"has no array 'label', and needs features, id, label"),
        ({"features": np.zeros((COUNT, 11, WIDTH), np.float32)}, r"features float32 8 x 11 x 6; give floats, N x 12"),
        ({"features": np.zeros((COUNT, 12, WIDTH), np.int64)}, r"features int64"),
        ({"label": np.arange(COUNT)}, r"clip 2: .*label"),
        ({"label": np.zeros(COUNT - 1, int)}, r"has label int64 \(7,\); give 8 whole numbers"),
        ({"id": np.array(["a.mp4"] * COUNT)}, r"clip 1: 'a.mp4' is there twice"),
        ({"id": np.array(["../a.mp4"] * COUNT)}, r"clip 0: .* is not a path inside"),
        ({"kind": np.array(["SimSwap"] * COUNT)}, r"clip 0: 'clips/0.mp4' is real, and has a donor"),
        ({"part": np.array(["tset"] * COUNT)}, r"clip 0: .*part"),
        ({"features": np.full((COUNT, WIDTH), np.inf, np.float32)}, r"of 'clips/0.mp4' are not finite"),
        ({"features": np.full((COUNT, WIDTH), 1e5, np.float32)}, r"or above 65,504"),
        ({"mask": np.zeros((COUNT, 12), bool)}, r"a mask that is not bool"),
        ({"id": np.array([None] * COUNT, object)}, r"an array that cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, changes, what):
    file = write(tmp_path / "a.npz", **changes)
    with pytest.raises(UserError, match=what):
        import_features(file, "net", None, tmp_path / "data")
    assert not list((tmp_path / "data").rglob("shard-*"))


def test_a_name_that_is_none_and_a_file_that_is_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="is no profile; give a name of letters"):
        import_features(write(tmp_path / "a.npz"), "../net", None, tmp_path)
    with pytest.raises(UserError, match=r"b.npz is missing; write it with numpy.savez"):
        import_features(tmp_path / "b.npz", "net", None, tmp_path)
    np.savez_compressed(tmp_path / "c.npz", **arrays())
    with pytest.raises(UserError, match="packed"):
        import_features(tmp_path / "c.npz", "net", None, tmp_path)
