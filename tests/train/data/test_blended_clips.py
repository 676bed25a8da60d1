"""Blended clips train with their real clip or not at all, and a data set without a single fake can be trained on."""

import pytest

from extract.blended_rows import blend_records
from tests.stores import fake, pairs, people_of, real, write_features
from train.data.split import SplitConfig, owner, split
from train.data.training_set import DataConfig, gather

KINDS = ["official", "identity", "random", "csv"]


def config_of(kind, records, folder) -> SplitConfig:
    path = folder / "parts.csv"
    lines = [f"{record.id},{'test' if number % 5 == 0 else 'train'}" for number, record in enumerate(records)]
    path.write_text("\n".join(["id,part", *lines]))
    return SplitConfig(kind, csv=path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_blend_trains_with_its_real_clip_and_is_never_in_validation_or_test(kind, tmp_path):
    videos = pairs(people=20)
    blends = blend_records(videos, 2)
    assert len(blends) == 2 * sum(video.label == 0 for video in videos)
    # Blends first, so that whatever goes by row would go wrong.
    records = [*blends, *videos]
    config = config_of(kind, videos, tmp_path)
    divided, alone = split(records, config), split(videos, config)
    part_of = dict(zip((record.id for record in records), divided.parts, strict=True))
    assert [part_of[video.id] for video in videos] == alone.parts
    assert "val" in alone.parts
    for blend in blends:
        assert part_of[blend.id] == ("train" if part_of[blend.source] == "train" else "dropped")
    trained = sum(part_of[blend.id] == "train" for blend in blends)
    assert f"{trained} of {len(blends)} blended clips train beside their real clips." in divided.notes


@pytest.mark.parametrize("kind", KINDS)
def test_real_clips_and_their_blends_are_enough_and_what_that_means_is_said(kind, tmp_path):
    videos = [record for record in pairs(people=20) if record.label == 0]
    records = [*videos, *blend_records(videos, 1)]
    divided = split(records, config_of(kind, videos, tmp_path))
    counts = {part: divided.parts.count(part) for part in ("train", "val", "test", "dropped")}
    assert counts["test"]
    assert counts["val"] == 0
    assert counts["train"] + 2 * counts["test"] == len(records)
    notes = " ".join(divided.notes)
    assert "only blended clips: the head learns the traces of blending" in notes
    assert "The test part has no fake video" in notes
    assert "fixed number of epochs" in notes
    if kind == "identity":
        tested = {record.target for record, part in zip(records, divided.parts, strict=True) if part == "test"}
        trained = {record.target for record, part in zip(records, divided.parts, strict=True) if part == "train"}
        assert not tested & trained


def test_a_split_file_can_leave_blends_out(tmp_path):
    videos = pairs(people=20)
    blends = blend_records(videos, 1)
    config = config_of("csv", videos, tmp_path)
    before = split([*videos, *blends], config).parts[len(videos) :]
    kept = before.index("train")
    with (tmp_path / "parts.csv").open("a") as file:
        file.write("".join(f"\n{blend.id},dropped" for number, blend in enumerate(blends) if number != kept))
    parts = split([*videos, *blends], config).parts[len(videos) :]
    assert [number for number, part in enumerate(parts) if part != "dropped"] == [kept]
    assert before.count("train") > 1


def test_a_validation_part_without_fakes_trains_instead():
    """Early stopping on real clips alone would call everything real."""
    videos = [real(0, 0, "train"), real(1, 0, "val"), real(2, 0, "test"), fake(2, 3, 0, "test")]
    divided = split([*videos, *blend_records(videos, 1)], SplitConfig("official"))
    assert divided.parts == ["train", "train", "test", "test", "train", "train", "dropped"]


def test_a_blend_is_a_fake_of_the_same_person_and_known_by_its_id():
    video = real(7, 3, "train")
    one, two = blend_records([video, fake(7, 8, 3)], 2)
    assert (one.id, two.id) == (f"{video.id}#blend1", f"{video.id}#blend2")
    assert (one.label, one.source, owner(one), one.people) == (1, video.id, "id7", {"id7"})
    assert one.is_blend
    assert not video.is_blend
    assert people_of(one.id) == {"id7"}


def test_a_run_of_real_clips_and_blends_is_trained_and_its_split_read_back(tmp_path):
    videos = [record for record in pairs(people=10) if record.label == 0]
    records = [*videos, *blend_records(videos, 1)]
    store = write_features(tmp_path, records, strength=2.0)
    from evaluate.results.read import read_results
    from train.fit import FitConfig, fit

    folder = fit(FitConfig(store.folder, tmp_path / "runs", split="identity", head="mean", epochs=2, fixed_epochs=2))
    results = read_results(folder)
    assert {row.part for row in results.split.values() if row.id.endswith("#blend1")} == {"train", "dropped"}
    # The run's own split file divides the same features in the same way.
    again = gather(DataConfig(store.folder), SplitConfig("csv", val=0.0, csv=folder / "split.csv"))
    assert again.split.parts == [row.part for row in results.split.values()]
