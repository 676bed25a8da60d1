"""How far clips lie from the training clips."""

from dataclasses import replace

import numpy as np
import pytest

from base.errors import UserError
from train.data.clips import Clips
from train.data.neighbours import SAME, Distances, find_neighbours, is_unlike
from train.runs.folder import NEIGHBOURS
from train.runs.neighbours_file import read_neighbours, write_neighbours

SIZE, PEOPLE, EACH = 40, 8, 6


def footage(people: int = PEOPLE, shift: float = 0.0, seed: int = 0) -> Clips:
    """`EACH` clips of each person: everybody has looks of their own, clips of one person differ a little."""
    random = np.random.default_rng(seed)
    looks = np.repeat(random.normal(shift, 1, (people, SIZE)), EACH, axis=0)
    frames = looks[:, None] + random.normal(0, 0.3, (people * EACH, 12, SIZE))
    return Clips(frames.astype(np.float16), np.ones((len(frames), 12), bool), np.zeros(len(frames), np.int64))


def names(people: int = PEOPLE) -> list[tuple[str, str]]:
    shown = (f"p{number // EACH}" for number in range(people * EACH))
    return [(name, name) for name in shown]


def found_in(clips: Clips, people: list[tuple[str, str]], parts: np.ndarray | None = None):
    neighbours, distances = find_neighbours(clips, np.full(len(people), "train") if parts is None else parts, people)
    assert neighbours is not None
    return neighbours, distances


def test_strangers_of_the_same_kind_are_within_the_limit_and_other_footage_is_beyond():
    shares = []
    for seed in range(5):
        neighbours, left_out = found_in(footage(100, seed=seed), names(100))
        assert neighbours.people == 100
        assert 0.93 <= (left_out <= 1).mean() <= 1
        strangers, others = (footage(100, shift, seed + 50) for shift in (0, 4))
        shares.append((neighbours.distances(strangers.features, strangers.mask).mean > 1).mean())
        assert (neighbours.distances(others.features, others.mask).mean > 1).all()
    assert 0.01 < np.mean(shares) < 0.1  # one in twenty, but for chance


def test_each_person_weighs_the_same_however_many_clips_there_are_of_them():
    clips, people = footage(), names()
    far = Clips(clips.features.copy(), clips.mask, clips.labels)
    far.features[:1] += 8  # one person with one clip, far from all others
    people[0] = ("alone", "alone")
    neighbours, left_out = found_in(far, people)
    assert neighbours.people == PEOPLE + 1
    assert left_out[0] == pytest.approx(1)
    assert left_out[1:].max() < 0.8


def test_a_clip_is_measured_without_its_donor_too():
    clips, people = footage(), names()
    clips.features[0] = clips.features[EACH]  # the footage of p1
    _, alone = found_in(clips, people)
    _, apart = found_in(clips, [("p0", "p1"), *people[1:]])
    assert apart[0] > 2 * alone[0]


def test_a_clip_of_train_is_known_again_and_no_other():
    clips = footage()
    neighbours, _ = found_in(clips, names())
    assert (neighbours.distances(clips.features, clips.mask).nearest < SAME).all()
    other = clips.features + np.random.default_rng(1).normal(0, 0.3, clips.features.shape).astype(np.float16)
    assert not (neighbours.distances(other, clips.mask).nearest < SAME).any()


@pytest.mark.parametrize("kept", [2, PEOPLE * EACH])  # fewer than the three nearest, and all
def test_distances_are_euclidean_to_the_three_nearest_in_the_furthest_block(kept):
    clips = footage()
    found, _ = found_in(clips, names())
    points = found.points[:kept]
    points[-1] = points[0]  # the same clip twice
    neighbours = replace(found, points=points, limits=np.array([1, 2, 3, 4], np.float32), apart=0.0)
    some = footage(seed=1)
    apart = neighbours.place(some.features.astype(float).mean(axis=1))[:, :, None] - points.transpose(1, 0, 2)
    by_block = np.sort(np.linalg.norm(apart, axis=-1), axis=-1)[..., :3] / np.array([1, 2, 3, 4])[:, None]
    measured = neighbours.distances(some.features, some.mask)
    np.testing.assert_allclose(measured.mean, by_block.max(axis=1).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(measured.nearest, by_block.max(axis=1)[:, 0], rtol=1e-4)


def test_clips_of_test_are_measured_to_those_of_train_and_dropped_ones_are_not():
    parts = np.repeat(["train"] * 5 + ["test", "val", "dropped"], EACH)
    neighbours, distances = found_in(footage(), names(), parts)
    assert len(neighbours.points) == 5 * EACH
    assert np.isnan(distances[parts == "dropped"]).all()
    assert (distances[parts != "dropped"] > 0).all()


@pytest.mark.parametrize("people", [1, 2, 3])
def test_of_too_few_nothing_is_said(people):
    neighbours, distances = find_neighbours(footage(people), np.full(people * EACH, "train"), names(people))
    assert neighbours is None
    assert np.isnan(distances).all()


def test_what_is_unlike_and_in_which_words():
    assert [is_unlike(one) for one in (None, np.nan, 1.0, 1.01)] == [False, False, False, True]

    def said(distance: float, people: int, near: bool = False) -> str:
        one = np.array([distance])
        return Distances(one, one, np.array([near]), people, np.zeros((1, 4, 64))).sentence

    others = "people or source videos are from the others"
    assert said(3.123, 4) == f"3.12 times as far from the training clips as any of their 4 {others}"
    assert f"as 95% of their 1,200 {others}" in said(2, 1200)
    assert "as those of one person are from each other, and nearer than any stranger" in said(1.5, 4, near=True)
    assert said(0.9, 4) == ""


def test_what_is_nearer_than_strangers_has_to_be_as_near_as_clips_of_one_person():
    clips = footage()
    neighbours, _ = found_in(clips, names())
    assert neighbours.near < neighbours.apart
    random, between = np.random.default_rng(7), footage(PEOPLE, seed=1).features.astype(np.float32)
    again = clips.features + random.normal(0, 0.3, clips.features.shape).astype(np.float16)
    assert (neighbours.distances(again, clips.mask).mean <= 1).mean() > 0.8
    # The same people, treated alike all through the clip, as another encoder treats them.
    other = clips.features.astype(np.float32) + 0.35 * between[:EACH].mean(axis=(0, 1))
    found = neighbours.distances(other, clips.mask)
    assert found.near.any()
    assert (found.mean[found.near] > 1).all()


def test_they_are_read_as_they_were_written(tmp_path):
    clips = footage()
    neighbours, _ = found_in(clips, names())
    write_neighbours(neighbours, tmp_path)
    read = read_neighbours(tmp_path)
    assert read is not None
    one, other = (each.distances(clips.features, clips.mask) for each in (read, neighbours))
    assert (one.people, one.mean.tolist()) == (other.people, other.mean.tolist())
    assert read_neighbours(tmp_path / "older") is None
    write_neighbours(None, tmp_path / "older")


@pytest.mark.parametrize(
    "wrong", [{"points": np.zeros((3, 5), np.float32)}, {"limits": np.zeros(4, np.float32)}, {"centre": np.array(1.0)}]
)
def test_a_file_that_holds_something_else_is_named(tmp_path, wrong):
    neighbours, _ = found_in(footage(), names())
    write_neighbours(neighbours, tmp_path)
    arrays = dict(np.load(tmp_path / NEIGHBOURS)) | wrong
    np.savez(tmp_path / NEIGHBOURS, **arrays)
    with pytest.raises(UserError, match=r"neighbours\.npz does not hold the run's training clips .*train it again"):
        read_neighbours(tmp_path)
