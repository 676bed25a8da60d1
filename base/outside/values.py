"""Values of JSON, TOML and CSV files, read as a type says: a dataclass is the schema of an object, or of a row.

msgspec reads them: bounds and patterns stand beside a field, as in `Annotated[int, Meta(ge=1, le=12)]`. Written here is
what it leaves out: texts that can be paths, keys that nobody knows, and a sentence that quotes what was found.
"""

import contextlib
import csv
import dataclasses
import io
import json
import math
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from base.errors import Unreadable, UserError
from base.outside.content import NO_FILE, WrongContent, read_text
from base.text import FORMULA

MOST_JSON, MOST_TOML = 2**24, 2**20
"""Bytes that are read of a JSON file, and of one with settings; the JSON of ten thousand clips has a tenth of it."""
MOST_DEPTH = 24
"""Lists in lists, and objects in objects, of a JSON file."""
MOST_CELL = 4096
"""Characters of a cell of a table: the longest path has about so many."""
EARLIEST = datetime.min.replace(tzinfo=UTC)
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
    wanted = re.sub("`(.+?)`", lambda kinds: " or ".join(_WORDS.get(one, one) for one in kinds[1].split(" | ")), wanted)
    found = _found(value, place)
    what = "a value" if found is _HIDDEN else shown(found)
    return WrongValue(f"has {what}{f' as {name!r}' if name else ''}, where {wanted} is expected")


def _found(value: Any, place: str) -> Any:
    """Returns what lies at `place`, such as ".taps[0]", in `value`; `_HIDDEN` where a key is "[...]" for msgspec."""
    for key, number, hidden in re.findall(r"\.(\w+)|\[(\d+)\]|(\[\.\.\.\])", place):
        if hidden:
            return _HIDDEN
        value = value[key] if key else value[int(number)]
    return value


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """Returns the value in the JSON file `path`; raises what `open_regular` and `parse_json` do."""
    return parse_json(read_text(path, most))


def parse_json(text: str) -> Any:
    """Returns the value of the JSON `text`; raises WrongContent.

    It has finite numbers alone, each key of an object once, and at most `MOST_DEPTH` lists and objects in each other.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise WrongContent("it is nested too deeply") from None
    except WrongContent:
        raise
    except ValueError as error:
        raise WrongContent(str(error).partition(";")[0]) from None  # what follows would be advice to programmers
    _require_shallow(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise WrongContent(f"an object has the key {ascii(twice)[:60]} twice")
    return values


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise WrongContent(f"{text[:60]} is no finite number")
    return number


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, dict | list)
        ]
    if level:
        raise WrongContent("it is nested too deeply")


def read_toml(path: Path, most: int = MOST_TOML) -> dict[str, Any]:
    """Returns the values in the TOML file `path`; raises what `open_regular` does, and WrongContent."""
    try:
        return tomllib.loads(read_text(path, most))
    except RecursionError:
        raise WrongContent("it is nested too deeply") from None
    except WrongContent:
        raise
    except ValueError as error:
        raise WrongContent(str(error)[:200]) from None


def now() -> str:
    """Returns this moment as files say it: UTC, ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def moment(path: Path, entry: str) -> datetime:
    """Returns the moment that the JSON file `path` says under `entry`; `EARLIEST` if it says none.

    So what an earlier version wrote comes before what says its moment, and never passes for newer because of a copy.
    """
    try:
        said = datetime.fromisoformat(read_json(path)[entry])
    except (*NO_FILE, Unreadable, ValueError, LookupError, TypeError):
        return EARLIEST
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def read_records(path: Path, kind: type[T]) -> dict[str, T]:
    """Returns each row of the CSV file `path` as the dataclass `kind`, by its `id`, which no other row has.

    A field without a default is a column that must be there. Raises what `read_csv` does.
    """
    needed = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]  # pyright: ignore[reportArgumentType]
    records: dict[str, T] = {}
    for line, values in read_csv(path, needed):
        name = values["id"]
        if name in records:
            raise WrongContent(f"line {line} has the id {shown(name)} a second time")
        try:
            records[name] = parse(kind, values, strict=False)
        except WrongValue as error:
            raise WrongContent(f"line {line} {error}") from None
    return records


def read_csv(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields line number and texts of each row of the CSV file `path`, which must have the columns `needed`.

    Raises WrongContent, which names the line of a row that is none, or what `open_regular` does.
    """
    rows = strict_rows(csv.reader(io.StringIO(read_text(path), newline=""), strict=True))
    _, columns = next(rows, (0, []))
    if missing := [name for name in needed if name not in columns]:
        raise WrongContent(f"it has no column {missing[0]!r}, and needs {', '.join(needed)}")
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise WrongContent(f"it has the column {twice[0]!r} twice")
    for line, values in rows:
        if len(values) != len(columns):
            raise WrongContent(f"line {line} has not as many values as there are columns")
        yield line, dict(zip(columns, values, strict=True))


def strict_rows(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and texts of each row of a `csv.reader` that is not empty; raises WrongContent."""
    try:
        for values in reader:
            if max(map(len, values), default=0) > MOST_CELL:
                raise WrongContent(f"line {reader.line_num} has a value of more than {MOST_CELL:,} characters")
            if values:
                # Few of millions of cells were changed: the first look at each is cheaper than a call.
                yield reader.line_num, [original(cell) if cell[:1] == "'" else cell for cell in values]
    except csv.Error as error:
        raise WrongContent(f"line {reader.line_num} is no row: {error}") from None


def original(cell: str) -> str:
    """Returns the text of which `base.text.harmless` made the `cell` of a CSV file."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
