"""The store: what was written is what is read, whatever was done to the folder in between."""

import contextlib
import dataclasses
import errno
import fcntl
import os
import random
from pathlib import Path

import h5py
import numpy as np
import pytest

from base.errors import UserError
from base.temporary import TEMPORARY
from cache.contents import load
from cache.manifest import read_manifest, write_manifest
from cache.profile import CropProfile, FeatureProfile, Profile, Tap, canonical_json, fingerprint, parse_profile
from cache.schema import FRAMES, OK, Row, Seen, VideoRecord, failed_row, safe_relative_path
from cache.shard import BLOCK, DamagedShard, array_shape, check, read_arrays, read_index, seal
from cache.store import create_store, open_store, open_writer, require_profile, store_folder, verify

PROFILE = FeatureProfile(CropProfile(), backbone="mobilenetv2")
WIDTH = 8


def record(number: int, label: int = 0) -> VideoRecord:
    name = f"Celeb-real/id{number}_0000.mp4"
    return VideoRecord(name, name, label, f"id{number}", "", "", "", 100 + number, 7)


def row(video: VideoRecord, value: float, profile: Profile = PROFILE) -> Row:
    crops = isinstance(profile, CropProfile)
    array = np.full((FRAMES, 160, 160, 3) if crops else (FRAMES, WIDTH), value, np.uint8 if crops else np.float16)
    times = np.arange(FRAMES, dtype=np.float64)
    boxes, regions = np.ones((FRAMES, 4), np.int32), np.full((FRAMES, 4), video.size % 100, np.uint8)
    return Row(*video.key, OK, "", Seen(np.ones(FRAMES, np.uint8), times, boxes, regions), array)


@pytest.fixture
def store(tmp_path):
    """Five videos in two shards; number 3 failed."""
    store = create_store(tmp_path / "data", PROFILE)
    records = [record(number, number % 2) for number in range(5)]
    write_manifest(store.manifest, records)
    with open_writer(store) as writer:
        writer.append([row(records[4], 4), row(records[0], 0)])
        writer.append([row(records[2], 2), failed_row(records[3], "no_video", "it has no picture"), row(records[1], 1)])
    return store


def test_arrays_come_back_in_manifest_order_with_failures_apart(store):
    contents = load(open_store(store.folder))
    assert contents.arrays[:, 0, 0].tolist() == [0, 1, 2, 4]
    assert contents.arrays.dtype == np.float16
    assert contents.arrays.shape == (4, FRAMES, WIDTH)
    assert contents.labels.tolist() == [0, 1, 0, 0]
    assert [(r.id, o, why) for r, o, why in contents.failures] == [
        ("Celeb-real/id3_0000.mp4", "no_video", "it has no picture")
    ]
    assert contents.missing == []


def test_a_manifest_of_an_earlier_version_knows_no_kinds_and_opens(store):
    lines = store.manifest.read_text().splitlines()
    assert lines[0].endswith(",kind,fps")
    store.manifest.write_text("".join(line.rsplit(",", 2)[0] + "\n" for line in lines))
    contents = load(open_store(store.folder))
    assert contents.arrays[:, 0, 0].tolist() == [0, 1, 2, 4]
    assert {video.kind for video in contents.records} == {""}


def test_a_changed_file_counts_as_missing(store):
    records = read_manifest(store.manifest)
    records[1] = dataclasses.replace(records[1], mtime_ns=8)
    assert [r.id for r in load(store, records).missing] == [records[1].id]


def test_a_success_outlives_a_failure_of_the_same_file(store):
    records = read_manifest(store.manifest)
    with open_writer(store) as writer:
        writer.append([row(records[3], 3)])
    with open_writer(store) as writer:
        writer.append([failed_row(records[3], "timeout", "took too long")])
    assert load(store).arrays[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_writing_the_same_rows_again_changes_nothing(store):
    records = read_manifest(store.manifest)
    before = store.shards
    with open_writer(store) as writer:
        writer.append([row(records[4], 4), row(records[0], 0)])
    assert store.shards == before


@pytest.mark.parametrize("place", [0, 20, BLOCK - 1, BLOCK, BLOCK + 100, -2000, -1])
def test_a_flipped_bit_anywhere_is_found_named_and_set_aside(store, place):
    path = store.shards[0]
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    assert [found for found, _ in verify(store)] == [path]
    with pytest.raises(UserError, match=path.name):
        load(store)
    with open_writer(store) as writer:
        assert [moved.stem for moved in writer.set_aside] == [path.stem]
    contents = load(store)
    assert len(contents.missing) in (2, 3)
    assert len(contents.records) + len(contents.missing) + len(contents.failures) == 5


@pytest.mark.parametrize("length", [0, 10, BLOCK, 3000])
def test_a_truncated_shard_is_found(store, length):
    os.truncate(store.shards[1], length)
    assert [found for found, _ in verify(store)] == [store.shards[1]]


def _external_link(file, name, other):
    del file[name]
    file[name] = h5py.ExternalLink(str(other), name)


def _virtual(file, name, other):
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource(str(other), name, shape=shape)
    file.create_virtual_dataset(name, layout)


def _external_storage(file, name, other):
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    size = int(np.prod(shape)) * dtype.itemsize
    file.create_dataset(name, shape, dtype, external=[(str(other), 0, size)])


def _soft_link(file, name, other):
    file["elsewhere"] = file[name]
    del file[name]
    file[name] = h5py.SoftLink("/elsewhere")


def _group(file, name, other):
    del file[name]
    file.create_group(name)


def _absent(file, name, other):
    del file[name]


def _too_short(file, name, other):
    values = file[name][:-1]
    del file[name]
    file[name] = values


def _other_kind(file, name, other):
    del file[name]
    file[name] = 3


FORGERIES = [_external_link, _virtual, _external_storage, _soft_link, _group, _absent, _too_short, _other_kind]


def forge(path: Path, change) -> None:
    """Changes the shard at `path` by `change(file)` and gives it the digest that belongs to that."""
    with h5py.File(path, "r+") as file:
        change(file)
    content = bytearray(path.read_bytes())
    seal(content)
    path.write_bytes(content)
    check(path)


NUMBERS = ("array", "status", "times", "boxes", "regions", "size", "mtime_ns")
TEXTS = ("id", "outcome", "checksum", "file_checksum")


# HDF5 itself keeps text of any length out of other files.
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (change, name)
        for change in FORGERIES
        for name in (*NUMBERS, *TEXTS)
        if (change is not _external_storage or name not in TEXTS)
        # Shards of earlier versions have none.
        and (change is not _absent or name != "file_checksum")
    ],
)
def test_a_forged_shard_with_a_good_digest_is_refused_named_and_set_aside(store, change, name):
    path, other = store.shards
    forge(path, lambda file: change(file, name, other))
    with pytest.raises(DamagedShard):
        read_index(path, PROFILE)
    assert [found for found, _ in verify(store)] == [path]
    with pytest.raises(UserError, match=path.name):
        load(store)
    with open_writer(store) as writer:
        assert [moved.stem for moved in writer.set_aside] == [path.stem]
    assert len(load(store).missing) in (2, 3)


@pytest.mark.parametrize("change", [_external_link, _virtual, _external_storage, _soft_link, _group, _absent])
def test_arrays_outside_the_file_are_not_read_after_the_index_was(store, change):
    path, other = store.shards
    index = read_index(path, PROFILE)
    forge(path, lambda file: change(file, "array", other))
    with pytest.raises(DamagedShard, match=r"outside|inside"):
        list(read_arrays(index, [0], (FRAMES, WIDTH), np.dtype(np.float16)))
    with pytest.raises(DamagedShard, match=r"outside|inside"):
        array_shape(index)


@pytest.mark.parametrize("seed", range(30))
def test_bytes_that_make_no_sense_to_hdf5_are_damage_whatever_the_digest(store, seed):
    path, chance = store.shards[0], random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(8):
        content[chance.randrange(BLOCK, len(content))] = chance.choice([0, 127, 255])
    seal(content)
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        load(store)
    with open_writer(store):
        load(store)


def test_a_second_writer_is_refused_and_readers_are_not(store):
    with open_writer(store):
        with pytest.raises(UserError, match="another process"), open_writer(store):
            pass
        assert len(load(store).records) == 4
    with open_writer(store):
        pass


def test_a_failed_write_leaves_nothing_and_a_dead_writers_leftovers_go(store):
    records = read_manifest(store.manifest)
    broken = dataclasses.replace(row(records[3], 3), array=np.zeros((FRAMES, WIDTH + 1), np.float16))
    before = sorted(store.folder.iterdir())
    with open_writer(store) as writer, pytest.raises(ValueError, match="shape"):
        writer.append([row(records[0], 0), broken])
    assert sorted(store.folder.iterdir()) == before
    (left := store.folder / f"{TEMPORARY}99-shard-x.h5").write_bytes(b"half")
    os.utime(left, (0, 0))
    with open_writer(store):
        assert sorted(store.folder.iterdir()) == before


def test_without_locks_a_store_is_written_and_another_writers_files_stay(store, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    unfinished = store.folder / f"{TEMPORARY}99@00000000-shard-x.h5"
    unfinished.write_bytes(b"half")
    with open_writer(store) as writer:
        assert f"{store.folder} is on a file system without locks" in capsys.readouterr().out
        before = store.shards
        writer.append([row(read_manifest(store.manifest)[0], 0)])
    assert set(store.shards) >= set(before)
    assert unfinished.exists()
    assert len(load(store).records) == 4


def test_a_shard_of_another_profile_is_refused(store, tmp_path):
    other = create_store(tmp_path / "data", dataclasses.replace(PROFILE, weights="random:0"))
    assert other.folder != store.folder
    store.shards[0].replace(other.folder / store.shards[0].name)
    write_manifest(other.manifest, read_manifest(store.manifest))
    with pytest.raises(UserError, match=store.fingerprint):
        load(other)


def test_a_mismatch_is_refused_with_both_values(store):
    asked = dataclasses.replace(PROFILE, crops=CropProfile(margin=0.0))
    with pytest.raises(UserError, match=r"crops\.margin=0\.3 instead of crops\.margin=0\.0"):
        require_profile(store, asked)


def test_a_renamed_folder_or_edited_profile_is_refused(store):
    renamed = store.folder.rename(store.folder.with_name("features-mobilenetv2-000000000000"))
    with pytest.raises(UserError, match="000000000000"):
        open_store(renamed)


def test_profiles_round_trip_and_every_setting_changes_the_fingerprint():
    assert parse_profile(canonical_json(PROFILE), "here") == PROFILE
    assert parse_profile(canonical_json(CropProfile()), "here") == CropProfile()
    seen = {fingerprint(PROFILE)}
    for field in dataclasses.fields(CropProfile):
        value = getattr(PROFILE.crops, field.name)
        crops = dataclasses.replace(PROFILE.crops, **{field.name: value + 1 if not isinstance(value, str) else "x"})
        seen.add(fingerprint(dataclasses.replace(PROFILE, crops=crops)))
    assert len(seen) == 1 + len(dataclasses.fields(CropProfile))
    assert store_folder(Path("data/x"), PROFILE).name.endswith(fingerprint(PROFILE))


OLD = FeatureProfile(CropProfile(detector="haar", version=3), "mobilenetv2", "random:0", version=1)


def test_stores_from_before_taps_keep_their_names_and_open(tmp_path):
    assert (fingerprint(OLD), fingerprint(OLD.crops)) == ("f70d26bdade1", "1b1474a68a76")
    for profile in (OLD, OLD.crops):
        store = create_store(tmp_path / "data", profile)
        write_manifest(store.manifest, [record(0)])
        with open_writer(store) as writer:
            writer.append([row(record(0), 0, profile)])
        forge(store.shards[0], lambda file: file.__delitem__("regions"))
        found = open_store(store.folder)
        assert found.profile == profile
        # Nobody wrote where the face lies in its crop: it counts as the middle.
        assert load(found).seen.regions.tolist() == [[[30, 30, 130, 130]] * FRAMES]
    assert '"taps"' not in canonical_json(OLD)
    with pytest.raises(UserError, match=r"taps=none instead of taps=layer face mean, version=1 instead of version=2"):
        require_profile(create_store(tmp_path / "data", OLD), replace_taps(OLD))


def replace_taps(profile: FeatureProfile) -> FeatureProfile:
    return dataclasses.replace(profile, taps=(Tap("layer", "face", "mean"),), version=2)


def test_taps_are_part_of_what_makes_features_differ():
    tapped = replace_taps(PROFILE)
    assert parse_profile(canonical_json(tapped), "here") == tapped
    other = dataclasses.replace(tapped, taps=(Tap("layer", "face", "std"),))
    assert len({fingerprint(profile) for profile in (PROFILE, tapped, other)}) == 3


@pytest.mark.parametrize(
    "text", ["", "[]", "{}x", '{"colour": 1}', '{"crops": 3}', '{"crops": {}, "taps": [["layer"]]}']
)
def test_a_foreign_profile_is_refused(text):
    with pytest.raises(UserError, match="somewhere"):
        parse_profile(text, "somewhere")


@pytest.mark.parametrize("text", ["", "/etc/passwd", "../x.mp4", "a/../../x", "C:/x", "a\0b", "..\\x"])
def test_paths_that_leave_the_root_are_refused(text):
    with pytest.raises(ValueError, match="inside"):
        safe_relative_path(text)


def test_a_manifest_with_a_bad_line_is_named(tmp_path):
    path = write_manifest(tmp_path / "manifest.csv", [record(0), record(1)])
    path.write_text(path.read_text().replace("id1_0000.mp4,0,", "id1_0000.mp4,7,"))
    with pytest.raises(UserError, match="line 3 has '7' as 'label'"):
        read_manifest(path)
