"""Training on several data sets at once: the same as on one folder with their clips, and what else it is told."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.errors import UserError
from base.outside.values import read_json
from cache.contents import load
from cache.manifest import write_manifest
from cache.schema import OK, TEST, TRAIN, Row, VideoRecord
from cache.store import create_store, open_writer
from evaluate.results.footage import find_footage
from evaluate.results.read import read_results
from evaluate.results.slices import find_failures
from evaluate.studies.cross_validation import CrossvalConfig, crossval
from tests.stores import pairs, write_features
from train.data.clips import Clips
from train.data.split import SplitConfig
from train.data.training_set import DataConfig, gather
from train.fit import FitConfig, fit
from train.runs.ensemble import EnsembleConfig, ensemble
from train.runs.recipe import read_recipe

SMALL: dict[str, Any] = {"epochs": 3, "fixed_epochs": 2, "units": 8, "dense": 8}


def is_even(record: VideoRecord) -> bool:
    return int(record.target[2:]) % 2 == 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """Features of a whole data set, and the same divided by person into two: alike to the bit, clip by clip."""
    root, records = tmp_path_factory.mktemp("data"), sorted(pairs(), key=lambda record: record.id)
    whole = write_features(root, records, name="whole")
    contents, halves = load(whole), []
    for name, own in (("even", True), ("odd", False)):
        store = create_store(root / name, whole.profile)
        kept = [number for number, record in enumerate(records) if is_even(record) == own]
        write_manifest(store.manifest, [records[number] for number in kept])
        rows = [Row(*records[number].key, OK, "", contents.seen[number], contents.arrays[number]) for number in kept]
        with open_writer(store) as writer:
            writer.append(rows)
        halves.append(store.folder)
    return [whole.folder, *halves]


def joint_split(run: Path, into: Path) -> Path:
    """The split of a run on the whole, with the ids of the halves."""
    lines = ["id,part"]
    for row in read_results(run).split.values():
        half = "even" if int(row.target[2:]) % 2 == 0 else "odd"
        lines.append(f"{half}/{row.id},{row.part}")
    into.write_text("\n".join(lines))
    return into


def test_two_halves_give_the_heads_of_the_whole_with_the_same_split(folders, tmp_path):
    whole = fit(FitConfig(folders[0], tmp_path / "runs", "whole", **SMALL))
    split = joint_split(whole, tmp_path / "split.csv")
    joint = fit(FitConfig(tuple(folders[1:]), tmp_path / "runs", "joint", split="csv", split_csv=split, **SMALL))
    one, two = read_results(whole), read_results(joint)
    assert one.baseline
    assert two.baseline
    assert [name.partition("/")[2] for name in two.head.ids] == one.head.ids
    np.testing.assert_allclose(two.head.probabilities, one.head.probabilities, atol=1e-6)
    np.testing.assert_allclose(two.baseline.probabilities, one.baseline.probabilities, atol=1e-9)
    assert {row.target for row in two.split.values()} == {f"id{n} ({'odd' if n % 2 else 'even'})" for n in range(12)}


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory) -> Path:
    return fit(FitConfig(tuple(folders[1:]), tmp_path_factory.mktemp("several") / "runs", "joint", **SMALL))


def test_a_run_names_all_its_data_sets_and_finds_their_clips(run, folders):
    config = read_recipe(run)
    assert [(one.name, one.features) for one in config.data_sets] == [("even", folders[1]), ("odd", folders[2])]
    assert {one.fingerprint for one in config.data_sets} == {config.fingerprint}
    assert config.features_folders == config.folders_of_clips == folders[1:]
    assert config.data_set == "even, odd"
    results = read_results(run)
    assert set(find_footage(results).rows) == set(results.split)
    (by_set,) = [one for one in find_failures(results, find_footage(results), 0).slicings if one.key == "data-set"]
    assert {one.name for one in by_set.slices} == {"even", "odd"}
    assert sum(one.real + one.fake for one in by_set.slices) == len(results.head.of(TEST).ids)
    assert any("count as different people" in note for note in results.audit.notes)


def test_an_ensemble_of_such_runs_keeps_the_data_sets(run, folders):
    other = fit(FitConfig(tuple(folders[1:]), run.parent, "other", seed=1, **SMALL))
    joined = ensemble(EnsembleConfig((run, other), runs=run.parent, name="joined"))
    assert read_recipe(joined).folders_of_clips == folders[1:]
    assert set(find_footage(read_results(joined)).rows) == set(read_results(run).split)


def test_the_official_split_is_that_of_each_data_set(run):
    parts = {name: row.part for name, row in read_results(run).split.items()}
    assert {name.partition("/")[0] for name, part in parts.items() if part == TEST} == {"even", "odd"}
    assert read_json(run / "audit.json")["split"] == "official"


def test_auto_is_official_only_where_each_data_set_has_a_test_part(tmp_path):
    one = write_features(tmp_path, pairs(), name="one").folder
    bare = [dataclasses.replace(record, part="") for record in pairs()]
    other = write_features(tmp_path, bare, name="other", seed=1).folder
    found = gather(DataConfig((one, other)), SplitConfig()).split
    assert found.kind == "identity"
    assert found.notes[0] == "other has no official test part, so those of the others are not used."
    assert gather(DataConfig((one,)), SplitConfig()).split.kind == "official"
    assert "dropped" in " ".join(gather(DataConfig((one, other)), SplitConfig("official")).split.notes)


def test_a_data_set_without_a_clip_is_named(tmp_path):
    one, other = (write_features(tmp_path, pairs(), name=name) for name in ("one", "other"))
    for shard in other.shards:
        shard.unlink()
    with pytest.raises(UserError, match=r"other.* holds no extracted video"):
        gather(DataConfig((one.folder, other.folder)), SplitConfig())


def test_fakes_of_one_data_set_alone_are_warned_of(tmp_path):
    def only(label: int) -> list:
        return [record for record in pairs() if record.label == label or record.target in ("id0", "id8")]

    one, other = (
        write_features(tmp_path, only(label), name=name, seed=label).folder for label, name in enumerate(("one", "two"))
    )
    notes = gather(DataConfig((one, other)), SplitConfig("official")).split.notes
    assert any("a head can tell data sets apart" in note for note in notes)
    weighed = gather(DataConfig((one, other), data_set_weights=True), SplitConfig("official"))
    assert not any("a head can tell data sets apart" in note for note in weighed.split.notes)


def test_weights_make_classes_and_data_sets_the_same():
    labels, sets = np.repeat([0, 1, 0, 1], [50, 5, 3, 30]), np.repeat([0, 0, 1, 1], [50, 5, 3, 30])
    none, every = np.zeros(0), np.arange(len(labels))
    weights = Clips(none, none, labels, sets).weights(every)
    sums = [weights[(labels == label) & (sets == number)].sum() for label in (0, 1) for number in (0, 1)]
    np.testing.assert_allclose(sums, len(labels) / 4)
    alone = Clips(none, none, labels, sets).weights(every, by_class=False)
    np.testing.assert_allclose([alone[sets == number].sum() for number in (0, 1)], len(labels) / 2)
    plain = Clips(none, none, labels).weights(every)
    np.testing.assert_allclose([plain[labels == label].sum() for label in (0, 1)], len(labels) / 2)


def test_weights_of_a_data_set_that_has_one_class_only():
    """Both classes still weigh the same; the other class is that of the other data sets alone."""
    labels, sets = np.repeat([0, 1, 0], [10, 10, 40]), np.repeat([0, 0, 1], [10, 10, 40])
    weights = Clips(np.zeros(0), np.zeros(0), labels, sets).weights(np.arange(60))
    np.testing.assert_allclose([weights[labels == label].sum() for label in (0, 1)], 30)
    np.testing.assert_allclose(weights[:10].sum(), weights[20:].sum())


def test_the_weights_of_data_sets_change_baseline_and_head(folders, tmp_path):
    few = [record for record in pairs() if record.target in ("id0", "id2", "id8")]
    small = write_features(tmp_path, few, name="small", seed=5, strength=-1.0).folder
    both = (folders[0], small)
    runs = [
        fit(
            FitConfig(both, tmp_path / "runs", f"run-{on}", split="official", head="mean", data_set_weights=on, **SMALL)
        )
        for on in (False, True)
    ]
    one, two = map(read_results, runs)
    rows = [row for row, name in enumerate(one.head.ids) if name.startswith("small/") and one.head.parts[row] == TRAIN]
    truth = one.head.labels[rows]
    for model in ("head", "baseline"):
        before, after = (getattr(each, model).probabilities[rows] for each in (one, two))
        right = [np.where(truth == 1, values, 1 - values).mean() for values in (before, after)]
        assert right[1] > right[0] + 0.01, model


def test_a_cross_validation_over_data_sets_says_who_counts_as_whom(folders, tmp_path):
    config = CrossvalConfig(tuple(folders[1:]), tmp_path / "cv", folds=3, repeats=1, head="mean", epochs=2, curve=False)
    page = crossval(config)
    numbers = read_json(page.with_name("crossval.json"))
    assert numbers["groups"] == 12
    assert any("count as different people" in text for text in numbers["warnings"])
    alone = crossval(dataclasses.replace(config, features=folders[0], out=tmp_path / "alone"))
    assert not any("count as different" in text for text in read_json(alone.with_name("crossval.json"))["warnings"])
