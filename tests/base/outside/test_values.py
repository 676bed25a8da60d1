"""A dataclass says what a JSON object may hold; anything else is named, and nothing else is kept."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from base.outside.values import WrongValue, parse, refuse_unknown
from cache.profile import CropProfile, FeatureProfile, Tap, profile_of


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Meta(ge=0, le=1)] = 0.5


@dataclass(frozen=True)
class Outer:
    count: Annotated[int, Meta(ge=1, le=9)]
    word: Annotated[str, Meta(pattern=r"\A[a-z]+\Z")] = "a"
    kind: Literal["x", "y"] = "x"
    switch: bool = False
    tags: tuple[str, ...] = ()
    inner: Inner | None = None
    more: dict[str, Inner] = field(default_factory=dict)
    places: list[Path] = field(default_factory=list)
    free: Any = None


def test_what_fits_is_read():
    values = {"count": 3, "tags": ["p", "q"], "inner": {"share": 1}, "more": {"k": {"share": 0.25}}, "free": [[1]]}
    values |= {"places": ["a/b"], "other": 1}
    expected = Outer(3, tags=("p", "q"), inner=Inner(1), more={"k": Inner(0.25)}, places=[Path("a/b")], free=[[1]])
    assert parse(Outer, values) == expected


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"count": None}, "has None as 'count', where a whole number is expected"),
        ({"count": "3"}, "has '3' as 'count', where a whole number"),
        ({"count": True}, "has True as 'count', where a whole number"),
        ({"count": 3.0}, r"has 3\.0 as 'count', where a whole number"),
        ({"count": 10}, "has 10 as 'count', where a whole number <= 9 is expected"),
        ({"count": 10**400}, "more than 15 digits as 'count', where a whole number <= 9"),
        ({"word": "../x"}, r"has '\.\./x' as 'word', where a text matching regex"),
        ({"word": "a\n"}, "a text matching regex"),
        ({"kind": "z"}, "has 'z' as 'kind', where one that this version knows is expected"),
        ({"kind": []}, "has a list of 0 as 'kind', where a text"),
        ({"switch": 1}, "has 1 as 'switch', where true or false"),
        ({"tags": "pq"}, "has 'pq' as 'tags', where a list"),
        ({"tags": [1]}, r"has 1 as 'tags\[0\]', where a text"),
        ({"inner": []}, "has a list of 0 as 'inner', where an object or null"),
        ({"inner": {"share": 2}}, r"has 2 as 'inner\.share', where a number <= 1\.0"),
        ({"inner": {"share": float("nan")}}, "has nan as 'inner.share', where a number >= 0"),
        ({"inner": {"share": 1e30}}, "a number <= 1"),
        ({"inner": {"share": 10**400}}, "'inner.share', where a number in range"),
        ({"more": {"k": 1}}, r"has a value as 'more\[\.\.\.\]', where an object"),
        ({"places": ["a\0"]}, r"as 'places\[0\]', where a path that can be is expected"),
        ({"places": ["x" * 256]}, "a path that can be"),
        ({"places": ["/".join(["x" * 200] * 30)]}, "a path that can be"),
        ({"places": ["\ud800"]}, "a path that can be"),
        ({"places": [3]}, "has 3 as 'places.*a path that can be"),
    ],
)
def test_what_does_not_fit_is_named(change, what):
    with pytest.raises(WrongValue, match=what):
        parse(Outer, {"count": 3} | change)


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_object_is_named(value):
    with pytest.raises(WrongValue, match="where an object is expected"):
        parse(Outer, value)


def test_a_value_that_is_absent_is_named():
    with pytest.raises(WrongValue, match="has no 'count'"):
        parse(Outer, {})


@pytest.mark.parametrize(("more", "what"), [({"other": 1}, "'other' in it,"), ({"inner": {"x": 1}}, "'x' in inner,")])
def test_what_nobody_knows_is_named_where_it_matters(more, what):
    values = {"count": 3} | more
    with pytest.raises(WrongValue, match=f"has {what} which this version does not know"):
        refuse_unknown(parse(Outer, values), values)


def test_a_whole_number_stays_one_so_that_a_fingerprint_stays():
    profile = replace(FeatureProfile(CropProfile(margin=0), taps=(Tap("a", "face", "mean"),)), version=2)
    assert repr(profile_of(asdict(profile))) == repr(profile)
