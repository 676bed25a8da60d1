"""From a data set's folder or list to manifest rows: recognise the layout and call its reader."""

import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from base.commands import flag
from base.errors import UserError
from extract.readers.celeb_df import CELEB_DF, read_celeb_df
from extract.readers.csv_list import LIST, read_csv_list
from extract.readers.dataset import Dataset
from extract.readers.deepfakebench import LIST_SUFFIX, read_deepfakebench
from extract.readers.dfdc import METADATA, folders_with_metadata, read_dfdc
from extract.readers.faceforensics import (
    METHODS,
    TREES,
    Compression,
    read_dfd,
    read_faceforensics,
    read_faceforensics_copy,
)
from extract.readers.folders import entries_of, places_of, read_folders
from extract.readers.found import Found, survey
from extract.readers.studio_sets import AV_KINDS, read_deeperforensics, read_dfdc_preview, read_fakeavceleb

DEEPEST = 3
"""Folders in which a data set's own may lie, as archives unpack into one of the same name."""
WIDEST = 32
"""Folders in a folder, above which it is no wrapper of a data set."""
SIMILAR = 0.75
"""How alike two names are, from 0 to 1, before one is taken for a slip of the other."""


@dataclass(frozen=True)
class Reader:
    """How to read one layout: `sign` says in words what lies there, `needs` which entries, one of each group at least.

    Entries are named in lower case, and with their folder in `train` and the like.
    """

    sign: str
    needs: tuple[tuple[str, ...], ...]
    read: Callable[[Found], Dataset]

    def lacks(self, names: set[str]) -> list[tuple[str, ...]]:
        """Returns the groups of which `names` has no entry."""
        return [group for group in self.needs if names.isdisjoint(group)]


def _lower(*names: str) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


READERS: dict[str, Reader] = {
    "celeb-df": Reader("Celeb-real/, YouTube-real/ or Celeb-synthesis/", (_lower(*CELEB_DF),), read_celeb_df),
    "ff++": Reader("original_sequences/ or manipulated_sequences/", (TREES,), read_faceforensics),
    "ff++-c23": Reader("original/ and Deepfakes/ or other methods", (("original",), _lower(*METHODS)),
                       read_faceforensics_copy),
    "dfd": Reader("DFD_original sequences/ and DFD_manipulated_sequences/",
                  (("dfd_original sequences", "dfd_original_sequences"),
                   ("dfd_manipulated_sequences", "dfd_manipulated sequences")), read_dfd),
    "dfdc": Reader("metadata.json in it or in its folders", ((METADATA,),), read_dfdc),
    "dfdc-preview": Reader("original_videos/ and method_A/ or method_B/",
                           (("original_videos",), ("method_a", "method_b")), read_dfdc_preview),
    "fakeavceleb": Reader("RealVideo-RealAudio/ and its like", (_lower(*AV_KINDS),), read_fakeavceleb),
    "deeperforensics": Reader("manipulated_videos/ or source_videos/", (("manipulated_videos", "source_videos"),),
                              read_deeperforensics),
    "folders": Reader("real/ and fake/", (places_of("real"), places_of("fake")), read_folders),
    "csv": Reader("videos.csv", ((LIST,),), lambda found: read_csv_list(found.base / LIST, found)),
}  # fmt: skip


def read_dataset(path: Path, layout: str = "auto", compression: Compression = "auto") -> Dataset:
    """Returns the data set in the folder `path`, or the one that the list `path` names, in CSV or DeepfakeBench's JSON.

    A UserError says why it cannot be read: no layout fits, several do, or the reader refuses something.
    """
    try:
        read, name = _reader(path, layout)
        if name == "ff++":
            return read_faceforensics(survey(path).within(_base(path, name)), compression)
        if compression != "auto":
            raise UserError(
                f"{path} is read as {name}, which has no compression levels; leave out {flag('compression')}."
            )
        return read()
    except OSError as error:
        raise UserError(
            f"{error.filename or path} cannot be read ({error.strerror}); make it readable and try again."
        ) from None


def _reader(path: Path, layout: str) -> tuple[Callable[[], Dataset], str]:
    """Returns what reads `path`, and the name of its layout."""
    if path.is_file() and layout in ("auto", "csv") and path.suffix.lower() == ".csv":
        return functools.partial(read_csv_list, path), "csv"
    if path.is_file() and layout == "auto" and path.suffix.lower() == LIST_SUFFIX:
        return functools.partial(read_deepfakebench, path), "a list of DeepfakeBench"
    if not path.exists():
        raise UserError(f"there is no {path}; give the data set's folder, or a .csv file, as {flag('data', '...')}.")
    if not path.is_dir():
        raise UserError(f"{path} is neither a folder nor a .csv file; give the data set as {flag('data', '...')}.")
    name = _recognise(path) if layout == "auto" else layout
    return lambda: READERS[name].read(survey(path).within(_base(path, name))), name


def _recognise(path: Path) -> str:
    fitting = sorted({layout for _, layout in _fitting(path)}, key=list(READERS).index)
    if len(fitting) > 1:
        raise UserError(
            f"{path} fits the layouts {' and '.join(fitting)}; choose one with {flag('layout', fitting[0])}."
        )
    if not fitting:
        raise UserError(f"{path} fits no layout: {_nearest(path)}")
    return fitting[0]


def _base(path: Path, layout: str) -> Path:
    """Returns the folder that has the `layout`: `path` itself, or the one in it; raises a UserError if several do."""
    bases = [base for base, fitting in _fitting(path, (layout,)) if fitting == layout] or [path]
    if len(bases) > 1:
        raise UserError(f"{path} holds several data sets, {bases[0]} and {bases[1]} among them; give one of them.")
    return bases[0]


def _fitting(path: Path, layouts: tuple[str, ...] = ()) -> list[tuple[Path, str]]:
    """Returns each folder with a layout that fits, of those nearest to `path`: itself, or the next level with one."""
    level = [path]
    for _ in range(DEEPEST):
        names = {base: _names(base) for base in level}
        found = [(base, one) for base in level for one in layouts or READERS if not READERS[one].lacks(names[base])]
        if found:
            return found
        level = [folder for base in level for folder in _folders_in(base)]
    return []


def _folders_in(base: Path) -> list[Path]:
    """Returns the folders that the wrapper `base` holds; none if it holds too many to be one."""
    folders = [one for one in sorted(base.iterdir()) if one.is_dir() and not one.is_symlink()]
    folders = [folder for folder in folders if not folder.name.startswith((".", "__"))]
    return folders if len(folders) <= WIDEST else []


def _names(base: Path) -> set[str]:
    """Returns the entries of `base`, see `entries_of`, and `metadata.json` if a folder in it has one."""
    return entries_of(base) | ({METADATA} if folders_with_metadata(base) else set())


def _nearest(path: Path) -> str:
    """Returns which layout is nearest to that of `path`, and what it would need."""
    names = _names(path)
    for layout, reader in READERS.items():
        lacking = reader.lacks(names)
        if len(lacking) < len(reader.needs):
            there = next(name for group in reader.needs for name in group if name in names)
            needed = " or ".join(lacking[0][:2])
            return f"the nearest is {layout} ({reader.sign}), and besides {there} it would need {needed}."
    for layout, reader in READERS.items():
        for name in (name for group in reader.needs for name in group):
            if slip := difflib.get_close_matches(name, names, 1, SIMILAR):
                return f"the nearest is {layout}, and {slip[0]} would have to be called {name}."
    signs = "; ".join(f"{reader.sign} ({layout})" for layout, reader in READERS.items())
    return f"it has none of {signs}; give the folder that contains one of these."
