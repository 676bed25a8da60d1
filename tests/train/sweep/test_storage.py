"""The URL of a sweep's storage: its secrets open the database, and are in no file and on no terminal."""

from dataclasses import replace

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from base.errors import UserError
from tests.stores import pairs, write_features
from train.sweep.stage import SweepConfig, sweep
from train.sweep.storage import VARIABLE, shown, storage_errors, storage_of, without_secrets

URL = "postgresql://me:hunter%402@127.0.0.1:1/db?password=hunter3&sslmode=require"


@pytest.fixture
def config(tmp_path) -> SweepConfig:
    features = write_features(tmp_path, pairs()).folder
    return SweepConfig(features, tmp_path / "sweeps", tmp_path / "runs", heads=("mean",), units=(4,), dense=4,
                       trials=2, components=4, epochs=2, best=1)  # fmt: skip


def test_a_url_is_shown_without_its_secrets():
    assert shown(URL) == "postgresql://me:***@127.0.0.1:1/db?password=%2A%2A%2A&sslmode=require"
    assert shown("sqlite:////tmp/study.db") == "sqlite:////tmp/study.db"
    text = f"{URL} with hunter@2, hunter%402 and hunter3 failed"
    assert "hunter" not in without_secrets(text, URL)


@pytest.mark.parametrize(
    "url", ["me:hunter2@host", "mysql://me:hunter@2@host/db", "mysql://me:hunter2@host:hunter2/db"]
)
def test_what_is_no_url_is_not_repeated(url, config):
    with pytest.raises(UserError, match="--storage is not a database URL") as told:
        sweep(replace(config, storage=url))
    assert "hunter" not in str(told.value)
    assert "host:" not in str(told.value)


def test_a_swept_secret_is_in_no_file_and_on_no_terminal(config, tmp_path, capfd, monkeypatch):
    storage = f"sqlite:///file:{tmp_path / 'shared.db'}?uri=true&password=hunter2"
    monkeypatch.setenv(VARIABLE, storage)
    folder = sweep(config)
    assert (tmp_path / "shared.db").stat().st_size
    assert not (folder / "study.db").exists()
    said = capfd.readouterr()
    assert "hunter2" not in said.out + said.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"sweep.json", "config.json", "leaderboard.csv"} <= {path.name for path in files}
    assert [path for path in files if b"hunter2" in path.read_bytes()] == []
    assert "password=%2A%2A%2A" in (folder / "sweep.json").read_text()


@pytest.mark.parametrize(
    "error", [OperationalError(f"connect to {URL}", None, Exception("hunter@2 is wrong")), ImportError(f"no {URL}")]
)
def test_a_storage_that_cannot_be_opened_is_one_sentence_without_secrets(config, monkeypatch, tmp_path, capfd, error):
    def fail(**_):
        raise error

    monkeypatch.setattr(optuna, "create_study", fail)
    with pytest.raises(
        UserError, match=r"the study postgresql://me:\*\*\*@.* cannot be opened \(.*\); use anoth"
    ) as told:
        sweep(replace(config, storage=URL))
    said = capfd.readouterr()
    assert "hunter" not in str(told.value) + said.out + said.err
    assert told.value.__suppress_context__
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter" in path.read_bytes()]


def test_a_database_that_is_lost_on_the_way_is_one_sentence_without_secrets():
    with pytest.raises(UserError, match="cannot be opened") as told, storage_errors(URL):
        raise OperationalError("select", None, Exception(f"server closed the connection of {URL}"))
    assert "hunter" not in str(told.value)
    with pytest.raises(ZeroDivisionError), storage_errors(URL):  # a bug stays one
        _ = 1 // 0


def test_the_flag_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "sqlite:///theirs.db")
    assert storage_of("sqlite:///mine.db") == "sqlite:///mine.db"
    assert storage_of(None) == "sqlite:///theirs.db"
    monkeypatch.delenv(VARIABLE)
    assert storage_of(None) is None
