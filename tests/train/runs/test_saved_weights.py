"""A head with damaged weights is refused when it is loaded; a run of an earlier version is opened as before."""

import shutil

import numpy as np
import pytest

from base.errors import UserError
from tests.strangers import SIZE, arrays, edit, flipped, spoil, without_checks, write_head_run
from train.runs.folder import CONFIG, WEIGHTS
from train.runs.load import load_head, read_run
from train.runs.replay import Replay, head_clip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_head_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def load(folder):
    run = read_run(folder)
    return load_head(run, run.profile)


def lstm(folder):
    return next(name for name in arrays(folder / WEIGHTS) if "lstm" in name)


def test_a_whole_head_is_loaded(run):
    replay = read_run(run).config.replay
    assert replay
    found = load(run).predict_on_batch(head_clip(replay.frame))
    assert float(found[0, 0]) == pytest.approx(replay.probability, abs=1e-5)
    assert 0.05 < replay.probability < 0.95
    assert len(replay.frame) < 3 * SIZE


@pytest.mark.parametrize(
    ("change", "known", "what"),
    [
        (flipped, True, "not those that were written"),
        (np.zeros_like, False, "to the clip that had"),
        (lambda values: np.full_like(values, np.nan), False, "not finite"),
    ],
)
def test_a_damaged_head_is_refused(run, change, known, what):
    spoil(run, lstm(run), change, known=known)
    with pytest.raises(UserError, match=rf"{WEIGHTS} does not hold the weights of the run \(.*{what}"):
        load(run)


NUMBERS = [np.zeros_like, lambda values: np.full_like(values, np.nan), lambda values: np.full_like(values, np.inf)]


def refused(whole, folder, change, *, known):
    """Damages one array after the other; returns which heads were refused, by array."""
    found = {}
    for number, name in enumerate(arrays(whole / WEIGHTS)):
        run = shutil.copytree(whole, folder / str(number))
        spoil(run, name, change, known=known)
        try:
            load(run)
            found[name] = False
        except UserError as error:
            found[name] = "does not hold the weights of the run" in str(error)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("change", [flipped, *NUMBERS])
def test_damage_to_any_layer_is_found(whole, tmp_path, change):
    assert all(refused(whole, tmp_path, change, known=True).values())


@pytest.mark.slow
@pytest.mark.parametrize("change", NUMBERS)
def test_damage_is_found_where_the_checksum_was_written_anew(whole, tmp_path, change):
    """All but what moves the probability by less than rounding may: here two arrays inside gates that are shut."""
    found = refused(whole, tmp_path, change, known=False)
    assert sum(not each for each in found.values()) <= (2 if change is np.zeros_like else 0)


def test_a_run_of_an_earlier_version_is_loaded_unless_its_numbers_are_none(run):
    without_checks(run)
    load(run)
    spoil(run, lstm(run), lambda values: np.full_like(values, np.inf), known=True)
    with pytest.raises(UserError, match="has numbers that are not finite"):
        load(run)


@pytest.mark.parametrize("frame", ["", "AAAA", "=", "é"])
def test_a_clip_to_replay_that_is_none_is_refused(run, frame):
    edit(run / CONFIG, lambda values: values["replay"].update(frame=frame))
    with pytest.raises(UserError, match=r"the clip to try it on is damaged|a text matching regex"):
        load(run)


@pytest.mark.parametrize("output", [np.nan, 7.0, 0.49])
def test_a_clip_has_to_come_out_again(output):
    assert Replay(0.5).damage(lambda _: np.full((1, 1), output), {})
    assert not Replay(0.5).damage(lambda _: np.full((1, 1), 0.5005), {})
