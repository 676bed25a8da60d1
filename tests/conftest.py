"""What tests of several files need."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from base.commands import UNDER_MAKE
from base.outside import kept
from train.sweep.storage import VARIABLE

if TYPE_CHECKING:
    from cache.profile import FeatureProfile

# Messages are quoted as they are outside make, also under `make test`.
os.environ.pop(UNDER_MAKE, None)
os.environ.pop(VARIABLE, None)  # no test sweeps into somebody's database
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each program that a test starts would compile this code anew

if "PYTEST_XDIST_WORKER" not in os.environ:  # one folder for all workers, which inherit the variable
    os.environ[kept.VARIABLE] = tempfile.mkdtemp(prefix="reelcheck-tests-")

if "PYTEST_XDIST_WORKER" in os.environ:  # the cores are shared out among the workers: waiting threads only spin
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")

LONGEST = (
    "test_whole.py",
    "test_export.py",
    "test_finetune.py",
    "test_sweep.py",
    "test_api.py",
    "test_fit.py",
    "test_converted.py",
    "test_new_head.py",
    "test_stack.py",
    "test_quickstart.py",
    "test_networks.py",
    "test_architecture.py",
)
"""Files that take half a minute. They come first, so that no worker is left with one of them at the end."""


def pytest_unconfigure() -> None:
    """Removes what the tests kept."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ[kept.VARIABLE], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first; within a file the order stays."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="module")
def short_profile() -> Iterator["FeatureProfile"]:
    """Has the backbone of few layers known to the tests of a file; gives the profile of its features."""
    from extract.backbones.networks import BACKBONES
    from tests.crops import PROFILE
    from tests.short import NAME, SHORT, TAPS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, NAME, SHORT)
        yield replace(PROFILE, backbone=NAME, taps=TAPS)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Has programs that a test starts hear Ctrl-C, even where the tests do not: as a shell's background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
