"""A training that is watched gives the same run, and its numbers are where TensorBoard reads them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.train.test_fit import quick, rows_of, store  # noqa: F401 - a fixture
from train.fit import fit
from train.runs import live as live_module
from train.runs.live import LIVE, Live, live_folder


def read(folder) -> dict[str, dict[int, float]]:
    """Returns the scalars of the event files in `folder`, by name and epoch, as TensorBoard finds them."""
    found: dict[str, dict[int, float]] = {}
    for path in folder.glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_a_run_that_is_watched_is_the_same_and_has_its_numbers_in_its_folder(store, tmp_path):  # noqa: F811
    plain = fit(quick(store, tmp_path / "plain", epochs=3, seeds=2))
    watched = fit(quick(store, tmp_path / "watched", epochs=3, seeds=2, log="tensorboard"))
    assert watched.name == plain.name
    runs = [folder.name for folder in plain.parent.iterdir()]
    assert sorted(runs) == sorted(folder.name for folder in watched.parent.iterdir())  # nothing is left beside them
    for name in (name for name in runs if "-seed" in name):
        one, other = plain.parent / name, watched.parent / name
        assert not (one / LIVE).exists()
        for file in ("history.csv", "predictions.csv", "head.weights.h5"):
            assert (one / file).read_bytes() == (other / file).read_bytes(), file
        written = read(other / LIVE)
        for row in rows_of(other / "history.csv"):
            for column in ("loss", "val_loss", "val_auc"):
                if row[column] not in ("", "nan"):
                    assert written[column][int(row["epoch"])] == pytest.approx(float(row[column]), rel=1e-5)


def test_the_numbers_are_there_while_it_trains(store, tmp_path, monkeypatch):  # noqa: F811
    seen = []
    note = Live.note

    def note_and_look(self, epoch, values):
        note(self, epoch, values)
        seen.append(sorted(read(live_folder(tmp_path / "a")).get("loss", {})))

    monkeypatch.setattr(live_module.Live, "note", note_and_look)
    fit(quick(store, tmp_path, epochs=2, name="a", log="tensorboard"))
    assert seen == [[0], [0, 1], [0, 1, 2]]


def test_what_is_not_finite_is_left_out(tmp_path):
    Live(tmp_path).note(0, {"loss": np.nan, "val_loss": 0.5})
    assert read(tmp_path) == {"val_loss": {0: 0.5}}
