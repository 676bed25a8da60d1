"""The manifest: one CSV row per video. All later arrays are in its order."""

import dataclasses
import operator
from collections.abc import Iterable
from pathlib import Path

from base.commands import command
from base.files import write_csv
from base.outside.values import explained, read_records
from cache.schema import VideoRecord, require_inside

COLUMNS = [field.name for field in dataclasses.fields(VideoRecord)]
_values = operator.attrgetter(*COLUMNS)
"""Like `dataclasses.astuple`, which copies each value first."""


def write_manifest(path: Path, records: Iterable[VideoRecord]) -> Path:
    """Writes `records` to the CSV file `path`, completely or not at all; returns `path`."""
    return write_csv(path, COLUMNS, map(_values, records))


def read_manifest(path: Path) -> list[VideoRecord]:
    """Returns the records in the manifest `path`; a UserError names a malformed line."""
    with explained(path, "CSV", f"run {command('features', data='...')} to write it again"):
        records = list(read_records(path, VideoRecord).values())
        for record in records:
            require_inside(record.path)
        return records
