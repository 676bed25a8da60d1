"""Reads a folder of real and a folder of fake videos; nothing else is known about them."""

from pathlib import Path

from base.errors import UserError
from cache.schema import FAKE, REAL
from extract.readers.dataset import Dataset, make_dataset, make_record, require_folder
from extract.readers.found import find_clips

FOLDERS = {"real": REAL, "fake": FAKE}


def is_folders(root: Path) -> bool:
    """Returns whether `root` has both folders, whatever the case of their names."""
    return all(_named(root, name) for name in FOLDERS)


def read_folders(root: Path) -> Dataset:
    """Returns the videos at any depth below `real` and `fake`; raises a UserError if one of the two is missing."""
    require_folder(root)
    labels = {_only_folder(root, name): label for name, label in FOLDERS.items()}
    found = find_clips(list(labels))
    records = [
        make_record(root, path, labels[root / path.relative_to(root).parts[0]], path.relative_to(root).as_posix())
        for path in found.clips
    ]
    return make_dataset(root, records, notes=found.describe_left_out(root))


def _named(root: Path, name: str) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.name.lower() == name and path.is_dir())


def _only_folder(root: Path, name: str) -> Path:
    folders = _named(root, name)
    if not folders:
        raise UserError(f"{root} has no folder {name}; give the folder that contains real/ and fake/.")
    if len(folders) > 1:
        raise UserError(f"{root} has both {folders[0].name} and {folders[1].name}; put their videos into one of them.")
    return folders[0]
