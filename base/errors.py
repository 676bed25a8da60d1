"""Errors whose cause lies outside the program: one sentence with what was found, where, and the way out."""

import contextlib
from collections.abc import Iterator


class UserError(Exception):
    """An error that the user can fix: one sentence with what was found, where, and the way out. No traceback.

    `status` is the exit status where it is another than that of all errors of the command.
    """

    status: int | None = None


class Unreadable(UserError):
    """The system does not give the content of a file or folder, so nobody knows whether that is right."""


@contextlib.contextmanager
def passing_over_damage() -> Iterator[None]:
    """Ends the block at a UserError, for what others name or mend; what cannot be read at all is raised on."""
    try:
        yield
    except Unreadable:
        raise
    except UserError:
        pass
