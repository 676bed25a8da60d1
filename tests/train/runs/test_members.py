"""Members of an ensemble: the runs that were joined and no others, wherever all of them lie now."""

import json
import shutil
from pathlib import Path

import pytest

from base.errors import UserError
from detect.detector.load import judged, open_detector
from evaluate.compare.stage import CompareConfig, compare
from evaluate.results.about_run import RANDOM, about_run
from evaluate.results.read import read_results
from tests.refused import as_somebody_else, folder_of_all
from tests.strangers import edit, write_head_run
from train.runs.ensemble import EnsembleConfig, ensemble
from train.runs.folder import CONFIG, DONE, WEIGHTS
from train.runs.recipe import read_config, read_joined, run_digest


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return write_head_run(tmp_path_factory.mktemp("one") / "run")


@pytest.fixture
def runs(one, tmp_path):
    """Three runs, and `joined`, an ensemble of the first two."""
    folder = tmp_path / "runs"
    for seed in range(3):
        shutil.copytree(one, folder / f"seed{seed}")
        edit(folder / f"seed{seed}" / CONFIG, lambda values, seed=seed: values["config"].update(seed=seed))
    ensemble(EnsembleConfig((folder / "seed0", folder / "seed1"), runs=folder, name="joined"))
    return folder


def put_another_run(runs: Path) -> None:
    """Puts the third run into the folder of the second, a member."""
    shutil.rmtree(runs / "seed1")
    (runs / "seed2").rename(runs / "seed1")


def compared(folder: Path) -> Path:
    return compare(CompareConfig((folder, folder.with_name("seed0")), out=folder.parent / "out"))


def members_of(folder: Path) -> list[Path]:
    return read_joined(folder, read_config(folder)).members


OPENINGS = {
    "detect": open_detector,
    "eval": read_results,
    "compare": compared,
    "export": judged,
    "protocols": members_of,
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_another_run_in_the_place_of_a_member_is_refused(runs, opening):
    joined, other = run_digest(runs / "seed1"), run_digest(runs / "seed2")
    put_another_run(runs)
    with pytest.raises(UserError) as error:
        OPENINGS[opening](runs / "joined")
    place = runs / "seed1"
    assert str(error.value) == (
        f"{runs / 'joined'} was joined from the run {joined} in {place}, and in {place} there is another one now, "
        f"{other}; put the first back, or join again with reelcheck ensemble --members ...."
    )


@pytest.mark.parametrize("file", [DONE, CONFIG])
def test_a_member_is_known_by_its_weights_and_by_its_configuration(runs, file):
    """Another configuration of the same weights is another run, and so are other weights of the same configuration."""
    changes = {DONE: {"weights": {WEIGHTS: "0" * 32}}, CONFIG: {"size": 961}}
    edit(runs / "seed1" / file, lambda values: values.update(changes[file]))
    with pytest.raises(UserError, match="another one now"):
        members_of(runs / "joined")


def test_weights_without_a_checksum_are_read(runs):
    """As those of runs of earlier versions."""
    for seed in range(3):
        edit(runs / f"seed{seed}" / DONE, lambda values: values.pop("weights"))
    before = run_digest(runs / "seed1")
    assert run_digest(runs / "seed1") == before
    content = bytearray((runs / "seed1" / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (runs / "seed1" / WEIGHTS).write_bytes(content)
    assert run_digest(runs / "seed1") != before


def test_another_run_deep_in_an_ensemble_of_ensembles_is_refused(runs):
    nested = ensemble(EnsembleConfig((runs / "joined", runs / "seed0"), runs=runs, name="nested"))
    assert read_results(nested).head.ids
    put_another_run(runs)
    with pytest.raises(UserError, match=r"joined was joined from the run \w{12} in .*seed1, and in"):
        read_results(nested)


def test_an_ensemble_moved_with_its_members_finds_them_beside_it(runs, tmp_path):
    moved = runs.rename(tmp_path / "moved")
    assert members_of(moved / "joined") == [moved / "seed0", moved / "seed1"]
    assert RANDOM in about_run(moved / "joined", read_config(moved / "joined"), None).doubts
    put_another_run(moved)
    with pytest.raises(UserError, match="another one now"):
        members_of(moved / "joined")


def test_an_ensemble_whose_old_place_is_closed_finds_its_members_beside_it(runs):
    """As where somebody else's runs were copied: those of pytest are their owner's alone."""
    with folder_of_all() as copy:
        shutil.copytree(runs, copy, dirs_exist_ok=True)
        copy.chmod(0o755)
        with as_somebody_else():
            assert members_of(copy / "joined") == [copy / "seed0", copy / "seed1"]


def test_an_ensemble_moved_alone_finds_its_members_where_they_lay(runs, tmp_path):
    alone = (runs / "joined").rename(tmp_path / "alone")
    assert members_of(alone) == [runs / "seed0", runs / "seed1"]


def test_a_copy_takes_its_own_member_where_the_first_was_changed(runs, tmp_path):
    copy = shutil.copytree(runs, tmp_path / "copy")
    put_another_run(runs)
    assert members_of(copy / "joined") == [runs / "seed0", copy / "seed1"]


def test_an_ensemble_whose_members_are_gone_is_evaluated_by_what_it_said(runs):
    for seed in range(2):
        shutil.rmtree(runs / f"seed{seed}")
    assert read_results(runs / "joined").head.ids
    with pytest.raises(UserError, match="seed0 holds no finished run"):
        open_detector(runs / "joined")


def test_an_ensemble_of_an_earlier_version_opens_as_it_did(runs):
    edit(runs / "joined" / CONFIG, lambda values: values["ensemble"].pop("digests"))
    put_another_run(runs)
    assert members_of(runs / "joined") == [runs / "seed0", runs / "seed1"]
    assert read_results(runs / "joined").head.ids


def test_a_digest_too_few_is_told(runs):
    edit(runs / "joined" / CONFIG, lambda values: values["ensemble"]["digests"].pop())
    with pytest.raises(UserError, match="has 1 digests of 2 members"):
        members_of(runs / "joined")


def test_training_again_with_the_same_settings_gives_the_same_digest(runs, tmp_path):
    """Nothing of when or where a run was written is in it."""
    copy = shutil.copytree(runs / "seed1", tmp_path / "elsewhere")
    edit(copy / DONE, lambda values: values.update(created="2027-01-01T00:00:00+00:00", seconds=1.0))
    assert run_digest(copy) == run_digest(runs / "seed1")
    assert json.loads((runs / "joined" / CONFIG).read_text())["ensemble"]["digests"][1] == run_digest(copy)
