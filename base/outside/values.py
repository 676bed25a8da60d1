"""Values of a JSON file, read as a type says: a dataclass is the schema of an object.

msgspec reads them: bounds and patterns stand beside a field, as in `Annotated[int, Meta(ge=1, le=12)]`. Written here is
what it leaves out: texts that can be paths, keys that nobody knows, and a sentence that quotes what was found.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from base.errors import UserError
from base.outside.content import NO_FILE

MOST_PATH, MOST_NAME = 4096, 255
"""Bytes of a path, with its end, and of each name in it, on Linux; no system takes longer ones."""
MOST_SHOWN = 60
"""Characters of a value that a sentence quotes."""
_WORDS = {
    "int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "array": "a list",
    "object": "an object",
}  # fmt: skip
"""msgspec's words for types, in ours."""
_HIDDEN = object()
T = TypeVar("T")


class WrongValue(ValueError):
    """A value that is not what its type says. Reads on from the file's name: "has 'x' as 'size', where ..."."""


@contextlib.contextmanager
def explained(path: Path, form: str, remedy: str) -> Iterator[None]:
    """Turns what is raised about the content of `path`, which should be `form`, into a UserError with the `remedy`."""
    try:
        yield
    except NO_FILE:
        raise UserError(f"{path} is missing; {remedy}.") from None
    except WrongValue as error:
        raise UserError(f"{path} {error}; {remedy}.") from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read as {form} ({error}); {remedy}.") from None


def parse(kind: type[T], value: Any, *, strict: bool = True) -> T:
    """Returns the JSON `value` as `kind`, without the keys that a dataclass has no field for; raises WrongValue.

    Where it is not `strict`, numbers may be written as texts.
    """
    try:
        return msgspec.convert(value, kind, strict=strict, dec_hook=_read)
    except msgspec.ValidationError as error:
        raise _wrong(str(error), value) from None
    except UnicodeEncodeError:  # msgspec's, where half a pair stands in place of something else than a text
        raise WrongValue("has a text that is not Unicode") from None


def refuse_unknown(parsed: Any, value: Any, name: str = "") -> None:
    """Raises WrongValue if `value`, which was read as `parsed`, has a key that its dataclass does not have.

    msgspec would refuse them in classes of its own alone.
    """
    if not dataclasses.is_dataclass(parsed):
        return
    for key, inner in value.items():
        if key not in (field.name for field in dataclasses.fields(parsed)):
            raise WrongValue(f"has {shown(key)} in {name or 'it'}, which this version does not know")
        refuse_unknown(getattr(parsed, key), inner, f"{name}.{key}" if name else key)


def is_path(text: Any) -> bool:
    """Returns whether `text` can be a path here: not empty, no NUL, and no longer than file systems take."""
    try:
        path = os.fsencode(text)
    except (UnicodeEncodeError, TypeError):
        return False
    return b"\0" not in path and 0 < len(path) < MOST_PATH and max(map(len, path.split(b"/"))) <= MOST_NAME


def shown(value: Any) -> str:
    """Returns `value` as a sentence quotes it: on one line, and not longer than `MOST_SHOWN`."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**15:
        return "a number of more than 15 digits"
    return repr(value)[:MOST_SHOWN]


def _read(kind: Any, value: Any) -> Any:
    """Returns `value` as a type that msgspec does not know, which is Path alone."""
    assert kind is Path
    if not is_path(value):
        raise ValueError("a path that can be")
    return Path(value)


def _wrong(text: str, value: Any) -> WrongValue:
    """Returns msgspec's `text` about `value`, such as "Expected `int`, got `str` - at `$.head.units`", in our words."""
    reason, _, place = text.removesuffix("`").partition(" - at `$")
    name = place.lstrip(".")
    if reason.startswith("Object missing"):
        missing = ".".join(filter(None, (name, reason.split("`")[1])))
        return WrongValue(f"has no {missing!r}")
    wanted = reason.removeprefix("Expected ").partition(", got ")[0]
    wanted = {"Invalid": "one that this version knows", "Number": "a number in range"}.get(reason.split()[0], wanted)
    wanted = re.sub("`(.+?)`", lambda kinds: " or ".join(map(_in_words, kinds[1].split(" | "))), wanted)
    found = _found(value, place)
    what = "a value" if found is _HIDDEN else shown(found)
    return WrongValue(f"has {what}{f' as {name!r}' if name else ''}, where {wanted} is expected")


def _in_words(kind: str) -> str:
    return _WORDS.get(kind, kind)


def _found(value: Any, place: str) -> Any:
    """Returns what lies at `place`, such as ".taps[0]", in `value`; `_HIDDEN` where a key is "[...]" for msgspec."""
    for key, number, hidden in re.findall(r"\.(\w+)|\[(\d+)\]|(\[\.\.\.\])", place):
        if hidden:
            return _HIDDEN
        value = value[key] if key else value[int(number)]
    return value
