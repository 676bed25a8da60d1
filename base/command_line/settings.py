"""Flags from a TOML file, for whoever keeps settings in files."""

import dataclasses
import difflib
import typing
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from base.commands import flag
from base.errors import UserError
from base.flags import kind_of
from base.outside.content import read_toml
from base.outside.values import WrongValue, explained, parse, shown

_PLAIN: dict[Any, Any] = {
    float: Annotated[float, Meta(gt=-1e300, lt=1e300)],  # neither infinite nor one that cannot be compared
    str: Annotated[str, Meta(pattern=r"\A[^\0]*\Z")],
}
"""What a setting of these kinds has to be."""


def read_settings(path: Path, config: type, program: str) -> dict[str, Any]:
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
    kind = _PLAIN.get(kind, kind)
    try:
        return parse(tuple[kind, ...] if many else kind, value)
    except WrongValue as error:
        raise UserError(f"{where} {error}; correct it.") from None
