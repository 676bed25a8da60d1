"""Command lines made from config dataclasses, so that each default and help text is written once, beside its stage."""

import argparse
import dataclasses
import difflib
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from base.commands import flag
from base.errors import UserError
from base.progress import show

Choices = Callable[[], Iterable[str]]


def option(default: Any, text: str, choices: Choices | None = None, **kind: Any) -> Any:
    """Returns a dataclass field with a `default`; `text` is the help of its flag and says the unit.

    `choices` returns the values that there are: the names in a registry, so that a new entry is a new choice.
    `kind` are arguments of `add_argument`, for flags that are read in another way than their type says.
    """
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices, "kind": kind})


def require_choices(config: Any) -> None:
    """Raises a UserError that names a field of the dataclass `config` whose value is none of its choices."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), _choices(field, hints[field.name])
        if choices and value not in choices:
            raise UserError(f"{flag(field.name, value)} is none of {', '.join(choices)}; give one of these.")


def required(text: str) -> Any:
    """Returns a dataclass field without a default; `text` is the help of its flag."""
    return dataclasses.field(metadata={"help": text})


def add_flags(parser: argparse.ArgumentParser, config: type) -> None:
    """Adds one `--flag` to `parser` for each field of the dataclass `config`."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        is_required = field.default is dataclasses.MISSING
        text = field.metadata.get("help", "")
        if not is_required and field.default not in (None, "", ()):
            text += f" (default: {_as_typed(field.default)})"
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            required=is_required,
            default=argparse.SUPPRESS,
            help=text.replace("%", "%%"),
            **_kind(hints[field.name], _choices(field, hints[field.name])) | field.metadata.get("kind", {}),
        )


def read_flags(arguments: argparse.Namespace, config: type) -> Any:
    """Returns a `config` with the flags in `arguments`; the other fields keep their defaults."""
    names = {field.name for field in dataclasses.fields(config)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(arguments).items()}
    return config(**{name: value for name, value in values.items() if name in names})


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UserErrors, so that `run` alone decides the exit status."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> typing.NoReturn:
        """Raises a UserError instead of printing the usage; of an unknown flag, it names the nearest one there is."""
        unknown = re.match(r"unrecognized arguments: --([\w-]+)", message)
        if not unknown:
            raise UserError(f"{message}; {self.prog} --help lists the flags.")
        known = [name.removeprefix("--") for name in self._option_string_actions]
        near = difflib.get_close_matches(unknown[1], known, 1)
        hint = f"did you mean {flag(near[0])}? " if near else ""
        raise UserError(f"{flag(unknown[1])} is not a flag of {self.prog}; {hint}{self.prog} --help lists the flags.")


def parse_flags(program: str, about: str, config: type, argv: Sequence[str] | None = None) -> Any:
    """Returns the `config` that the command line `argv` describes; a UserError names an unknown flag."""
    parser = Parser(prog=program, description=about)
    add_flags(parser, config)
    return read_flags(parser.parse_args(argv), config)


@dataclasses.dataclass(frozen=True)
class Command:
    """One of several stages behind a door: what runs it, on which config, what it does, and its verb of `reelcheck`."""

    stage: Callable[[Any], object]
    config: type
    text: str
    verb: str


def run_command(program: str, commands: Mapping[str, Command], argv: Sequence[str] | None = None) -> object:
    """Runs the command that `argv` begins with on the flags that follow; prints and returns the path it wrote.

    Returns None where it was only asked which commands there are.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        show("\n".join([f"usage: {program} COMMAND [--flags]", *(f"  {n:<12} {c.text}" for n, c in commands.items())]))
        return None
    if name not in commands:
        raise UserError(f"{name!r} is not a command of {program}; take one of {', '.join(commands)}.")
    command = commands[name]
    written = command.stage(parse_flags(f"reelcheck {command.verb}", command.text, command.config, words[1:]))
    show(written)
    return written


def _as_typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _choices(field: dataclasses.Field[Any], hint: Any) -> list[str]:
    """Returns the values that `field` may have, none where it may have any of its type."""
    if choices := field.metadata.get("choices"):
        return list(choices())
    return list(typing.get_args(hint)) if typing.get_origin(hint) is typing.Literal else []


def _kind(hint: Any, choices: Sequence[str]) -> dict[str, Any]:
    """Returns the argparse arguments that parse a value of the type `hint`, one of `choices` if there are any."""
    if choices:
        return {"choices": choices}
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return {"type": lambda text: tuple(item(part) for part in text.split(",") if part), "metavar": "A,B,..."}
    return {"type": hint, "metavar": {Path: "PATH", int: "N", float: "X"}.get(hint, "NAME")}
