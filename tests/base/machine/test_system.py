"""How many files a process may hold open: as many as are needed, and never fewer than before."""

import resource

import pytest

from base.machine.system import allow_open_files

NONE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((256, NONE), (1024, NONE)),  # macOS
        ((256, 4096), (1024, 4096)),
        ((256, 512), (512, 512)),
        ((1024, 4096), None),
        ((4096, 4096), None),
        ((NONE, NONE), None),
    ],
)
def test_a_lower_limit_is_raised_as_far_as_it_may_be(before, after, monkeypatch):
    made = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: before)
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: made.append(limits))
    allow_open_files(1024)
    assert made == ([after] if after else [])
