"""Reads folders of real and of fake clips, perhaps within those of official parts; nothing else is known of them."""

from pathlib import Path

from base.errors import UserError
from cache.schema import FAKE, REAL, TEST, TRAIN, VAL
from extract.readers.branches import ANY, NAME, Branch, read_branches
from extract.readers.dataset import Dataset, make_dataset
from extract.readers.found import Found

LABELS = {"real": REAL, "fake": FAKE}
PARTS = {
    TRAIN: ("train", "training"),
    VAL: ("val", "valid", "validation", "dev"),
    TEST: ("test", "testing"),
}
"""What people call the folders of the official parts."""
NAMES = [name for names in PARTS.values() for name in names]


def places_of(label: str) -> tuple[str, ...]:
    """Returns where the clips of a `label`, real or fake, may lie: `real`, `train/real` or `real_train`."""
    return (label, *(f"{name}/{label}" for name in NAMES), *(f"{label}{gap}{name}" for name in NAMES for gap in "_ "))


BRANCHES = [
    *(Branch(label, rf"{name}/{ANY}{NAME}") for name, label in LABELS.items()),
    *(
        Branch(label, rf"(?:(?:{called})/{name}|{name}[_ ](?:{called}))/{ANY}{NAME}", part=part)
        for name, label in LABELS.items()
        for part, called in ((part, "|".join(names)) for part, names in PARTS.items())
    ),
]


def read_folders(found: Found) -> Dataset:
    """Returns the clips at any depth below `real` and `fake`; raises a UserError if there are two folders of one name.

    Both may lie below `train`, `val` and `test`, which are then the official parts; or there are `real_train`,
    `fake_test` and so on, as in WildDeepfake (Zi et al., ACM Multimedia 2020, github.com/OpenTAI/wild-deepfake).
    """
    for name in LABELS:
        folders = sorted(folder for folder in found.folders if folder.lower() == name)
        if len(folders) > 1:
            raise UserError(f"{found.base} has both {folders[0]} and {folders[1]}; put their videos into one of them.")
    there = entries_of(found.base)
    for name in LABELS:
        if there.isdisjoint(places_of(name)):
            raise UserError(f"{found.base} has no folder {name}; give the folder that contains real/ and fake/.")
    return make_dataset(found, read_branches(found, BRANCHES, dropped=frozenset()))


def entries_of(base: Path) -> set[str]:
    """Returns the names of what lies in `base`, in lower case, and those of what lies in the folders of its parts."""
    names = {entry.name.lower() for entry in base.iterdir()}
    parts = [entry for entry in base.iterdir() if entry.name.lower() in NAMES and entry.is_dir()]
    return names | {f"{part.name}/{entry.name}".lower() for part in parts for entry in part.iterdir()}
