"""Memory that runs out: known by what libraries say, and told in one sentence."""

import os
import resource
import subprocess
import sys

import pytest

from base.machine import memory
from base.machine.memory import address_space, free_memory, out_of_memory, shortage
from tests import ROOT


@pytest.mark.parametrize("error", [
    MemoryError(),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
    ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"),
    OSError(12, "Cannot allocate memory"),
    RuntimeError("Exception from core.cpp:1:\nstd::bad_alloc"),
    SystemError("error return without exception set"),
])  # fmt: skip
def test_it_is_known_by_what_libraries_say(error):
    assert out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("shapes differ"), OSError(28, "No space left on device")])
def test_other_errors_are_no_lack_of_memory(error):
    assert not out_of_memory(error)


def test_the_sentence_names_what_ran_out_and_the_limit(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    error = RuntimeError("Exception from core.cpp:1:\ncannot load library: failed to map segment\nmore")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_500_000_000, resource.RLIM_INFINITY))
    assert shortage(error) == (
        "memory ran out (cannot load library: failed to map segment): this process may map 1.5 GB (ulimit -v), and "
        "6 GB do; raise that limit."
    )
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    monkeypatch.setattr(memory, "free_memory", lambda: 2_000_000_000)
    assert shortage(MemoryError()) == (
        "memory ran out (MemoryError): 2.0 GB are free; end other programs, or use fewer workers or smaller batches."
    )


def test_free_memory_is_that_of_this_machine(monkeypatch):
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < (free_memory() or 0) < total
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert free_memory() is None


def test_a_limit_that_macos_does_not_keep_is_none(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_500_000_000, resource.RLIM_INFINITY))
    assert address_space() == 1_500_000_000
    monkeypatch.setattr(sys, "platform", "darwin")
    assert address_space() is None


PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000,) * 2)
from base.ending import run
from base.keras_start import start_keras
run(start_keras)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps no process to a limit of its address space")
def test_a_backend_that_does_not_fit_is_a_sentence_and_no_abort():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: this process may map 3.0 GB (ulimit -v), and Keras at work maps 4.5 GB; raise that limit.\n",
    )
