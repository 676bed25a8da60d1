"""Settings of a stage are the fields of its config dataclass: each default and help text is written once, beside it."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from base.commands import flag
from base.errors import UserError

Choices = Callable[[], Iterable[str]]


def option(default: Any, text: str, choices: Choices | None = None, **kind: Any) -> Any:
    """Returns a dataclass field with a `default`; `text` is the help of its flag and says the unit.

    `choices` returns the values that there are: the names in a registry, so that a new entry is a new choice.
    `kind` are arguments of `add_argument`, for flags that are read in another way than their type says.
    """
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices, "kind": kind})


def bare(default: Any, text: str, metavar: str) -> Any:
    """Returns a dataclass field whose value, or values if it is a tuple, go without a flag and have to be given.

    The `default` is for callers in Python.
    """
    return dataclasses.field(default=default, metadata={"help": text, "bare": metavar})


def required(text: str) -> Any:
    """Returns a dataclass field without a default; `text` is the help of its flag."""
    return dataclasses.field(metadata={"help": text})


def choices_of(field: "dataclasses.Field[Any]", hint: Any) -> list[str]:
    """Returns the values that `field`, whose type is `hint`, may have; none where it may have any of its type."""
    if choices := field.metadata.get("choices"):
        return list(choices())
    return list(typing.get_args(hint)) if typing.get_origin(hint) is typing.Literal else []


def kind_of(hint: Any) -> tuple[Any, bool]:
    """Returns the type of a setting, without None, and whether it may be a tuple of that."""
    if isinstance(hint, types.UnionType):
        kinds = [part for part in typing.get_args(hint) if part is not type(None)]
        # One or several: on the command line, a tuple.
        hint = next((kind for kind in kinds if typing.get_origin(kind) is tuple), kinds[0])
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return (str if typing.get_origin(hint) is typing.Literal else hint), False


def require_choices(config: Any) -> None:
    """Raises a UserError that names a field of the dataclass `config` whose value is none of its choices."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), choices_of(field, hints[field.name])
        for each in value if isinstance(value, tuple) else [value]:
            if choices and each not in choices:
                raise UserError(f"{flag(field.name, each)} is none of {', '.join(choices)}; give one of these.")
