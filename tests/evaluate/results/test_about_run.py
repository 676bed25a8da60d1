"""What is said of a run beside its verdicts: its own evaluation, where there is one, and reasons not to believe it."""

import json
from dataclasses import replace

import pytest

from cache.profile import CropProfile, FeatureProfile, fingerprint
from cache.store import Origin
from evaluate.results.about_run import AboutRun, MeasuredArea, about_run, about_several, doubts
from train.runs.folder import NEIGHBOURS
from train.runs.recipe import Joined, RunConfig

CONFIG = RunConfig(config={}, profile=FeatureProfile(CropProfile()), fingerprint="")
RANDOM = replace(CONFIG, profile=FeatureProfile(CropProfile(), weights="random:0"))
METRICS = {
    "counts": {"test": {"real": 30, "fake": 34}},
    "parts": {"test": {"head": {"scores": {"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}}}}},
}


def about(folder, metrics=None, config=None):
    if metrics is not None:
        (folder / "report").mkdir()
        (folder / "report" / "metrics.json").write_text(metrics)
    return about_run(folder, config or CONFIG, None)


def test_the_run_and_its_own_test_result_are_named(tmp_path):
    found = about(tmp_path, json.dumps(METRICS))
    assert found.roc_auc == MeasuredArea(0.8, 0.7, 0.9, 64)
    judged = f"Judged by {tmp_path.name}: ROC AUC 0.800 [0.700, 0.900] on 64 test clips."
    assert found.sentence == f"{judged} How unlike its training clips a clip is, it does not know."
    assert found.calls is None


def test_clips_of_people_who_were_trained_on_are_counted_beside_the_result(tmp_path):
    found = about(tmp_path, json.dumps(METRICS | {"known": 15}))
    assert found.quality.endswith("on 64 test clips, 15 of which show people who were trained on")
    assert found.sentence.startswith(f"Judged by {tmp_path.name}: {found.quality}.")


def test_how_its_test_clips_were_called_is_said_and_whether_it_knows_its_training_clips(tmp_path):
    (tmp_path / NEIGHBOURS).touch()
    calls = {"real": {"fake": 1, "real": 30}, "fake": {"fake": 30, "close": 3}}
    found = about(tmp_path, json.dumps(METRICS | {"calls": calls}))
    assert found.sentence.endswith(
        "on 64 test clips. In its test it called 30 of 33 fakes fake, 3 too close to call, and 1 of 31 real clips "
        "fake, 30 real."
    )


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        "{",
        "[]",
        '{"counts": {}}',
        json.dumps(METRICS).replace("0.8", "80"),
        json.dumps(METRICS).replace("0.8", '"high"'),
        json.dumps(METRICS).replace("30", "null"),
    ],
)
def test_without_a_report_that_can_be_read_it_was_not_evaluated(tmp_path, metrics):
    found = about(tmp_path, metrics)
    assert found.roc_auc is None
    assert "not evaluated, so nobody knows how good it is" in found.sentence


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG, []),
        (RANDOM, ["random weights"]),
        (replace(CONFIG, tuned_from="random:0"), ["random weights"]),
        (replace(CONFIG, origin=Origin(drawn=True)), ["drawn faces"]),
        (replace(RANDOM, origin=Origin(drawn=True)), ["random weights", "drawn faces"]),
    ],
)
def test_reasons_not_to_believe_a_run_are_given(tmp_path, config, said):
    found = about(tmp_path, config=config)
    assert [what for what in ("random weights", "drawn faces") if what in found.warning] == said
    assert found.warning.count("\n") == 0


def test_an_ensemble_has_the_doubts_of_its_members(tmp_path):
    for name, config in (("one", CONFIG), ("two", RANDOM)):
        (tmp_path / name).mkdir()
        config = replace(config, fingerprint=fingerprint(config.profile))
        (tmp_path / name / "config.json").write_text(json.dumps(config.entries()))
        (tmp_path / name / "run.json").write_text('{"created": "2026-01-01T00:00:00"}')
    members = [tmp_path / name for name in ("one", "two", "absent")]
    joined = replace(CONFIG, kind="ensemble", ensemble=Joined("average", members=members))
    assert any("random weights" in doubt for doubt in doubts(joined))
    assert not list(doubts(replace(joined, ensemble=Joined("average", members=members[:1]))))


def test_several_runs_are_named_but_were_not_evaluated_together():
    joined = about_several(
        [AboutRun(("a",), MeasuredArea(0.9, 0.8, 1.0, 9), doubts=("x",)), AboutRun(("b",), doubts=("x",))]
    )
    assert (joined.names, joined.roc_auc, joined.doubts) == (("a", "b"), None, ("x",))
    assert joined.sentence.startswith("Judged by a, b: not evaluated")
