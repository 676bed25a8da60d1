"""Flags from a TOML file, for whoever keeps settings in files."""

import dataclasses
import difflib
import typing
from pathlib import Path
from typing import Any

from base.commands import flag
from base.errors import UserError
from base.flags import kind_of
from base.outside.content import NO_FILE, WrongContent, read_toml
from base.outside.values import shown

FAR = 1e300
"""No setting is a number as large as this, which infinity is, nor one that cannot be compared."""
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}


def read_settings(path: Path, config: type, program: str) -> dict[str, Any]:
    """Returns the fields of the dataclass `config` that the TOML file `path` sets, by name.

    Its keys are the flags of `program`, with dashes or underscores. A UserError names a key that is none, or whose
    value is of another kind.
    """
    try:
        values = read_toml(path)
    except (*NO_FILE, WrongContent) as error:
        raise UserError(f"{path} cannot be read as TOML ({error}); give another {flag('config')}.") from None
    hints, fields = typing.get_type_hints(config), {field.name: field for field in dataclasses.fields(config)}
    settings = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"{path} has {shown(key)}, which is not a flag of {program}; {hint}{program} --help lists them."
            )
        if name in settings:
            raise UserError(f"{path} has {name} twice, with a dash and with an underscore; keep one of the two.")
        settings[name] = _read(value, hints[name], f"{path}: {key}")
    return settings


def _read(value: Any, hint: Any, where: str) -> Any:
    kind, many = kind_of(hint)
    items = value if many and isinstance(value, list) else [value]
    if (many and not isinstance(value, list)) or not all(_is(kind, item) for item in items):
        expected = f"a list, each of it {KINDS[kind]}," if many else KINDS[kind]
        raise UserError(f"{where} is {shown(value)}, and {expected} is expected; correct it.")
    typed = tuple(kind(item) for item in items)
    return typed if many else typed[0]


def _is(kind: type, value: Any) -> bool:
    if kind is float:
        return type(value) in (int, float) and abs(value) < FAR
    if kind in (str, Path):
        return isinstance(value, str) and "\0" not in value
    return type(value) is kind
