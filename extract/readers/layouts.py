"""From a data set's folder or list to manifest rows: recognise the layout and call its reader."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from base.commands import flag
from base.errors import UserError
from extract.readers.celeb_df import is_celeb_df, read_celeb_df
from extract.readers.csv_list import has_csv_list, read_csv_list
from extract.readers.dataset import Dataset
from extract.readers.dfdc import is_dfdc, read_dfdc
from extract.readers.faceforensics import Compression, is_faceforensics, read_faceforensics
from extract.readers.folders import is_folders, read_folders


@dataclass(frozen=True)
class Reader:
    """How to read one layout: `fits` quickly tells whether a folder has it; `sign` says what `fits` looks for."""

    sign: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


READERS: dict[str, Reader] = {
    "celeb-df": Reader("Celeb-real/, YouTube-real/ or Celeb-synthesis/", is_celeb_df, read_celeb_df),
    "ff++": Reader("original_sequences/ or manipulated_sequences/", is_faceforensics, read_faceforensics),
    "dfdc": Reader("metadata.json in it or in its folders", is_dfdc, read_dfdc),
    "folders": Reader("real/ and fake/", is_folders, read_folders),
    "csv": Reader("videos.csv", has_csv_list, read_csv_list),
}


def read_dataset(path: Path, layout: str = "auto", compression: Compression = "auto") -> Dataset:
    """Returns the data set in the folder `path`, or the one that the CSV file `path` lists.

    A UserError says why it cannot be read: no layout fits, several do, or the reader refuses something.
    """
    try:
        layout = _recognise(path) if layout == "auto" else layout
        if layout == "ff++":
            return read_faceforensics(path, compression)
        if compression != "auto":
            raise UserError(
                f"{path} is read as {layout}, which has no compression levels; leave out {flag('compression')}."
            )
        return READERS[layout].read(path)
    except OSError as error:
        raise UserError(
            f"{error.filename or path} cannot be read ({error.strerror}); make it readable and try again."
        ) from None


def _recognise(path: Path) -> str:
    if path.suffix.lower() == ".csv" and path.is_file():
        return "csv"
    if not path.exists():
        raise UserError(f"there is no {path}; give the data set's folder, or a .csv file, as {flag('data', '...')}.")
    if not path.is_dir():
        raise UserError(f"{path} is neither a folder nor a .csv file; give the data set as {flag('data', '...')}.")
    fitting = [layout for layout, reader in READERS.items() if reader.fits(path)]
    if not fitting:
        signs = "; ".join(f"{reader.sign} ({layout})" for layout, reader in READERS.items())
        raise UserError(f"{path} fits no layout: it has none of {signs}; give the folder that contains one of these.")
    if len(fitting) > 1:
        raise UserError(
            f"{path} fits the layouts {' and '.join(fitting)}; choose one with {flag('layout', fitting[0])}."
        )
    return fitting[0]
