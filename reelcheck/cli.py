"""The command `reelcheck VERB [--flags]`: each verb is a stage, loaded when it is called."""

import importlib.metadata
import sys
from collections.abc import Sequence
from typing import NoReturn

from base.command_line.doors import call
from base.command_line.parse import did_you_mean
from base.ending import run
from base.errors import UserError
from base.progress import show
from base.verbs import USAGE, VERBS


def main() -> NoReturn:
    """Runs the verb that the command line names, and exits with its status."""
    run(lambda: dispatch(sys.argv[1:]), error_status=error_status(sys.argv[1] if len(sys.argv) > 1 else ""))


def error_status(verb: str) -> int:
    """Returns the exit status of `verb` where it ends with a UserError; that of a verb there is not is `USAGE`."""
    return VERBS[verb].error_status if verb in VERBS else USAGE


def dispatch(words: Sequence[str]) -> int:
    """Runs the verb that `words` begin with on the rest of them; returns its exit status."""
    name, *rest = words or ["--help"]
    if name in ("--help", "-h", "help"):
        show(overview())
        return 0
    if name == "--version":
        show(f"reelcheck {_version()}")
        return 0
    require_verb(name)
    return call(name, rest)


def require_verb(name: str) -> None:
    """Raises a UserError that names the nearest verb there is unless `name` is one."""
    if name not in VERBS:
        raise UserError(f"{name!r} is not a verb; {did_you_mean(name, VERBS)}reelcheck --help lists them.")


def overview() -> str:
    """Returns the verbs, a line each."""
    lines = [f"  {name:<11} {verb.text}" for name, verb in VERBS.items()]
    start = ["usage: reelcheck VERB [--flags]", "", "Tells whether the face in a video is real or synthesised.", ""]
    return "\n".join([*start, *lines, "", "reelcheck VERB --help lists its flags, with units and defaults."])


def _version() -> str:
    try:
        return importlib.metadata.version("reelcheck")
    except importlib.metadata.PackageNotFoundError:
        return "of a checkout that is not installed"
