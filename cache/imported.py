"""Features that another program made, out of an .npz file into a store of their own."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from base.errors import UserError
from base.files import write_json
from base.outside.arrays import read_arrays
from base.outside.content import open_regular
from base.outside.values import WrongValue, explained, now, parse, shown
from cache.manifest import write_manifest
from cache.profile import MOST_FEATURES, ForeignProfile
from cache.schema import FRAMES, OK, FrameStatus, Row, Seen, VideoRecord, require_inside
from cache.store import EXTRACTED, ORIGIN, create_store, has_rows, open_writer

NEEDED, OPTIONAL = ("features", "id", "label"), ("target", "donor", "source", "part", "kind", "mask")
LARGEST = float(np.finfo(np.float16).max)
SHARD = 256
"""Clips in a shard."""


def import_features(file: Path, made_by: str, data_set: str | None, out: Path) -> Path:
    """Writes the features in `file`, which the network `made_by` made, into a store; returns the store's folder.

    `file` is what numpy.savez wrote: `features` (N, 12, D), or (N, D) of clips without frames, `id` and `label` (N,),
    where known `target` (whose footage it is), `donor`, `source`, `part` and `kind` (N,) as in a CSV list, and `mask`
    bool (N, 12), false for frames that are padding. The store is that of a data set called `data_set`, by default like
    the file. A UserError names the array or the clip that cannot be used.
    """
    with explained(file, ".npz", "write it with numpy.savez"):
        arrays = read_arrays(file)
        with open_regular(file) as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    if missing := [name for name in NEEDED if name not in arrays]:
        raise UserError(f"{file} has no array {missing[0]!r}, and needs {', '.join(NEEDED)}; it has {_listed(arrays)}.")
    features, mask = _features(file, arrays)
    records = list(_records(file, arrays, len(features)))
    store = create_store(out / (data_set or file.stem), _profile(made_by, features.shape[2], digest))
    if not has_rows(store.folder):
        write_manifest(store.manifest, records)
        rows = list(_rows(file, records, features, mask))
        with open_writer(store) as writer:
            for start in range(0, len(rows), SHARD):
                writer.append(rows[start : start + SHARD])
        write_json(store.folder / ORIGIN, {"data": str(file.resolve()), EXTRACTED: now()})
    return store.folder


def _profile(made_by: str, size: int, digest: str) -> ForeignProfile:
    try:
        return parse(ForeignProfile, {"made_by": made_by, "size": size, "file": digest})
    except WrongValue:
        raise UserError(
            f"{shown(made_by)} with {size:,} numbers a frame is no profile; give a name of letters, digits, dots and "
            f"dashes, such as clip.vit, and at most {MOST_FEATURES:,} numbers."
        ) from None


def _listed(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(map(shown, list(arrays)[:8])) or "none"


def _features(file: Path, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features (N, 12, D) and their mask, bool (N, 12)."""
    features = arrays["features"]
    frames = features.ndim == 3 and features.shape[1] == FRAMES
    if features.dtype.kind != "f" or not features.size or not (frames or features.ndim == 2):
        shape = " x ".join(map(str, features.shape))
        raise UserError(f"{file} has features {features.dtype} {shape}; give floats, N x {FRAMES} x D or N x D.")
    if features.ndim == 2:
        alone = np.zeros((len(features), FRAMES), bool)
        alone[:, 0] = True
        return np.where(alone[..., None], features[:, None], features.dtype.type(0)), alone
    mask = arrays.get("mask", np.ones(features.shape[:2], bool))
    if mask.dtype != bool or mask.shape != features.shape[:2] or not mask.any(axis=1).all():
        raise UserError(f"{file} has a mask that is not bool, N x {FRAMES}, with a frame of each clip; correct it.")
    return features, mask


def _records(file: Path, arrays: Mapping[str, np.ndarray], count: int) -> Iterator[VideoRecord]:
    columns = {name: arrays[name] for name in (*NEEDED[1:], *OPTIONAL[:-1]) if name in arrays}
    for name, values in columns.items():
        if values.shape != (count,) or values.dtype.kind not in ("iu" if name == "label" else "U"):
            what = "whole numbers" if name == "label" else "texts"
            raise UserError(f"{file} has {name} {values.dtype} {values.shape}; give {count} {what}, one for each clip.")
    seen: set[str] = set()
    blank = dict.fromkeys(OPTIONAL[:-1], "") | {"size": 0, "mtime_ns": 0}
    for row in range(count):
        values = {name: column[row].item() for name, column in columns.items()}
        try:
            require_inside(values["id"])
            record = parse(VideoRecord, blank | values | {"path": values["id"]})
        except ValueError as error:
            raise UserError(f"{file}, clip {row}: {error}; correct it.") from None
        if record.id in seen or (record.label == 0 and (record.donor or record.source or record.kind)):
            wrong = "is there twice" if record.id in seen else "is real, and has a donor, source or kind"
            raise UserError(f"{file}, clip {row}: {shown(record.id)} {wrong}; correct it.")
        seen.add(record.id)
        yield record


def _rows(file: Path, records: list[VideoRecord], features: np.ndarray, mask: np.ndarray) -> Iterator[Row]:
    for record, own, frames in zip(records, features, mask, strict=True):
        array = np.where(frames[:, None], own, 0)
        if not (np.abs(array) <= LARGEST).all():  # nor is NaN
            raise UserError(
                f"{file}: features of {shown(record.id)} are not finite, or above {LARGEST:,.0f}; scale them."
            )
        status = np.where(frames, FrameStatus.FACE, FrameStatus.PAD).astype(np.uint8)
        nothing = dataclasses.replace(Seen.nothing(), status=status, times=np.where(frames, 0.0, np.nan))
        yield Row(*record.key, OK, "", nothing, array.astype(np.float16))
