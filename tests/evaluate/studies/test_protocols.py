"""Protocols side by side, data sets crossed, and the parts of a report that need stores on the disk."""

import csv
import dataclasses
import errno
import json

import numpy as np
import pytest

from base.errors import UserError
from base.files import writing
from cache.contents import load
from cache.schema import REAL
from cache.store import open_store
from evaluate.__main__ import main
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.footage import find_footage
from evaluate.results.read import read_results
from evaluate.results.slices import find_failures
from evaluate.studies.protocols import ProtocolsConfig, file_names, protocols
from tests.evaluate.report.test_report import Reader
from tests.stores import PROFILE, pairs, write_features


@pytest.fixture(scope="module")
def ran(few_epochs, tmp_path_factory):
    """The folder of all protocols on one data set, with two others to cross to, one of them the very same clips."""
    root = tmp_path_factory.mktemp("protocols")
    home = write_features(root / "home", pairs()).folder
    away = write_features(root / "away", pairs(people=6), strength=0.3, seed=1).folder
    page = protocols(
        ProtocolsConfig(home, (away, home), out=root / "out", head="mean", seeds=2, resamples=50)
    )  # fmt: skip
    return page.parent


def told(folder):
    return json.loads((folder / "protocols.json").read_text(), parse_constant=pytest.fail)["protocols"]


def test_every_protocol_has_its_numbers_and_its_leaks(ran):
    found = {one["name"]: one for one in told(ran)}
    crossed = ["trained by official, tested on set", "trained by official, tested on set-2"]
    assert list(found) == ["official", "identity", "random", *crossed]
    for one in found.values():
        assert one["real"] + one["fake"] > 0
        assert 0 <= one["over_people"]["roc_auc"]["value"] <= 1
        if one["baseline"]:
            gap = one["over_people"]["roc_auc"]["value"] - one["baseline"]["value"]
            assert one["difference"]["over_people"]["roc_auc"]["value"] == pytest.approx(gap)
    assert found["identity"]["findings"] == []
    for one in found.values():
        assert any(f"only {one['people']} people" in text for text in one["warnings"])
        assert any("identical files were looked for" in text for text in one["warnings"])
    assert any("show a person who is also in train" in text for text in found["random"]["findings"])


def test_the_run_of_each_protocol_stays_to_be_reported_on(ran):
    names = {path.name for path in (ran / "runs").iterdir()}
    assert {"mean-mobilenetv2-official", "mean-mobilenetv2-identity", "mean-mobilenetv2-random"} <= names


def test_clips_of_train_are_found_in_another_data_set_by_content(ran):
    crossed = [one for one in told(ran) if one["name"].startswith("trained by official")]
    assert [bool(one["findings"]) for one in crossed] == [False, True]
    # 12 people, 4 of them tested; validation comes off the rest.
    number = int(crossed[1]["findings"][0].split(" ")[0])
    assert number == crossed[1]["trained"]


def test_crossing_says_what_the_ensemble_says(ran):
    """On the very clips that it was tested on, the run that crosses says the same."""
    stored = read_results(ran / "runs" / "mean-mobilenetv2-official").head
    with (ran / "on-set-2.csv").open(newline="") as file:
        crossed = {row["id"]: float(row["probability"]) for row in csv.DictReader(file)}
    both = [name for name in stored.ids if name in crossed]
    assert [crossed[name] for name in both] == pytest.approx(
        [stored.probabilities[stored.ids.index(name)] for name in both], abs=1e-5
    )


def test_the_page_and_the_tables_hold_every_protocol(ran):
    page = Reader((ran / "protocols.html").read_text())
    assert not any("http" in value for _, value in page.values)
    text = " ".join(page.words)
    for one in told(ran):
        assert one["name"] in text
        assert all(warning in text for warning in one["warnings"])
    for name in ("official", "identity", "random"):
        assert name in (ran / "tables" / "tables.tex").read_text()
    assert (ran / "figures" / "protocols.png").exists()


def test_no_data_set_has_the_name_of_another_but_for_its_case(tmp_path):
    """Each gives its name to a file, and where case makes no difference, the second would replace the first."""
    names = ("Set", "set", "set-2", "SET")
    stores = [write_features(tmp_path / str(number), pairs()).folder.parent for number in range(len(names))]
    folders = [store.rename(store.with_name(name)) for store, name in zip(stores, names, strict=True)]
    contents = [load(open_store(next(folder.iterdir()))) for folder in folders]
    assert file_names(contents) == ["Set", "set-2", "set-2-2", "SET-3"]


def test_features_of_another_profile_are_refused_before_anything_is_trained(tmp_path):
    home = write_features(tmp_path / "home", pairs()).folder
    other = write_features(
        tmp_path / "other", pairs(), profile=dataclasses.replace(PROFILE, backbone="resnet50")
    ).folder
    with pytest.raises(UserError, match="backbone"):
        protocols(ProtocolsConfig(home, (other,), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("flags", "what"), [({"head": "gur"}, "gur"), ({"seeds": 0}, "seeds"), ({"seed": -1}, "seed")])
def test_flags_are_checked_before_anything_is_trained(tmp_path, flags, what):
    features = write_features(tmp_path, pairs()).folder
    with pytest.raises(UserError, match=what):
        protocols(ProtocolsConfig(features, out=tmp_path / "out", **flags))
    assert not (tmp_path / "out" / "runs").exists()


def test_where_nothing_can_be_trained_it_fails_with_each_reason(tmp_path):
    features = write_features(tmp_path, [record for record in pairs(tested=0) if record.label == REAL]).folder
    with pytest.raises(UserError, match=r"no protocol could be trained on .*official: .*identity: .*random: "):
        protocols(ProtocolsConfig(features, out=tmp_path / "out"))
    assert not (tmp_path / "out" / "protocols.html").exists()


def test_a_full_disk_is_no_reason_against_one_split_but_the_end(tmp_path, monkeypatch):
    features = write_features(tmp_path, pairs()).folder
    tried = []

    def full(config):
        tried.append(config.split)
        with writing(config.runs):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("evaluate.studies.protocols.fit", full)
    with pytest.raises(UserError, match=r"runs cannot be written \(No space left on device\)"):
        protocols(ProtocolsConfig(features, out=tmp_path / "out"))
    assert tried == ["official"]


@pytest.mark.slow
def test_a_split_that_cannot_be_has_its_reason_in_the_table(tmp_path, capsys):
    records = [dataclasses.replace(record, part="") for record in pairs()]
    home = write_features(tmp_path / "home", records).folder
    words = ["--features", str(home), "--out", str(tmp_path / "out"), "--head", "mean", "--resamples", "20"]
    assert main(["protocols", *words]) == 0
    *_, header, first, second, _, last = capsys.readouterr().out.splitlines()
    assert last.endswith("protocols.html")
    official, identity, _ = told(tmp_path / "out")
    assert header.split()[:3] == ["protocol", "test", "clips"]
    assert first.startswith("official  not trained: ")
    area = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**identity["over_people"]["roc_auc"])
    assert second.startswith(f"identity  {identity['real']} real, {identity['fake']} fake  {area}")
    assert "no official test video" in official["reason"]
    assert "no official test video" in (tmp_path / "out" / "protocols.html").read_text()


def test_slices_divide_the_test_clips_and_count_each_once(ran):
    results = read_results(ran / "runs" / "mean-mobilenetv2-random")
    found = find_failures(results, find_footage(results), 0)
    clips = results.head.of("test")
    slices = {slicing.key: slicing.slices for slicing in found.slicings}
    assert list(slices) == ["coverage", "size", "length", "folder", "person"]
    for key in ("coverage", "size", "length", "folder"):
        assert sum(one.real + one.fake for one in slices[key]) == len(clips.ids), key
    # The store's boxes are one pixel wide, and its clips last eleven seconds, or four where there are five frames.
    assert [one.name for one in slices["size"]] == ["under 80"]
    assert [one.name for one in slices["length"]] == ["under 5", "10 to 20"]


def test_the_most_wrong_clips_come_first_and_only_wrong_ones(ran):
    results = read_results(ran / "runs" / "mean-mobilenetv2-random")
    found = find_failures(results, find_footage(results), 0)
    clips = found.clips
    wrong = (clips.probabilities >= 0.5) != (clips.labels == 1)
    assert len(found.wrong) == min(20, wrong.sum())
    assert wrong[found.wrong].all()
    assert (np.diff(np.abs(clips.probabilities[found.wrong] - 0.5)) <= 0).all()


@pytest.mark.slow
def test_an_ensemble_shows_each_seed_and_their_spread(ran):
    folder = ran / "runs" / "mean-mobilenetv2-official"
    text = write_report(ReportConfig(run=folder, resamples=20)).read_text()
    assert "mean ± standard deviation" in text
    members = json.loads((folder / "report" / "metrics.json").read_text())["members"]
    assert len(members) == 2
    with (folder / "report/tables/members.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    values = [members[name]["roc_auc"] for name in members]
    assert rows[-1][1] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
