"""Look into folders of features or crops, check them, write them for other programs, or take in features of theirs."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from base.command_line.parse import Parser
from base.commands import command, flag
from base.errors import UserError
from base.files import make_folder, replace_with, require_room, require_writable, write_csv, writing
from base.progress import show
from cache.contents import Contents, load
from cache.imported import import_features
from cache.profile import canonical_json
from cache.store import has_rows, open_store, require_rows, verify

IMPORTED = (
    "FILE.npz is what numpy.savez wrote: features, id and label (0 real, 1 fake), and where known target, donor, "
    "source, part, kind, all (N,), and mask (N, 12), false for frames that are padding."
)


def run_command(words: Sequence[str]) -> int:
    """Runs the command that `words` begin with; returns the exit status, 2 if `verify` finds damage."""
    parser = Parser(prog="reelcheck cache", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("info", "show what a folder holds, and why videos failed"),
        ("verify", "read every byte and name the damaged shards"),
        ("export", "write FOLDER.npz, FOLDER.h5 and FOLDER.csv that other programs can read"),
    ):
        subparser = commands.add_parser(name, help=text, description=text)
        subparser.add_argument(
            "folders", nargs="+", type=Path, metavar="FOLDER", help="data/<data set>/features-... or crops-..."
        )
        if name == "export":
            subparser.add_argument("--out", type=Path, help="where to write, without suffix (default: beside FOLDER)")
    text = (
        "take features that another program made, (N, 12, D) or (N, D), out of an .npz file into a store of their own"
    )
    subparser = commands.add_parser("import", help=text, description=f"{text}. {IMPORTED}")
    subparser.add_argument(
        "file", type=Path, metavar="FILE.npz", help="what numpy.savez wrote: features, id, label, ..."
    )
    subparser.add_argument("--profile", required=True, metavar="NAME", help="what made them, such as clip.vit")
    subparser.add_argument("--data-set", metavar="NAME", help="name of the data set (default: that of the file)")
    subparser.add_argument("--out", type=Path, default=Path("data"), help="where data sets lie (default: data)")
    arguments = parser.parse_args(words)
    if arguments.command == "import":
        show(import_features(arguments.file, arguments.profile, arguments.data_set, arguments.out))
        return 0
    folders = _with_rows(arguments.folders)
    if arguments.command == "info":
        return max(map(info, folders))
    if arguments.command == "verify":
        return max(map(report_damage, folders))
    if arguments.out and len(folders) > 1:
        raise UserError(f"--out is one name, and there are {len(folders)} folders; export one at a time, or without.")
    for folder in folders:
        show(export(folder, arguments.out or folder.with_name(folder.name + "-export")))
    return 0


def _with_rows(folders: Sequence[Path]) -> list[Path]:
    """Returns those of `folders` that hold a row, and says which do not; a UserError if none of them does."""
    stores = [open_store(folder) for folder in folders]
    full = [store.folder for store in stores if has_rows(store.folder)]
    if not full:
        require_rows(stores[0])
    for store in stores:
        if store.folder not in full:
            show(f"{store.folder} holds no extracted video; it is left out.", beside=True)
    return full


def info(folder: Path) -> int:
    """Prints what the store in `folder` holds; returns 0."""
    contents = load(open_store(folder))
    labels = Counter(record.label for record in contents.records)
    show(f"{folder}\n  profile   {canonical_json(contents.profile)}")
    shards = contents.stores[0].shards
    show(f"  shards    {len(shards)}, {sum(shard.stat().st_size for shard in shards) / 1e6:.1f} MB")
    show(f"  videos    {len(contents.records)} ok ({labels[0]} real, {labels[1]} fake), "
          f"{len(contents.failures)} failed, {len(contents.missing)} not extracted yet")  # fmt: skip
    show(f"  array     {contents.arrays.dtype} {contents.arrays.shape}")
    if contents.records:
        show(f"  coverage  a face was detected in {contents.seen.coverage.mean():.3f} of the frames")
    for record, outcome, reason in contents.failures:
        show(f"  failed    {record.id}: {outcome}: {reason}")
    return 0


def report_damage(folder: Path) -> int:
    """Prints the damaged shards of the store in `folder`; returns 2 if there are any, else 0."""
    store = open_store(folder)
    damage = verify(store)
    for path, reason in damage:
        show(f"damaged: {path}: {reason}")
    if damage:
        remedy = f"{command('features', data='...')} sets them aside and extracts their videos again"
        show(f"{len(damage)} of {len(store.shards)} shards are damaged; {remedy}.")
        return 2
    show(f"{len(store.shards)} shards; every byte is as it was written.")
    return 0


def export(folder: Path, out: Path) -> Path:
    """Writes the store in `folder` as `out`.npz, a plain `out`.h5 and `out`.csv (ids and labels); returns `out`.h5.

    Both array files hold `features` (or `crops`), `label`, `mask`, `status`, `times`, `boxes` and `regions`, a row
    for each line of the CSV.
    """
    if not os.path.lexists(out):
        require_writable(out, f"choose another {flag('out')}")
    contents = load(open_store(folder))
    if not contents.records:
        raise UserError(f"{folder} holds no extracted video; run {command('features', data='...')} first.")
    name = "crops" if contents.arrays.dtype == np.uint8 else "features"
    arrays = {name: contents.arrays, "label": contents.labels, "mask": contents.mask, **vars(contents.seen)}
    ids_and_labels = ((record.id, record.label) for record in contents.records)
    with writing(out.parent):
        make_folder(out.parent)
        replace_with(out.with_name(out.name + ".npz"), lambda path: np.savez(path, allow_pickle=False, **arrays))
        write_csv(out.with_name(out.name + ".csv"), ["id", "label"], ids_and_labels)
        return replace_with(out.with_name(out.name + ".h5"), lambda path: _write_plain(path, contents, arrays))


def _write_plain(path: Path, contents: Contents, arrays: dict[str, np.ndarray]) -> None:
    require_room(path.parent, sum(array.nbytes for array in arrays.values()))
    with h5py.File(path, "w") as file:
        file.attrs["profile"] = canonical_json(contents.profile)
        file.create_dataset("id", data=[record.id for record in contents.records], dtype=h5py.string_dtype())
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
