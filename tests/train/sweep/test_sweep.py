"""Sweeps: every trial once whatever kills them, chosen by validation alone, and bad input told in a sentence."""

import contextlib
import csv
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load as load_store
from cache.store import open_store
from evaluate.results.read import read_results
from evaluate.sweep_page import PAGE, LeaderboardConfig, draw_running_sweep, write_leaderboard_page
from extract.config import ExtractConfig
from extract.pipeline import extract
from tests import ROOT
from tests.stores import pairs, write_features
from train.heads.memory import bytes_each, slots_that_fit
from train.heads.stack import Stack
from train.runs.folder import latest
from train.runs.live import LIVE
from train.sweep import running, stage
from train.sweep.leaderboard import BASELINE
from train.sweep.ranking import auc_error, conclusion, in_order, number_of_folds, ranking_sets, score
from train.sweep.stage import SweepConfig, _training_set, sweep


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("data"), pairs())


def quick(store, folder: Path, **changes) -> SweepConfig:
    small = SweepConfig(
        features=store.folder, sweeps=folder / "sweeps", runs=folder / "runs", trials=10, heads=("mean", "lstm"),
        units=(4,), dense=4, components=8, epochs=8, patience=4, first_rung=2, factor=2, best=2, places=4, folds=1,
    )  # fmt: skip
    return replace(small, **changes)


def board(folder: Path) -> list[dict[str, str]]:
    """The trials; the baseline stands among them."""
    return [row for row in whole_board(folder) if row["trial"] != BASELINE]


def whole_board(folder: Path) -> list[dict[str, str]]:
    with (folder / "leaderboard.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def swept(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept")
    return sweep(quick(store, folder))


def test_every_trial_is_on_the_leaderboard_best_first(swept):
    rows = board(swept)
    assert sorted(int(row["trial"]) for row in rows) == list(range(10))
    assert Counter(row["head"] for row in rows) == {"mean": 5, "lstm": 5}
    complete = [row for row in rows if row["state"] == "complete"]
    values = [float(row["val_auc"]) for row in complete]
    assert rows[: len(complete)] == complete
    assert values == sorted(values, reverse=True)
    assert all(row["state"] in ("complete", "pruned") for row in rows)


def test_the_best_are_runs_with_what_the_leaderboard_says(swept):
    runs = swept.parents[1] / "runs"
    complete = [row for row in board(swept) if row["state"] == "complete"]
    folders = [runs / f"sweep-trial{row['trial']}" for row in complete[:2]]
    assert (runs / "best").resolve() == folders[0].resolve()
    for folder, row in zip(folders, complete, strict=False):
        found = read_results(folder)
        losses, best = found.history["val_loss"], int(row["best_epoch"])
        assert losses[best] == pytest.approx(float(row["val_loss"]), rel=1e-4)
        assert np.nanargmin(losses) == best
        assert found.history["val_auc"][best] == pytest.approx(float(row["val_auc"]), abs=1e-6)
        assert found.config.config["seed"] == int(row["trial"])
    assert latest(runs) in folders


def test_the_page_shows_every_trial_and_what_made_the_difference(swept):
    path = write_leaderboard_page(LeaderboardConfig(swept))
    text = path.read_text()
    assert text.count("<tr>") == 12  # with that of the baseline
    assert text.count("<svg") == 2
    assert "Which value makes the difference cannot be told" in text  # all of these trials reach 1.000
    assert not re.findall(r"https?://(?!www\.w3\.org)|src=", text), "the page asks for something outside itself"
    assert re.search(r"<p>10 trials: \d+ finished(, \d+ stopped early)?\. .* No trial is clearly better than", text)
    assert "val_auc" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    runs = json.loads((swept / "sweep.json").read_text())["runs"]
    links = re.findall(r'<a href="([^"]+)">([^<]+)</a>', text)
    assert [(swept / target).resolve() for target, _ in links] == [Path(run).resolve() for run in runs]
    trials = re.findall(r'<th scope="row">\d+</th><td>(\d+)</td><td><a ', text)
    assert [name.rpartition("trial")[2] for _, name in links] == trials
    for name in ("history", "parallel"):
        assert (swept / f"{name}.png").stat().st_size > 4000
    (swept.parent / "other").mkdir()
    with pytest.raises(UserError, match=r"leaderboard\.csv is missing"):
        write_leaderboard_page(LeaderboardConfig(swept.parent / "other"))


def test_the_page_grows_while_the_sweep_runs_and_stays_where_it_is_killed(store, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(running, "SHARE", 1e9)
    pages: list[str] = []

    def draw(folder, *arguments):
        draw_running_sweep(folder, *arguments)
        pages.append((folder / PAGE).read_text())
        if len(pages) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(quick(store, tmp_path), draw)
    assert [re.findall(r"<p>(\d+) of 10 trials", page) for page in pages] == [["1"], ["2"], ["3"]]
    folder = tmp_path / "sweeps" / "sweep"
    assert (folder / PAGE).read_text() == pages[-1]
    assert "The sweep is running, or was interrupted here" in pages[-1]
    assert "logistic regression" in pages[-1]
    assert not (folder / "leaderboard.csv").exists()
    over = write_leaderboard_page(LeaderboardConfig(sweep(quick(store, tmp_path)))).read_text()
    assert "<p>10 trials: " in over
    assert "running" not in over


def test_pages_of_a_running_sweep_are_seconds_apart(tmp_path, monkeypatch):
    now, drawn = [100.0], []
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    page = running.RunningPage(lambda *_: drawn.append(now[0]), tmp_path, 10)
    for _ in range(12):
        page.look(list, 1)
        now[0] += 1
    assert drawn == [100, 105, 110]


def test_each_trial_is_written_for_tensorboard_and_stays_the_same(store, tmp_path, swept):
    folder = sweep(quick(store, tmp_path, log="tensorboard"))
    assert (folder / "leaderboard.csv").read_bytes() == (swept / "leaderboard.csv").read_bytes()
    watched = {path.name for path in (folder / LIVE).iterdir()}
    assert watched == {f"trial-{row['trial']}" for row in board(folder)}
    assert all(list(path.glob("events*")) for path in (folder / LIVE).iterdir())


def test_the_page_draws_how_much_each_value_explains_where_one_does(swept, tmp_path):
    folder = Path(shutil.copytree(swept, tmp_path / "sweep"))
    for shares, figures in (({"units": 0.0, "learning_rate": 0.0}, 2), ({"units": 0.25, "learning_rate": 0.75}, 3)):
        summary = json.loads((folder / "sweep.json").read_text()) | {"importances": shares}
        (folder / "sweep.json").write_text(json.dumps(summary))
        text = write_leaderboard_page(LeaderboardConfig(folder)).read_text()
        assert text.count("<svg") == figures
        assert (folder / "importance.png").exists() == ("cannot be told" not in text) == (figures == 3)
    assert (folder / "importance.png").stat().st_size > 4000


def test_the_test_part_is_never_read(store, tmp_path, swept):
    """With the features of the test clips replaced by other numbers, every trial is what it was."""
    changed = write_features(tmp_path / "other", pairs())
    config = quick(changed, tmp_path)
    training_set = _training_set(config)
    tested = training_set.rows("test")
    assert len(tested)
    training_set.contents.arrays[tested] = 9
    sweep(config)
    names = ("trial", "state", "val_auc", "val_loss", "learning_rate")
    assert [[row[name] for name in names] for row in board(config.folder)] == [
        [row[name] for name in names] for row in board(swept)
    ]


def test_a_sweep_that_is_done_does_nothing_again_and_goes_on_when_asked_for_more(store, tmp_path):
    config = quick(store, tmp_path, heads=("mean",), trials=4, best=1, sampler="random")
    folder = sweep(config)
    run = (config.runs / "best" / "run.json").stat().st_mtime_ns
    sweep(config)
    (folder_of_best,) = config.runs.glob("sweep-*")
    assert (config.runs / "best" / "run.json").stat().st_mtime_ns == run
    learnt = read_results(folder_of_best).head.probabilities
    shutil.rmtree(folder_of_best)
    sweep(config)  # trains it once more
    assert read_results(folder_of_best).head.probabilities == pytest.approx(learnt, abs=1e-4)
    first = {row["trial"]: row["learning_rate"] for row in board(folder)}
    sweep(replace(config, trials=6))
    rows = board(folder)
    assert len(rows) == 6
    assert {row["trial"]: row["learning_rate"] for row in rows if row["trial"] in first} == first


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_has_every_trial_once(store, tmp_path):
    flags = [f"--features={store.folder}", f"--sweeps={tmp_path / 'sweeps'}", f"--runs={tmp_path / 'runs'}"]
    flags += ["--heads=lstm", "--units=4", "--trials=24", "--components=8", "--places=3", "--best=1"]
    command = [sys.executable, "-m", "train", "sweep", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    database, ended = tmp_path / "sweeps" / "sweep" / "study.db", 0
    for _ in range(600):
        ended = _ended(database)
        if ended >= 5:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 5 <= ended < 24
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    rows = board(database.parent)
    assert sorted(int(row["trial"]) for row in rows) == list(range(24))
    assert _ended(database) == 24
    assert len({row["learning_rate"] for row in rows}) == 24


def _ended(database: Path) -> int:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute("SELECT COUNT(*) FROM trials WHERE state != 'RUNNING'").fetchone()
            return count
    except sqlite3.OperationalError:  # it is just being made
        return 0


def test_two_sweeps_of_one_name_do_not_run_at_once(store, tmp_path):
    from train.sweep.study import alone

    config = quick(store, tmp_path)
    config.folder.mkdir(parents=True)
    with alone(config.folder), pytest.raises(UserError, match="in use by another sweep"):
        sweep(config)


def test_where_case_makes_no_difference_a_name_resumes_the_sweep_that_it_opens(store, swept, monkeypatch):
    """As on most disks of macOS; a second study in that folder would replace the leaderboard of the first."""
    swept.with_name("Sweep").symlink_to("sweep")
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: (path for path in listed(self) if path.name != "Sweep"))
    before = board(swept)
    folder = sweep(quick(store, swept.parents[1], name="Sweep"))
    with contextlib.closing(sqlite3.connect(swept / "study.db")) as connection:
        assert connection.execute("SELECT study_name FROM studies").fetchall() == [("sweep",)]
    assert (folder, board(swept)) == (swept, before)


def test_a_sweep_goes_on_without_locks(tmp_path, monkeypatch, capsys):
    from train.sweep.study import alone

    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path):
        assert f"{tmp_path} is on a file system without locks (Operation not supported)" in capsys.readouterr().out


def test_a_sweep_asks_first_where_it_can_write(store, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(stage, "gather", lambda *_: pytest.fail("it worked first"))
    with pytest.raises(UserError, match=r"file cannot be written \(Not a directory\); choose another --sweeps"):
        sweep(replace(quick(store, tmp_path), sweeps=tmp_path / "file"))
    with pytest.raises(UserError, match=r"file cannot be written \(Not a directory\); choose another --runs"):
        sweep(replace(quick(store, tmp_path), runs=tmp_path / "file"))


def test_a_study_of_other_features_or_another_space_is_refused(store, swept, tmp_path):
    config = quick(store, swept.parents[1])
    with pytest.raises(UserError, match=r"was made for units \[4\], and this sweep has \[5\]; choose another --name"):
        sweep(replace(config, units=(5,)))
    other = write_features(tmp_path, pairs(people=14))
    with pytest.raises(UserError, match="was made for videos and parts"):
        sweep(replace(config, features=other.folder))


def test_a_trial_gone_astray_fails_and_the_others_go_on(store, tmp_path, monkeypatch):
    put = Stack.put
    monkeypatch.setattr(
        Stack,
        "put",
        lambda self, slot, rate, decay, seed, fold: put(self, slot, 1e38 if seed == 2 else rate, decay, seed, fold),
    )
    rows = board(sweep(quick(store, tmp_path, heads=("mean",), trials=4, best=1)))
    failed = [row for row in rows if row["state"] == "fail"]
    assert [row["trial"] for row in failed] == ["2"]
    assert "was nan" in failed[0]["reason"]
    assert len(rows) == 4


@pytest.mark.slow
def test_where_memory_is_short_fewer_are_trained_at_once(store, tmp_path, monkeypatch, capsys):
    step, seen = Stack.step, []

    def limited(self, *arguments):
        seen.append(self.slots)
        if self.slots > 1:
            raise MemoryError
        step(self, *arguments)

    monkeypatch.setattr(Stack, "step", limited)
    rows = board(sweep(quick(store, tmp_path, heads=("mean",), trials=4, best=1)))
    assert sorted(set(seen), reverse=True) == [4, 2, 1]
    assert sorted(row["trial"] for row in rows) == ["0", "1", "2", "3"]
    assert "memory is short: training 2 trials" in capsys.readouterr().out


def test_slots_are_halved_until_they_fit(store, tmp_path, monkeypatch, capsys):
    config = quick(store, tmp_path, heads=("lstm",))
    inputs, shape = _training_set(config).inputs(8, False), config.fit_config(config.space.groups[0], 0).head_config
    each = bytes_each(shape, inputs, 32)
    monkeypatch.setattr("train.heads.memory.free_memory", lambda: 10 * each)
    assert slots_that_fit(16, shape, inputs, 32) == 4
    assert "training 4 at once" in capsys.readouterr().out


@pytest.mark.slow
def test_a_grid_holds_every_combination_once(store, tmp_path):
    config = quick(store, tmp_path, heads=("mean",), sampler="grid", points=2, trials=8, dropout=(0.3, 0.3), best=1)
    with pytest.raises(UserError, match="has 4 trials, not 8; give --trials 4"):
        sweep(config)
    rows = board(sweep(replace(config, trials=4)))
    found = {(float(row["learning_rate"]), float(row["weight_decay"])) for row in rows}
    assert found == {(rate, decay) for rate in (3e-4, 1e-2) for decay in (1e-6, 1e-1)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": (1e-2, 1e-3)}, r"--learning-rate 0\.01,0\.001 is no range"),
        ({"dropout": (0.5,)}, "--dropout 0.5 is no range"),
        ({"heads": ()}, "each need a value"),
        ({"heads": ("transformer",)}, "unknown head"),
        ({"differences": (2,)}, "differences only 0 or 1"),
        ({"trials": 0}, "must be 1 or above"),
        ({"jobs": 2, "backend": "dask"}, "--backend dask is for programs that are connected to a cluster"),
        ({"name": "../x"}, "not the name of a folder"),
        ({"val": 0.0}, "0 validation videos, and a sweep needs both"),
        ({"storage": "sqlite:////nowhere/at/all.db"}, "cannot be opened"),
    ],
)
def test_what_cannot_be_swept_is_told_in_a_sentence(store, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        sweep(quick(store, tmp_path, **changes))


def test_both_classes_weigh_the_same_in_training(tmp_path, step_weights):
    uneven = write_features(tmp_path, [record for record in pairs() if record.label or record.id.endswith("0.mp4")])
    sweep(quick(uneven, tmp_path, heads=("mean",), trials=2, epochs=1, batch=1000, places=2, best=1))
    real_weight, fake_weight = step_weights()
    assert real_weight == pytest.approx(fake_weight)


@pytest.mark.slow
def test_one_value_is_a_range_too(store, tmp_path):
    config = quick(store, tmp_path, heads=("mean",), trials=2, best=1, learning_rate=(1e-3, 1e-3))
    assert {row["learning_rate"] for row in board(sweep(config))} == {"0.001"}


def test_the_error_of_an_auc_is_that_of_repeated_samples():
    random = np.random.default_rng(0)
    reals, fakes, shift = 40, 60, 0.8
    scores = random.normal(0, 1, (4000, reals)), random.normal(shift, 1, (4000, fakes))
    wins = (scores[1][:, :, None] > scores[0][:, None, :]).mean(axis=(1, 2))
    assert auc_error(float(wins.mean()), reals, fakes) == pytest.approx(wins.std(), rel=0.1)
    assert 0.05 < auc_error(1.0, 3, 4) < 0.2  # not zero, though all is right
    assert 0.05 < auc_error(0.0, 3, 4) < 0.2


def test_of_equally_good_trials_the_one_with_the_lower_loss_comes_first():
    rows = [
        {"trial": name, "state": state, "val_auc": area, "val_loss": loss}
        for name, state, area, loss in (
            (0, "complete", 1.0, 0.4), (1, "pruned", 1.0, 0.1), (BASELINE, BASELINE, 1.0, 0.3),
            (2, "complete", 1.0 - 1e-13, 0.2), (3, "fail", None, None), (4, "complete", 0.9, 0.1),
        )
    ]  # fmt: skip
    assert [row["trial"] for row in in_order(rows)] == [2, BASELINE, 0, 4, 1, 3]


def test_the_error_of_a_mean_is_what_folds_differ_by_and_never_zero():
    spread = score([0.6, 0.8, 0.7], [0.5, 0.4, 0.3], [(900, 900)] * 3)
    assert spread["val_auc"] == pytest.approx(0.7)
    assert spread["val_auc_error"] == pytest.approx(0.1 / np.sqrt(3), rel=1e-6)
    assert spread["val_loss"] == pytest.approx(0.4)
    assert score([1.0, 1.0], [0.1, 0.1], [(5, 5)] * 2)["val_auc_error"] > 0.02
    assert score([float("nan"), 0.8], [0.1, 0.1], [(0, 5), (20, 20)])["val_aucs"] == [0.8]


def trial(*areas: float) -> dict[str, object]:
    return {"state": "complete", **score(areas, [0.5] * len(areas), [(20, 20)] * len(areas))}


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([trial(0.72, 0.81, 0.69, 0.75, 0.78)], "No trial is clearly better"),
        ([trial(0.9, 0.92, 0.88, 0.9, 0.91), trial(0.7, 0.8, 0.7, 0.75, 0.78)], "1 of 2 finished trials are clearly"),
        ([trial(0.5, 0.52, 0.49, 0.51, 0.5)], "Every finished trial is clearly worse"),
        ([], "No trial was finished"),
    ],
)
def test_whether_a_trial_differs_from_the_baseline_is_said_in_a_sentence(trials, said):
    baseline = trial(0.7, 0.8, 0.7, 0.72, 0.8)
    assert said in conclusion(trials, baseline)
    # One part measured once says less than five folds do.
    assert "No trial is clearly better" in conclusion([trial(0.78)], trial(0.74))


def test_a_sweep_by_folds_ranks_by_everybody_outside_test(store, tmp_path, capsys):
    config = quick(store, tmp_path, heads=("mean",), trials=4, best=2, folds=4)
    folder = sweep(config)
    rows = whole_board(folder)
    assert len(rows) == 5
    assert rows == sorted(
        rows, key=lambda row: (row["state"] == "pruned", -float(row["val_auc"]), float(row["val_loss"]))
    )
    assert all(float(row["val_auc_error"]) > 0 for row in rows)
    training_set = _training_set(config)
    sets = ranking_sets(training_set, 4, config.split_seed)
    seen: list[int] = []
    for one in sets:
        assert not set(one.train) & set(one.val)
        records = training_set.contents.records
        held = {records[row].target for row in one.val}
        assert not held & {name for row in one.train for name in records[row].people}
        seen += one.val.tolist()
    assert sorted(seen) == sorted([*training_set.train, *training_set.val])
    runs = json.loads((folder / "sweep.json").read_text())
    assert runs["folds"] == 4
    assert "Means over 4 folds by person" in capsys.readouterr().out
    assert "by the mean over 4 folds by person" in write_leaderboard_page(LeaderboardConfig(folder)).read_text()
    for run in map(Path, runs["runs"]):  # trained by the sweep's own split, with its test part
        assert set(read_results(run).head.parts) == {"train", "val", "test"}
    again = sweep(replace(config, best=1))  # nothing is tried anew
    assert whole_board(again) == rows


def test_a_sweep_chooses_by_folds_where_validation_is_small(store, tmp_path):
    config, small = quick(store, tmp_path, folds=None), _training_set(quick(store, tmp_path))
    assert number_of_folds(config, small) == 5
    many = write_features(tmp_path / "many", pairs(people=80, clips=6))
    config = replace(config, features=many.folder)
    large = _training_set(config)
    assert number_of_folds(config, large) == 1
    assert number_of_folds(replace(config, folds=3), large) == 3
    two = write_features(tmp_path / "two", pairs(people=4, clips=8, tested=2))  # each is the other's donor
    config = replace(config, features=two.folder, split="random")
    assert number_of_folds(config, _training_set(config)) in (1, 4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_folds_take_less_than_three_times_the_seconds_of_one(tmp_path):
    data, weights = ROOT.parent / "shared/celeb-df-mini", ROOT.parent / "shared/weights/mobilenet_v2_imagenet_notop.h5"
    if not (data.exists() and weights.exists()):
        pytest.skip("celeb-df-mini and its weights are not here")
    features = extract(ExtractConfig(data=data, backbone="mobilenetv2", weights=str(weights), out=tmp_path / "data"))
    records = load_store(open_store(features)).records
    parts = "".join(f"{one.id},{'val' if one.target == 'id4' else 'train'}\n" for one in records)
    (tmp_path / "parts.csv").write_text(f"id,part\n{parts}")
    seconds = {}
    for folds in (1, 5):
        config = SweepConfig(
            features, tmp_path / "sweeps", tmp_path / "runs", f"of{folds}", split="csv", folds=folds,
            split_csv=tmp_path / "parts.csv",
        )  # fmt: skip
        before = time.process_time()  # seconds of wall time depend on who else is there
        sweep(config)
        seconds[folds] = time.process_time() - before
    assert seconds[5] < 3 * seconds[1]
