"""The manifest: one CSV row per video. All later arrays are in its order."""

import csv
import dataclasses
from collections.abc import Iterable
from pathlib import Path

from cache.commands import command
from cache.files import write_csv
from cache.schema import FAKE, REAL, UserError, VideoRecord

COLUMNS = [field.name for field in dataclasses.fields(VideoRecord)]
_INTEGERS = ("label", "size", "mtime_ns")


def write_manifest(path: Path, records: Iterable[VideoRecord]) -> Path:
    """Writes `records` to the CSV file `path`, completely or not at all; returns `path`."""
    return write_csv(path, COLUMNS, (dataclasses.astuple(record) for record in records))


def read_manifest(path: Path) -> list[VideoRecord]:
    """Returns the records in the manifest `path`; a UserError names a malformed line."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                raise UserError(f"{path} does not have the columns {', '.join(COLUMNS)}; extract again to rewrite it.")
            return [_record(values, path, reader.line_num) for values in reader]
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run {command('features', data='...')} to write it.") from None


def _record(values: dict[str, str], path: Path, line: int) -> VideoRecord:
    try:
        numbers = {name: int(values[name]) for name in _INTEGERS}
    except (ValueError, TypeError):
        raise UserError(
            f"{path}, line {line}: label, size and mtime_ns have to be whole numbers; extract again to rewrite it."
        ) from None
    if numbers["label"] not in (REAL, FAKE):
        raise UserError(f"{path}, line {line}: label {numbers['label']} is neither 0 (real) nor 1 (fake).")
    return VideoRecord(**{**values, **numbers})  # pyright: ignore[reportArgumentType]
