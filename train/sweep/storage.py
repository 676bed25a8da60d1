"""Where a sweep's study is stored: the URL of a database, whose secrets are used, but neither shown nor written."""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from base.commands import flag
from base.errors import UserError
from base.machine.disk import cannot_write

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

VARIABLE = "REELCHECK_STORAGE"
"""The environment variable that holds the URL where no flag does: no list of processes shows it."""
HIDDEN = "***"
_SECRET = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
"""What the names of secrets in a query have in them."""


def storage_of(given: str | None) -> str | None:
    """Returns the URL that the flag has `given`, else the one in the environment; None where there is neither.

    A UserError, which does not repeat the text, says that it is no URL.
    """
    storage = given or os.environ.get(VARIABLE) or None
    if storage is not None:
        _read(storage)
    return storage


def shown(storage: str) -> str:
    """Returns the URL `storage` without its secrets.

    >>> shown("mysql://me:pw@host/db?ssl_key=k")
    'mysql://me:***@host/db?ssl_key=%2A%2A%2A'
    """
    url = _read(storage)
    hidden = dict.fromkeys(filter(_SECRET.search, url.query), HIDDEN)
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def without_secrets(text: str, storage: str) -> str:
    """Returns `text` without the secrets of the URL `storage`, whichever way they are written in it."""
    url = _read(storage)
    fields = url.normalized_query
    secrets = [url.password or "", *(value for name in fields if _SECRET.search(name) for value in fields[name])]
    written = {way(secret) for secret in secrets if secret for way in (str, quote, quote_plus)}
    for secret in sorted(written, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


@contextlib.contextmanager
def storage_errors(storage: str, *others: type[Exception]) -> Iterator[None]:
    """Turns an error of the database at the URL `storage`, or one of the `others`, into a UserError without secrets.

    A full disk is left to the one who knows what was written.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, *others) as error:
        if isinstance(error, UserError) or cannot_write(error):
            raise
        first = without_secrets(str(error), storage).strip().split("\n")[0]
        raise UserError(
            f"the study {shown(storage)} cannot be opened ({first}); use another {flag('storage')}."
        ) from None


def _read(storage: str) -> "URL":
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    with contextlib.suppress(ArgumentError, ValueError):
        url = make_url(storage)
        # SQLAlchemy takes what follows the first @ of a password for the host, and shows it.
        if "@" not in (url.host or ""):
            return url
    raise UserError(
        f"{flag('storage')} is not a database URL; give one such as postgresql://user:password@host/name, in which "
        "%40 stands for an @ of the password."
    )
