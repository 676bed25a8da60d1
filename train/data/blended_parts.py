"""The parts of blended clips: they train beside their real clips, and never validate or test."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from base.outside.lists import read_table
from cache.schema import FAKE, TEST, TRAIN, VAL, VideoRecord, is_blend_id

DROPPED = "dropped"
"""The part of a clip that is not used."""


def place_blends(
    records: Sequence[VideoRecord], parts: Mapping[str, str], unwanted: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Returns the part of each of `records`, given those of the videos among them by id, and notes.

    A blend is in train if its real clip is, and if it is not `unwanted`; else it is dropped. A validation part without
    fakes moves to train: early stopping on it would favour heads that call everything real.
    """
    fakes = {parts[record.id] for record in records if not record.is_blend and record.label == FAKE}
    if VAL not in fakes:
        parts = {name: TRAIN if part == VAL else part for name, part in parts.items()}
    blends = {record.id: record.source for record in records if record.is_blend}
    train = {name for name, source in blends.items() if parts.get(source) == TRAIN and name not in unwanted}
    everything = {**parts, **{name: TRAIN if name in train else DROPPED for name in blends}}
    return [everything[record.id] for record in records], _notes(fakes, len(train), len(blends))


def _notes(fakes: Collection[str], train: int, blends: int) -> list[str]:
    """Returns notes on `train` of the `blends` in train, given the parts of the `fakes` proper."""
    notes = [f"{train} of {blends} blended clips train beside their real clips."]
    if TRAIN not in fakes and train:
        notes.append(
            "Train has no fake video, only blended clips: the head learns the traces of blending a face in, and will "
            "miss fakes that leave none."
        )
    if TEST not in fakes:
        notes.append("The test part has no fake video, so nothing can be said about how many fakes are found.")
    return notes


def dropped_blends(path: Path) -> frozenset[str]:
    """Returns the blended clips that the split file `path` drops; it has been read without error before."""
    rows = [values for _, values in read_table(path, ("id", "part")).rows]
    return frozenset(row["id"] for row in rows if is_blend_id(row["id"]) and row["part"] == DROPPED)
