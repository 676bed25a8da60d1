"""Commands and flags as this user types them, for messages: `make features DATA=x` or `reelcheck features --data x`."""

import os
import shlex

from base.verbs import VERBS

UNDER_MAKE = "REELCHECK_UNDER_MAKE"
"""The environment variable that the Makefile sets."""


def command(verb: str, **values: object) -> str:
    """Returns what to type for `verb` with these `values`.

    >>> command("train", head="gru")
    'reelcheck train --head gru'
    """
    if os.environ.get(UNDER_MAKE):
        return " ".join(["make", verb, *(flag(name, value) for name, value in values.items())])
    bare = VERBS[verb].bare if verb in VERBS else ""
    words = [_quoted(value) if name == bare else flag(name, value) for name, value in values.items()]
    return " ".join(["reelcheck", verb, *words])


def flag(name: str, value: object = "") -> str:
    """Returns how the flag `name` is given `value`; without a value, what the flag is called.

    >>> flag("learning_rate", 0.01)
    '--learning-rate 0.01'
    """
    shown = _quoted(value)
    if os.environ.get(UNDER_MAKE):
        return f"{name.upper()}={shown}" if shown else name.upper()
    return f"--{name.replace('_', '-')} {shown}".rstrip()


def _quoted(value: object) -> str:
    text = str(value)
    # "..." is for the user to fill in.
    return text if not text or text.strip(".") == "" else shlex.quote(text)
