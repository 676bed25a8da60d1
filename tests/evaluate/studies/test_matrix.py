"""Several data sets crossed: who trains on what, whose test clips are judged, and what the page says of it."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load
from cache.imported import import_features
from cache.schema import FAKE, TEST, TRAIN
from evaluate.__main__ import main
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.read import read_results
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import evaluate
from evaluate.stats.pairs import PairedShare
from evaluate.studies.matrix import Cell, Matrix
from evaluate.studies.matrix_page import sentences
from evaluate.studies.protocols import ProtocolsConfig, protocols
from tests.evaluate.report.test_report import Reader
from tests.stores import pairs, write_features
from train.data.split import SplitConfig
from train.data.training_set import DataConfig, gather

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def ran(few_epochs, tmp_path_factory):
    """The folder of three data sets crossed, and a fourth that is only tested on; the third has no official parts."""
    root = tmp_path_factory.mktemp("matrix")
    bare = [dataclasses.replace(record, part="") for record in pairs()]
    folders = [
        write_features(root, bare if name == "three" else pairs(), name=name, seed=seed, strength=2.0 - seed).folder
        for seed, name in enumerate((*NAMES, "four"))
    ]
    out = root / "out"
    protocols(ProtocolsConfig(tuple(folders[:3]), tuple(folders[3:]), out=out, head="mean", resamples=50))
    return out


def found(out):
    return json.loads((out / "protocols.json").read_text(), parse_constant=pytest.fail)["matrix"]


def test_each_is_trained_on_and_all_but_each_and_all_and_tested_everywhere(ran):
    cells = found(ran)["cells"]
    rows = [*NAMES, *(f"all but {name}" for name in NAMES), "all"]
    assert [(one["trained"], one["tested"]) for one in cells] == [(r, c) for r in rows for c in (*NAMES, "four")]
    inside = {(one["trained"], one["tested"]) for one in cells if one["inside"]}
    assert ("one", "one") in inside
    assert ("all but one", "two") in inside
    assert not {("all but one", "one"), ("one", "two"), ("all", "four")} & inside
    assert found(ran)["splits"] == {"one": "official", "two": "official", "three": "identity", "four": "tested whole"}


def test_heads_train_on_their_group_alone_and_all_judge_the_same_test_clips(ran):
    tested = set()
    for name, group in (("one", {"one"}), ("all-but-one", {"two", "three"}), ("all", set(NAMES))):
        split = read_results(ran / "runs" / f"on-{name}").split
        assert {clip.partition("/")[0] for clip, row in split.items() if row.part == TRAIN} == group
        tested.add(frozenset(clip for clip, row in split.items() if row.part == TEST))
    (clips,) = tested
    assert {clip.partition("/")[0] for clip in clips} == {*NAMES, "four"}
    assert sum(clip.startswith("four/") for clip in clips) == len(pairs())


def test_a_cell_has_the_numbers_of_its_run_on_its_data_set(ran):
    results = read_results(ran / "runs" / "on-all-but-two")
    test = results.head.of(TEST)
    clips = test.rows(np.flatnonzero([name.startswith("two/") for name in test.ids]))
    (cell,) = [one for one in found(ran)["cells"] if (one["trained"], one["tested"]) == ("all but two", "two")]
    assert cell["measures"]["roc_auc"]["value"] == evaluate(clips.labels, clips.probabilities)["roc_auc"].value
    assert cell["fake"] == int((clips.labels == FAKE).sum())
    assert cell["people"] == 4
    assert cell["unlike"] == pytest.approx((clips.distances > 1).mean())
    assert cell["paired"]["share"]["value"] == results.paired_share(clips, 0, 0).share.value
    assert any("only 4 people" in text for text in cell["warnings"])


def test_the_split_file_of_a_head_repeats_it(ran):
    results = read_results(ran / "runs" / "on-two")
    config = results.config.config
    folders = tuple(one.features for one in results.config.data_sets)
    again = gather(DataConfig(folders), SplitConfig("csv", val=0.0, csv=ran / "splits" / "two.csv"))
    assert config["split_csv"] == str(ran / "splits" / "two.csv")
    assert again.split.parts == [results.split[record.id].part for record in again.contents.records]


def test_the_page_has_one_picture_and_every_number(ran):
    page = Reader((ran / "protocols.html").read_text())
    assert not any("http" in value for _, value in page.values)
    text = " ".join(page.words)
    for cell in found(ran)["cells"]:
        assert f"{cell['measures']['roc_auc']['value']:.3f}" in text
    assert "four : tested whole" in text or "four: tested whole" in text
    assert "People of different data sets count as different people" in text
    assert [path.name for path in sorted((ran / "figures").iterdir())] == ["matrix.png", "matrix.svg"]
    with (ran / "tables" / "matrix.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["trained on", *NAMES, "four"]
    assert len(rows) == 8


def test_people_of_two_data_sets_who_are_the_same_are_leaks(few_epochs, tmp_path, capsys):
    one, two = (write_features(tmp_path, pairs(), name=name, seed=seed).folder for seed, name in enumerate("ab"))
    people = tmp_path / "people.csv"
    # id8 to id11 are tested in each; here those of b are people of train in a.
    people.write_text("dataset,person,as\n" + "".join(f"a,id{n},p{n}\nb,id{n + 8},p{n}\n" for n in range(4)))
    words = f"--features {one},{two} --same-people {people} --out {tmp_path / 'out'} --head mean --resamples 20"
    assert main(["protocols", *words.split()]) == 0
    cells = {(cell["trained"], cell["tested"]): cell for cell in found(tmp_path / "out")["cells"]}
    assert list(cells) == [(r, c) for r in ("a", "b", "all") for c in "ab"]
    leak = "test clips show a person who is also in train"
    assert any(leak in text for text in cells["a", "b"]["warnings"])
    assert not any(leak in text for text in cells["b", "b"]["warnings"])
    printed = capsys.readouterr().out
    assert "ROC AUC, trained on  on a" in printed
    assert "On other data sets, a head reaches ROC AUC" in printed


@pytest.mark.parametrize(("ends", "told"), [((None, None), True), ((0.6, 0.8), False)])
def test_areas_without_an_interval_are_counted_in_the_sentence(ends, told):
    undefined = PairedShare(Measure(None, None, None), 0, 0)
    cell = Cell("a", "a", True, 10, 5, 2, 1, {"roc_auc": Measure(0.7, *ends)}, None, undefined, None, [], [])
    (said,) = sentences(Matrix([cell], {}, []))
    assert said.endswith("; 1 of these 1 areas have no interval, for so few people are tested.") == told


def test_scores_of_another_detector_are_a_row(few_epochs, tmp_path):
    folders = [write_features(tmp_path, pairs(), name=name, seed=seed).folder for seed, name in enumerate("ab")]
    tested = [f"a/{record.id}" for record in pairs() if record.part == TEST]
    scores = tmp_path / "other.csv"
    lines = (f"{name},{0.9 if 'synthesis' in name else 0.2}\n" for name in tested[1:])
    scores.write_text("id,probability\n" + "".join(lines))
    config = ProtocolsConfig(tuple(folders), out=tmp_path / "out", scores=(scores,), head="mean", resamples=20)
    page = protocols(config)
    cells = {(one["trained"], one["tested"]): one for one in found(tmp_path / "out")["cells"]}
    own = cells["scores of other", "a"]
    assert ("scores of other", "b") not in cells  # it has no score of these
    assert own["measures"]["roc_auc"]["value"] == 1
    assert (own["clips"], own["baseline"], own["inside"]) == (None, None, False)
    assert own["real"] + own["fake"] == len(tested) - 1
    assert own["warnings"][0] == "1 test clips have no score, and are not counted."
    assert "scores of other" in " ".join(Reader(page.read_text()).words)
    with pytest.raises(UserError, match="are for several data sets"):
        protocols(ProtocolsConfig(folders[0], out=tmp_path / "one", scores=(scores,)))
    scores.write_text("id,probability\nnobody,0.5\n")
    with pytest.raises(UserError, match="has no score of the 48 test clips"):
        protocols(dataclasses.replace(config, out=tmp_path / "none"))
    assert not (tmp_path / "none" / "runs").exists()


def test_a_data_set_that_cannot_be_split_is_named_before_anything_is_trained(tmp_path):
    one = write_features(tmp_path, pairs(), name="one").folder
    reals = [record for record in pairs() if not record.label]
    two = write_features(tmp_path, reals, name="two").folder
    with pytest.raises(UserError, match=r"two cannot be trained and tested on: .*18 real|36 real"):
        protocols(ProtocolsConfig((one, two), out=tmp_path / "out"))
    assert not (tmp_path / "out" / "runs").exists()


def test_features_of_another_network_are_crossed_like_ours(tmp_path):
    """Taken in from a file for each data set; alone, as several and as one that is only tested on."""
    folders = []
    for seed, name in enumerate("ab"):
        contents = load(write_features(tmp_path / "ours", pairs(), name=name, seed=seed, strength=2.0))
        records = contents.records
        texts = {key: np.array([getattr(one, key) for one in records]) for key in ("id", "target", "donor", "part")}
        given = {"features": contents.arrays, "label": contents.labels, "mask": contents.mask} | texts
        np.savez(tmp_path / name, **given)  # pyright: ignore[reportArgumentType]
        folders.append(import_features(tmp_path / f"{name}.npz", "clip.vit", None, tmp_path / "data"))
    settings = {"head": "mean", "resamples": 20}
    protocols(ProtocolsConfig(tuple(folders), out=tmp_path / "several", **settings))
    cells = {(one["trained"], one["tested"]): one for one in found(tmp_path / "several")["cells"]}
    assert cells["a", "b"]["measures"]["roc_auc"]["value"] > 0.8
    card = write_report(ReportConfig(tmp_path / "several" / "runs" / "on-all", resamples=20)).with_name("model-card.md")
    assert "numbers a frame, made by clip.vit and brought in, a file for each data set." in card.read_text()
    protocols(ProtocolsConfig(folders[0], (folders[1],), out=tmp_path / "one", **settings))
    numbers = json.loads((tmp_path / "one" / "protocols.json").read_text())["protocols"]
    across = next(one for one in numbers if one["name"] == "trained by official, tested on b")
    assert across["over_people"]["roc_auc"]["value"] > 0.8
