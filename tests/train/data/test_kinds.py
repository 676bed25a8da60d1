"""Training on some kinds of fakes and testing on others."""

import dataclasses

import pytest

from base.errors import UserError
from cache.schema import TEST, TRAIN, VAL
from evaluate.results.read import read_results
from tests.stores import pairs, write_features
from train.data.blended_parts import DROPPED
from train.data.kinds import choose_kinds
from train.data.split import SplitConfig, split
from train.fit import FitConfig, fit

KINDS = ("FaceSwap/SimSwap", "FaceSwap/InSwap", "Deepfakes")


def of_kinds(records):
    """Each person's fakes are one of each kind."""
    return [dataclasses.replace(one, kind=KINDS[int(one.id[-8:-4])] if one.label else "") for one in records]


def kinds_in(parts, videos, part):
    return {video.kind for video, own in zip(videos, parts, strict=True) if own == part and video.label}


def test_kinds_are_trained_on_alone_and_test_keeps_all():
    videos = of_kinds(pairs())
    found = split(videos, SplitConfig(kinds=("Deepfakes",)))
    assert kinds_in(found.parts, videos, TRAIN) == kinds_in(found.parts, videos, VAL) == {"Deepfakes"}
    assert kinds_in(found.parts, videos, TEST) == set(KINDS)
    assert found.parts.count(DROPPED) == 8 * 2
    assert any("16 other fakes are dropped (--kinds)" in note for note in found.notes)
    assert all(part != DROPPED for video, part in zip(videos, found.parts, strict=True) if not video.label)


def test_a_group_stands_for_its_methods():
    videos = of_kinds(pairs())
    found = split(videos, SplitConfig("identity", kinds=("FaceSwap",)))
    assert kinds_in(found.parts, videos, TRAIN) == {"FaceSwap/SimSwap", "FaceSwap/InSwap"}


def test_a_kind_that_is_left_out_is_the_only_one_of_test():
    videos = of_kinds(pairs())
    for name, left in (("Deepfakes", {"Deepfakes"}), ("FaceSwap", {"FaceSwap/SimSwap", "FaceSwap/InSwap"})):
        found = split(videos, SplitConfig(leave_out_kind=name))
        assert kinds_in(found.parts, videos, TEST) == left
        assert kinds_in(found.parts, videos, TRAIN) == kinds_in(found.parts, videos, VAL) == set(KINDS) - left
        assert any(f"test has those of {name} alone" in note for note in found.notes)


def test_a_fake_of_an_unknown_kind_may_be_of_any():
    videos = of_kinds(pairs())
    unknown = next(row for row, video in enumerate(videos) if video.label and video.part == TRAIN)
    videos[unknown] = dataclasses.replace(videos[unknown], kind="")
    for config in (SplitConfig(kinds=("FaceSwap",)), SplitConfig(leave_out_kind="Deepfakes")):
        assert split(videos, config).parts[unknown] == DROPPED
    assert split(videos, SplitConfig()).parts[unknown] != DROPPED


@pytest.mark.parametrize("config", [SplitConfig(kinds=("Deepfake",)), SplitConfig(leave_out_kind="Deepfake")])
def test_a_kind_that_is_not_there_is_refused_with_those_that_are(config):
    with pytest.raises(UserError, match=r"no fake is of the kind 'Deepfake': the kinds are Deepfakes, FaceSwap/InSwap"):
        split(of_kinds(pairs()), config)
    with pytest.raises(UserError, match="names no kinds"):
        split(pairs(), config)


def test_without_a_wish_nothing_changes():
    videos = of_kinds(pairs())
    assert choose_kinds(videos, [TRAIN] * len(videos), (), "") == ([TRAIN] * len(videos), [])


def test_a_run_keeps_what_it_was_trained_on(tmp_path):
    store = write_features(tmp_path, of_kinds(pairs()))
    run = fit(FitConfig(store.folder, tmp_path / "runs", head="mean", epochs=2, kinds=("Deepfakes", "FaceSwap/InSwap")))
    results = read_results(run)
    trained = {row.kind for row in results.split.values() if row.part == TRAIN and row.label}
    assert trained == {"Deepfakes", "FaceSwap/InSwap"}
    assert results.config.config["kinds"] == ["Deepfakes", "FaceSwap/InSwap"]
