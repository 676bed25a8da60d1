"""How a verb of `base.verbs` is run: from words, behind `python -m PACKAGE`, and on settings that are there already."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from base.command_line.parse import parse_flags
from base.errors import UserError
from base.machine.memory import no_garbage_collection
from base.progress import doing, show
from base.verbs import VERBS

STAGES = __name__.removesuffix("base.command_line.doors")
"""What the stages' names begin with: nothing in a checkout, `reelcheck.stages.` where Reelcheck is installed."""


def load(place: str) -> Any:
    """Returns what `place`, "module:name", stands for, and imports that module."""
    module, _, name = place.partition(":")
    home = "" if module.startswith("reelcheck.") else STAGES
    with doing("starting"), no_garbage_collection():
        return getattr(importlib.import_module(home + module), name)


def call(name: str, words: Sequence[str]) -> int:
    """Runs the verb called `name` on `words`, shows the path that it wrote, and returns the exit status."""
    verb = VERBS[name]
    if not verb.config:
        return load(verb.stage)(words)
    about = f"{verb.text[0].upper()}{verb.text[1:]}. {verb.more}".strip()
    result = perform(name, parse_flags(f"reelcheck {name}", about, load(verb.config), words))
    if isinstance(result, int):
        return result
    show(result)
    return 0


def perform(name: str, config: Any) -> Any:
    """Runs the stage of the verb called `name`, and what comes after it; returns the path it wrote, or a status."""
    verb = VERBS[name]
    result = load(verb.stage)(config)
    return load(verb.after)(config, result) if verb.after else result


def door(package: str, argv: Sequence[str] | None = None) -> int:
    """Runs the verb that `python -m package` and `argv` lead to; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    doors = {name: (verb.door or f"{verb.stage.partition('.')[0]} {name}").split() for name, verb in VERBS.items()}
    commands = {" ".join(command): name for name, (room, *command) in doors.items() if room == package}
    whole = commands.pop("", None)
    if words and words[0] in commands:
        return call(commands[words[0]], words[1:])
    if whole:
        return call(whole, words)
    if words and words[0] not in ("-h", "--help"):
        raise UserError(f"{words[0]!r} is not a command of python -m {package}; take one of {', '.join(commands)}.")
    lines = (f"  {command:<12} {VERBS[name].text}" for command, name in commands.items())
    show("\n".join([f"usage: python -m {package} COMMAND [--flags]", *lines]))
    return 0
