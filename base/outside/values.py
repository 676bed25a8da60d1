"""Values of a JSON file, read as a type says: a dataclass is the schema of an object.

Known are bool, int, float, str, tuples, lists, dicts, unions, literals, named tuples and dataclasses of these. A number
or a text is narrowed by `Annotated[int, Between(1, 12)]` and `Annotated[str, Like("[a-z]+")]`.
"""

import dataclasses
import math
import os
import re
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

MOST_PATH, MOST_NAME = 4096, 255
"""Bytes of a path, with its end, and of each name in it, on Linux; no system takes longer ones."""
MOST_SHOWN = 60
"""Characters of a value that a sentence quotes."""


class WrongValue(ValueError):
    """A value that is not what its type says. Reads on from the file's name: "has no 'size' that is a int ('x')"."""


@dataclass(frozen=True)
class Between:
    """Narrows a number to those from `low` to `high`."""

    low: float
    high: float

    def __contains__(self, value: Any) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" if self.low < self.high else f"{self.low:g}"


@dataclass(frozen=True)
class Like:
    """Narrows a text to those that match `pattern` from end to end."""

    pattern: str

    def __contains__(self, value: Any) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return f"of the form {self.pattern}"


@dataclass(frozen=True)
class PathLike:
    """Narrows a text to those that can be a path here: no NUL, and no longer than file systems take."""

    def __contains__(self, value: Any) -> bool:
        try:
            path = os.fsencode(value)
        except UnicodeEncodeError:
            return False
        return b"\0" not in path and len(path) < MOST_PATH and max(map(len, path.split(b"/"))) <= MOST_NAME

    def __str__(self) -> str:
        return "a path that can be"


PathText = Annotated[str, PathLike()]


def parse(kind: Any, value: Any, name: str = "", *, extra: bool = False) -> Any:
    """Returns the JSON `value` called `name` as `kind`; raises WrongValue. `extra` keys of an object are left out."""
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, name, extra)
    if kind is Any:
        return value
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Annotated, Literal):
        return _narrowed(origin, inner, value, name)
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, name, extra)
    if origin in (list, tuple, dict):
        return _collection(origin, inner, value, name, extra)
    return _named(kind, value, name) if issubclass(kind, tuple) else _scalar(kind, value, name)


def _narrowed(origin: Any, inner: tuple[Any, ...], value: Any, name: str) -> Any:
    if origin is Annotated:
        parsed = parse(inner[0], value, name)
        if parsed not in inner[1]:
            raise WrongValue(f"has the {name!r} {shown(value)}, which is not {inner[1]}")
        return parsed
    if not any(value == choice and type(value) is type(choice) for choice in inner):
        raise WrongValue(f"has the {name!r} {shown(value)}, which is none of {', '.join(map(str, inner))}")
    return value


def _object(kind: Any, value: Any, name: str, extra: bool) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = get_type_hints(kind, include_extras=True)
    if not isinstance(value, dict):
        first = next(iter(fields))
        raise _no(dict, value, name) if name else _no(hints[first], None, first)
    unknown = sorted(value.keys() - fields.keys())
    if unknown and not extra:
        raise WrongValue(f"has {shown(unknown[0])} in {name or 'it'}, which this version does not know")
    inside = f"{name}." if name else ""
    found = {}
    for key, field in fields.items():
        if key in value:
            found[key] = parse(hints[key], value[key], inside + key, extra=extra)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _no(hints[key], None, inside + key)
    return kind(**found)


def _one_of(kinds: tuple[Any, ...], value: Any, name: str, extra: bool) -> Any:
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return parse(kind, value, name, extra=extra)
        except WrongValue:
            continue
    return parse(others[-1], value, name, extra=extra)


def _collection(origin: Any, inner: tuple[Any, ...], value: Any, name: str, extra: bool) -> Any:
    if origin is dict:
        if not isinstance(value, dict):
            raise _no(dict, value, name)
        return {key: parse(inner[1], each, f"{name}.{key}"[:MOST_SHOWN], extra=extra) for key, each in value.items()}
    if not isinstance(value, list | tuple):
        raise _no(list, value, name)
    return origin(parse(inner[0], each, name, extra=extra) for each in value)


def _named(kind: Any, value: Any, name: str) -> Any:
    """Returns a named tuple."""
    kinds = list(get_type_hints(kind).values())
    if not isinstance(value, list | tuple) or len(value) != len(kinds):
        raise _no(kind, value, name)
    return kind(*(parse(one, each, name) for one, each in zip(kinds, value, strict=True)))


def _scalar(kind: type, value: Any, name: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1023:
        return value  # 0 and 0.0 give a profile other fingerprints
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _no(kind, value, name)
    return value


def _no(kind: Any, value: Any, name: str) -> WrongValue:
    origin = get_origin(kind)
    kind = get_args(kind)[0] if origin is Annotated else kind
    word = "dict" if dataclasses.is_dataclass(kind) else getattr(get_origin(kind) or kind, "__name__", str(kind))
    found = "" if value is None else f" (but {shown(value)})"
    return WrongValue(f"has no {name!r} that is a {word}{found}")


def shown(value: Any) -> str:
    """Returns `value` as a sentence quotes it: on one line, and not longer than `MOST_SHOWN`."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**15:
        return "a number of more than 15 digits"
    return repr(value)[:MOST_SHOWN]
