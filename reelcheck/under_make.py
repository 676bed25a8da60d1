"""python -m reelcheck.under_make VERB: what the Makefile calls; variables of make's command line are the flags.

`make train HEAD=gru SEED=3` is `reelcheck train --head gru --seed 3`. The variables are read from MAKEFLAGS, where make
passes them on as they were typed, and never go through a shell: a clip may be called anything. Variables of the
environment are left alone: some systems set NAME or HEAD for purposes of their own.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from base.commands import UNDER_MAKE
from base.ending import run
from base.errors import UserError
from base.verbs import VERBS
from cache.store import has_rows, is_store
from reelcheck.cli import dispatch, error_status

OWN = ("ARGS", "PYTHON", "VENV")
"""Variables of the Makefile itself; ARGS are further words."""
COMPARED = ("A", "B", "C", "D")
"""The runs that `make compare` takes by a variable each."""


def main() -> None:
    """Runs the verb that the Makefile names."""
    os.environ[UNDER_MAKE] = "1"
    verb = sys.argv[1]
    run(lambda: _status(verb, dispatch(words(verb, variables(os.environ.get("MAKEFLAGS", ""))))),
        error_status=error_status(verb))  # fmt: skip


def _status(verb: str, status: int | None) -> int | None:
    """A clip that is fake is an answer, which make would report as an error."""
    return 0 if verb == "detect" and status == 1 else status


def variables(makeflags: str) -> dict[str, str]:
    """Returns the variables of make's command line by name, from what MAKEFLAGS says of them.

    They stand behind ` -- `, or alone: make 3.81, which is macOS's, writes that only where flags come before it.
    """
    _, dashes, text = f" {makeflags}".partition(" -- ")
    escaped = re.findall(r"(?:\\.|[^\s\\])+", text if dashes else makeflags)
    words = [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in escaped]
    named = (re.match(r"(\w+)[:?+!]*=(.*)", word, re.DOTALL) for word in words)
    # A dollar is doubled: make would take it for one of its own variables.
    return {match[1]: match[2].replace("$$", "$") for match in named if match}


def words(verb: str, given: Mapping[str, str]) -> list[str]:
    """Returns the command line of `verb` for the variables `given`; a UserError names one that is needed."""
    needs = VERBS[verb].needs
    name = needs.partition("=")[0]
    if name and not (given.get(name) or given.get("CONFIG")):
        raise UserError(f"{name} is missing; give it as in make {verb} {needs}.")
    flags: list[str] = []
    clip: list[str] = []
    values = {name: value for name, value in given.items() if name not in OWN}
    if verb == "compare":
        values["RUNS"] = ",".join(_only_match(values.pop(name)) for name in COMPARED if values.get(name))
    for name, value in values.items():
        if name.lower() == VERBS[verb].bare:
            clip = ["--", value]
        else:
            matches = ",".join(map(_only_match, value.split(",")))
            flags.append(f"--{name.lower().replace('_', '-')}={matches}")
    return [verb, *flags, *shlex.split(given.get("ARGS", "")), *clip]


def _only_match(value: str) -> str:
    """Returns the one path that the pattern `value` fits, if it is one: the shell left `A=data/x/features-*` alone."""
    path = Path(value)
    if "*" not in path.name:
        return value
    # Features without a row are what a call left behind that failed at once; exports lie beside the features.
    usable = [match for match in path.parent.glob(path.name) if not is_store(match) or has_rows(match)]
    matches = list(filter(is_store, usable)) or usable
    return str(matches[0]) if len(matches) == 1 else value


if __name__ == "__main__":
    main()
