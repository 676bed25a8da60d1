"""Reads a folder of real and a folder of fake videos; nothing else is known about them."""

from pathlib import Path

from cache.schema import FAKE, REAL, UserError
from extract.readers.dataset import Dataset, is_video, make_dataset, make_record, require_folder

FOLDERS = {"real": REAL, "fake": FAKE}


def is_folders(root: Path) -> bool:
    """Returns whether `root` has both folders, whatever the case of their names."""
    return all(_named(root, name) for name in FOLDERS)


def read_folders(root: Path) -> Dataset:
    """Returns the videos at any depth below `real` and `fake`; raises a UserError if one of the two is missing."""
    require_folder(root)
    below = [(path, label) for name, label in FOLDERS.items() for path in _only_folder(root, name).rglob("*")]
    records = [
        make_record(root, path, label, path.relative_to(root).as_posix()) for path, label in below if is_video(path)
    ]
    links = [path for path, _ in below if path.is_symlink() and path.is_dir()]
    notes = [f"{path} is a link to a folder; its content is left out." for path in links]
    return make_dataset(root, records, notes=notes)


def _named(root: Path, name: str) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.name.lower() == name and path.is_dir())


def _only_folder(root: Path, name: str) -> Path:
    folders = _named(root, name)
    if not folders:
        raise UserError(f"{root} has no folder {name}; give the folder that contains real/ and fake/.")
    if len(folders) > 1:
        raise UserError(f"{root} has both {folders[0].name} and {folders[1].name}; put their videos into one of them.")
    return folders[0]
