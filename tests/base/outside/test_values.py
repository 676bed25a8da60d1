"""A dataclass says what a JSON object may hold; anything else is named, and nothing else is kept."""

from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

import pytest

from base.outside.values import Between, Like, WrongValue, parse
from cache.profile import CropProfile, FeatureProfile, Tap, profile_of


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Between(0, 1)] = 0.5


@dataclass(frozen=True)
class Outer:
    count: Annotated[int, Between(1, 9)]
    word: Annotated[str, Like("[a-z]+")] = "a"
    kind: Literal["x", "y"] = "x"
    switch: bool = False
    tags: tuple[str, ...] = ()
    inner: Inner | None = None
    more: dict[str, Inner] = field(default_factory=dict)
    free: Any = None


def test_what_fits_is_read():
    values = {"count": 3, "tags": ["p", "q"], "inner": {"share": 1}, "more": {"k": {"share": 0.25}}, "free": [[1]]}
    assert parse(Outer, values) == Outer(3, tags=("p", "q"), inner=Inner(1), more={"k": Inner(0.25)}, free=[[1]])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"count": None}, "no 'count' that is a int"),
        ({"count": "3"}, "no 'count' that is a int"),
        ({"count": True}, "no 'count' that is a int"),
        ({"count": 3.0}, "no 'count' that is a int"),
        ({"count": 10}, "not 1 to 9"),
        ({"count": 10**400}, "not 1 to 9"),
        ({"word": "../x"}, "not of the form"),
        ({"word": "a\n"}, "not of the form"),
        ({"kind": "z"}, "none of x, y"),
        ({"kind": []}, "none of x, y"),
        ({"switch": 1}, "no 'switch' that is a bool"),
        ({"tags": "pq"}, "no 'tags' that is a list"),
        ({"tags": [1]}, "no 'tags' that is a str"),
        ({"inner": []}, "no 'inner' that is a dict"),
        ({"inner": {"share": 2}}, "'inner.share' 2, which is not 0 to 1"),
        ({"inner": {"share": float("nan")}}, "no 'inner.share' that is a float"),
        ({"inner": {"share": 1e30}}, "not 0 to 1"),
        ({"inner": {"share": 10**400}}, "no 'inner.share' that is a float"),
        ({"more": {"k": 1}}, "no 'more.k' that is a dict"),
        ({"other": 1}, "'other' in it, which this version does not know"),
    ],
)
def test_what_does_not_fit_is_named(change, what):
    with pytest.raises(WrongValue, match=what):
        parse(Outer, {"count": 3} | change)


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_object_lacks_the_first_field(value):
    with pytest.raises(WrongValue, match="no 'count' that is a int"):
        parse(Outer, value)


def test_a_whole_number_stays_one_so_that_a_fingerprint_stays():
    profile = replace(FeatureProfile(CropProfile(margin=0), taps=(Tap("a", "face", "mean"),)), version=2)
    assert repr(profile_of(asdict(profile))) == repr(profile)
