"""Reads a CSV list of videos: the user's own labels and, if known, people, sources and parts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from base.errors import UserError
from base.outside.content import is_regular
from base.outside.lists import Table, read_table
from base.outside.values import shown
from base.text import is_break
from cache.schema import FAKE, PARTS, REAL, VideoRecord
from extract.readers.dataset import Dataset, inside, make_dataset, make_record
from extract.readers.found import Found
from extract.video.numbered import number_of

LIST = "videos.csv"
NEEDED, OPTIONAL = ("path", "label"), ("target", "donor", "source", "part", "kind")
LABELS = {"0": REAL, "0.0": REAL, "real": REAL, "1": FAKE, "1.0": FAKE, "fake": FAKE}


def read_csv_list(path: Path, found: Found | None = None) -> Dataset:
    """Returns the clips that the CSV file `path` names; `found` is what lies in its folder, if that is the data set.

    Required columns: path (from the file's folder; absolute, and as an address file://, too; of a file or of a folder
    of numbered pictures) and label (0 or real, 1 or fake). Optional: target, donor, source (the path of another line),
    part (train, val, test) and kind (the method of a fake). A UserError names the line that cannot be used.
    """
    table = read_table(path, NEEDED)
    if not table.rows:
        raise UserError(f"{path} names no videos; add a line for each.")
    records = _share_targets(_records(path, table))
    if found is None:
        return make_dataset(Found(path.parent, path.parent), records, path.stem, _notes(path, table))
    return make_dataset(found, records, notes=_notes(path, table))


def _notes(file: Path, table: Table) -> list[str]:
    unused = [name for name in table.columns if name not in NEEDED + OPTIONAL]
    return [f"{file}: ignored column {', '.join(unused)}."] if unused else []


def _records(file: Path, table: Table) -> list[VideoRecord]:
    records: dict[str, VideoRecord] = {}
    for number, values in table.rows:
        where = f"{file}, line {number}"
        record = _record(file, where, values)
        if record.id in records:
            raise UserError(f"{where}: {record.id} is listed twice; keep one of the two lines.")
        records[record.id] = record
    return list(records.values())


def _share_targets(records: Sequence[VideoRecord]) -> list[VideoRecord]:
    """Returns `records` in which all rows of the same footage share the target that one of them names."""
    known = {record.source or record.id: record.target for record in records if record.target}
    return [replace(record, target=record.target or known.get(record.source or record.id, "")) for record in records]


def _record(file: Path, where: str, values: dict[str, str]) -> VideoRecord:
    texts = {name: values.get(name, "").strip() for name in (*NEEDED, *OPTIONAL)}
    name = _existing(file, where, texts.pop("path"))
    label = _label(where, texts)
    texts["source"] = _source(file, texts["source"], where)
    return make_record(file.parent, file.parent / name, label, name, **texts)


def _existing(file: Path, where: str, text: str) -> str:
    name = inside(file.parent, text, where)
    path = file.parent / name
    if path.is_dir() and not any(number_of(one.name) is not None for one in path.iterdir()):
        raise UserError(f"{where}: {path} is a folder without numbered pictures, such as 000.png; name a clip.")
    if not path.is_dir() and not is_regular(path):
        raise UserError(f"{where}: {path} does not exist; add the video, or remove the line.")
    return name


def _label(where: str, texts: dict[str, str]) -> int:
    """Removes the label from `texts` and returns it; raises a UserError if it contradicts the other values."""
    text = texts.pop("label")
    label = LABELS.get(text.lower())
    if label is None:
        raise UserError(f"{where}: the label {shown(text)} is none of 0, real, 1, fake; correct the line.")
    if texts["part"] not in (*PARTS, ""):
        raise UserError(f"{where}: the part {shown(texts['part'])} is none of train, val, test; correct the line.")
    if label == REAL and (texts["donor"] or texts["source"] or texts["kind"]):
        raise UserError(f"{where}: a real video has no donor, source or kind; clear them, or correct the label.")
    if any(is_break(sign) for text in texts.values() for sign in text):
        raise UserError(f"{where} has a control character in one of its values; remove it.")
    return label


def _source(file: Path, text: str, where: str) -> str:
    """Returns the id that the source `text` stands for: a path, or whatever else the user calls an original by."""
    try:
        return inside(file.parent, text, where) if text else ""
    except UserError:
        return PurePosixPath(text.replace("\\", "/")).as_posix()
