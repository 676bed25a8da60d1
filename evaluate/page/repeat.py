"""The command that makes a page again, as the user types it."""

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from base.commands import UNDER_MAKE, command


def repeat_command(verb: str, values: Mapping[str, Any]) -> str:
    """Returns what to type for `verb` with those `values` that are not empty; lists are joined, booleans are switches.

    >>> repeat_command("train", {"head": "gru", "class_weights": False, "name": None})
    'reelcheck train --head gru --no-class-weights'
    """
    given = {name: value for name, value in values.items() if value not in (None, "", [], ())}
    texts = {name: _text(value) for name, value in given.items() if not isinstance(value, bool)}
    flags = {name.replace("_", "-"): value for name, value in given.items() if isinstance(value, bool)}
    switches = [f"--{'' if on else 'no-'}{name}" for name, on in flags.items()]
    if not switches:
        return command(verb, **texts)
    # Make has no variables for switches; what stands in ARGS goes through as it is.
    more = f"ARGS={shlex.quote(' '.join(switches))}" if _under_make() else " ".join(switches)
    return f"{command(verb, **texts)} {more}"


def compare_command(runs: Sequence[object], values: Mapping[str, Any]) -> str:
    """Returns what to type to compare `runs`; make names the first A and the rest B."""
    names = {"a": runs[0], "b": list(runs[1:])} if _under_make() else {"runs": list(runs)}
    return repeat_command("compare", names | dict(values))


def _under_make() -> bool:
    """Whether the user types `make VERB` rather than `reelcheck VERB`."""
    return bool(os.environ.get(UNDER_MAKE))


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
