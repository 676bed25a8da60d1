"""Reads a JSON list of DeepfakeBench: folders of frames by label, part and, for FaceForensics++, compression."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from base.errors import UserError
from base.outside.values import WrongValue, explained, parse, shown
from cache.schema import FAKE, PARTS, REAL, VideoRecord
from extract.readers.dataset import Dataset, inside, make_dataset, make_record, read_as
from extract.readers.found import Found

LIST_SUFFIX = ".json"
KINDS = {"FF-DF": "Deepfakes", "FF-F2F": "Face2Face", "FF-FS": "FaceSwap", "FF-NT": "NeuralTextures",
         "FF-FH": "FaceShifter", "DFD_fake": "DeepFakeDetection"}  # fmt: skip


@dataclass(frozen=True)
class _Clip:
    label: str
    frames: list[str] = field(default_factory=list)


def read_deepfakebench(file: Path) -> Dataset:
    """Returns the clips that the list `file` names, each the folder of its first frame, with the part that it says.

    Paths start at the list's folder. A label that ends in "real" is real footage; the kind of a fake is its label. A
    clip in several parts is in the one farthest from training. The people are not in a list: read the data set's folder
    itself to know them. A UserError says what cannot be used. github.com/SCLBD/DeepfakeBench, `preprocessing`.
    """
    records: dict[str, VideoRecord] = {}
    empty = twice = 0
    for part, clip in _clips(file, read_as(dict[str, Any], file)):
        if not clip.frames:
            empty += 1
            continue
        record = _record(file, part, clip)
        earlier = records.setdefault(record.id, record)
        if earlier.label != record.label:
            raise UserError(f"{file} calls {record.id} real and fake; remove one of the entries.")
        twice += earlier is not record
        records[record.id] = replace(record, part=max(earlier.part, record.part, key=PARTS.index))
    notes = [f"{file} has {empty} without frames among its clips: left out."] * bool(empty)
    notes += [f"{file} has {twice} in several parts: test comes before val, val before train."] * bool(twice)
    return make_dataset(Found(file.parent, file.parent), records.values(), file.stem, notes)


def _clips(file: Path, value: Any, part: str = "", name: str = "") -> Iterator[tuple[str, _Clip]]:
    """Yields each clip of `value`, an object in objects, with the part that a key around it names."""
    if isinstance(value, dict) and "frames" in value:
        with explained(file, "a list of DeepfakeBench", "make it again with its rearrange.py"):
            yield part, parse(_Clip, value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _clips(file, inner, key if key in PARTS else part, key)
    elif name != "label":  # its script leaves one beside the clips of DFDC's val
        with explained(file, "a list of DeepfakeBench", "make it again with its rearrange.py"):
            raise WrongValue(f"has {shown(value)} as {shown(name)}, where clips are expected")


def _record(file: Path, part: str, clip: _Clip) -> VideoRecord:
    folder = inside(file.parent, PurePosixPath(clip.frames[0].replace("\\", "/")).parent.as_posix(), str(file))
    if not (file.parent / folder).is_dir():
        raise UserError(
            f"{file} names frames in {folder}, and {file.parent} has no such folder; put the list into the folder that "
            "its paths start from."
        )
    label = REAL if clip.label.lower().endswith("real") else FAKE
    kind = KINDS.get(clip.label, clip.label) if label == FAKE else ""
    return make_record(file.parent, file.parent / folder, label, folder, part=part or PARTS[0], kind=kind)
