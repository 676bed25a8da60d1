"""Command lines made from config dataclasses, and TOML files whose keys are flags."""

import argparse
import dataclasses
import difflib
import re
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from base.commands import flag
from base.errors import UserError
from base.flags import choices_of, kind_of, require_choices
from base.outside.values import WrongValue, explained, parse, read_toml, shown

_PLAIN: dict[Any, Any] = {
    float: Annotated[float, Meta(gt=-1e300, lt=1e300)],  # neither infinite nor one that cannot be compared
    str: Annotated[str, Meta(pattern=r"\A[^\0]*\Z")],
}
"""What a setting of these kinds has to be."""


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
        hint = did_you_mean(unknown[1], known, flag)
        raise UserError(f"{flag(unknown[1])} is not a flag of {self.prog}; {hint}{self.prog} --help lists the flags.")


def did_you_mean(word: str, known: Collection[str], written: Callable[[str], str] = str) -> str:
    """Returns a question, with a space behind it, for the one of `known` that is nearest to `word`; "" if none is."""
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {written(near[0])}? " if near else ""


def parse_flags(program: str, about: str, config: type, argv: Sequence[str] | None = None) -> Any:
    """Returns the `config` that the command line `argv`, and the file that its --config names, describe.

    What is typed wins over the file. A UserError names an unknown flag, or what is wrong in the file.
    """
    parser = Parser(prog=program, description=about)
    early = Parser(prog=program, add_help=False)
    for each in (early, parser):
        each.add_argument("--config", type=Path, metavar="FILE.toml", help="file whose keys are flags; typed flags win")
    file = early.parse_known_args(argv)[0].config
    settings = _read_settings(file, config, program) if file else {}
    _add_flags(parser, config, settings)
    values = vars(parser.parse_args(argv, argparse.Namespace(**settings)))
    del values["config"]
    found = config(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    require_choices(found)
    return found


def _add_flags(parser: argparse.ArgumentParser, config: type, settings: Mapping[str, Any]) -> None:
    """Adds one `--flag` to `parser` for each field of the dataclass `config`; those in `settings` may be left out."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        bare, hint = field.metadata.get("bare"), hints[field.name]
        given = field.name in settings
        if bare:
            one, are_many = kind_of(hint)
            count = ("*" if given else "+") if are_many else ("?" if given else None)
            kind: dict[str, Any] = {"metavar": bare, "nargs": count, "type": one}
        else:
            kind = {"required": field.default is dataclasses.MISSING and not given}
            kind |= _kind(hint, choices_of(field, hint)) | field.metadata.get("kind", {})
        name = field.name if bare else "--" + field.name.replace("_", "-")
        parser.add_argument(name, default=argparse.SUPPRESS, help=_help(field), **kind)


def _help(field: "dataclasses.Field[Any]") -> str:
    text = field.metadata.get("help", "")
    if (default := field.default) not in (dataclasses.MISSING, None, "", ()):
        text += f" (default: {','.join(map(str, default)) if isinstance(default, tuple) else default})"
    return text.replace("%", "%%")


def _kind(hint: Any, choices: Sequence[str]) -> dict[str, Any]:
    """Returns the argparse arguments that parse a value of the type `hint`, one of `choices` if there are any."""
    kind, many = kind_of(hint)
    if many:
        return {"type": lambda text: tuple(kind(part) for part in text.split(",") if part), "metavar": "A,B,..."}
    if choices:
        return {"choices": choices}
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": kind, "metavar": {Path: "PATH", int: "N", float: "X"}.get(kind, "NAME")}


def _read_settings(path: Path, config: type, program: str) -> dict[str, Any]:
    """Returns the fields of the dataclass `config` that the TOML file `path` sets, by name.

    Its keys are the flags of `program`, with dashes or underscores. A UserError names a key that is none, or whose
    value is of another kind.
    """
    with explained(path, "TOML", f"give another {flag('config')}"):
        values = read_toml(path)
    hints, fields = typing.get_type_hints(config), {field.name: field for field in dataclasses.fields(config)}
    settings = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in fields:
            hint = f"{did_you_mean(name, fields)}{program} --help lists them"
            raise UserError(f"{path} has {shown(key)}, which is not a flag of {program}; {hint}.")
        if name in settings:
            raise UserError(f"{path} has {name} twice, with a dash and with an underscore; keep one of the two.")
        settings[name] = _read(value, hints[name], f"{path}: {key}")
    return settings


def _read(value: Any, hint: Any, where: str) -> Any:
    kind, many = kind_of(hint)
    kind = _PLAIN.get(kind, kind)
    try:
        return parse(tuple[kind, ...] if many else kind, value)
    except WrongValue as error:
        raise UserError(f"{where} {error}; correct it.") from None
