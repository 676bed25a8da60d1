"""When something was finished, as its own file says: copying, checking out and touching give files other times."""

from datetime import UTC, datetime
from pathlib import Path

from base.errors import Unreadable
from base.outside.content import NO_FILE, read_json

EARLIEST = datetime.min.replace(tzinfo=UTC)


def now() -> str:
    """Returns this moment as files say it: UTC, ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def moment(path: Path, entry: str) -> datetime:
    """Returns the moment that the JSON file `path` says under `entry`; `EARLIEST` if it says none.

    So what an earlier version wrote comes before what says its moment, and never passes for newer because of a copy.
    """
    try:
        said = datetime.fromisoformat(read_json(path)[entry])
    except (*NO_FILE, Unreadable, ValueError, LookupError, TypeError):
        return EARLIEST
    return said if said.tzinfo else said.replace(tzinfo=UTC)
