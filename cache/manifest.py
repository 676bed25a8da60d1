"""The manifest: one CSV row per video. All later arrays are in its order."""

import dataclasses
import operator
from collections.abc import Iterable
from pathlib import Path

from base.commands import command
from base.errors import UserError
from base.files import write_csv
from base.outside.content import NO_FILE, WrongContent
from base.outside.rows import read_csv
from base.outside.values import shown
from cache.schema import FAKE, PARTS, REAL, VideoRecord, require_inside

COLUMNS = [field.name for field in dataclasses.fields(VideoRecord)]
_values = operator.attrgetter(*COLUMNS)
"""Like `dataclasses.astuple`, which copies each value first."""
_INTEGERS = ("label", "size", "mtime_ns")
MOST = 2**63
"""Sizes and times are below: an int64 holds them."""


def write_manifest(path: Path, records: Iterable[VideoRecord]) -> Path:
    """Writes `records` to the CSV file `path`, completely or not at all; returns `path`."""
    return write_csv(path, COLUMNS, map(_values, records))


def read_manifest(path: Path) -> list[VideoRecord]:
    """Returns the records in the manifest `path`; a UserError names a malformed line."""
    records: dict[str, VideoRecord] = {}
    try:
        for line, values in read_csv(path, COLUMNS):
            record = _record(values, path, line)
            if record.id in records:
                raise WrongContent(f"line {line} has the id {shown(record.id)} a second time")
            records[record.id] = record
        return list(records.values())
    except NO_FILE:
        raise UserError(f"{path} is missing; run {command('features', data='...')} to write it.") from None
    except WrongContent as error:
        raise UserError(f"{path} cannot be read as CSV ({error}); extract again to rewrite it.") from None


def _record(values: dict[str, str], path: Path, line: int) -> VideoRecord:
    try:
        numbers = {name: int(values[name]) for name in _INTEGERS}
    except ValueError:
        raise UserError(
            f"{path}, line {line}: label, size and mtime_ns have to be whole numbers; extract again to rewrite it."
        ) from None
    if numbers["label"] not in (REAL, FAKE):
        raise UserError(f"{path}, line {line}: label {shown(numbers['label'])} is neither 0 (real) nor 1 (fake).")
    record = VideoRecord(**{name: values[name] for name in COLUMNS} | numbers)  # pyright: ignore[reportArgumentType]
    try:
        require_inside(record.path)
        if not record.id:
            raise ValueError("it has no id")
        if record.part not in (*PARTS, "") or not 0 <= record.size < MOST or not -MOST <= record.mtime_ns < MOST:
            found = f"part {shown(record.part)}, size {shown(record.size)} or time {shown(record.mtime_ns)}"
            raise ValueError(f"{found} is out of range")
    except ValueError as error:
        raise UserError(f"{path}, line {line}: {error}; extract again to rewrite it.") from None
    return record
