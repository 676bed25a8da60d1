"""Memory that runs out: known by what libraries say, and told in one sentence."""

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


VM_STAT = """#!/bin/sh
cat <<END
Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                                1000.
Pages active:                            400000.
Pages inactive:                          200000.
Pages speculative:                          500.
Pages throttled:                              0.
Pages wired down:                        100000.
"Translation faults":                1234567890.
END
"""


def test_macos_is_asked_by_its_own_program(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "absent")
    monkeypatch.setattr(memory, "VM_STAT", tmp_path / "vm_stat")
    assert free_memory() is None
    (tmp_path / "vm_stat").write_text(VM_STAT)
    (tmp_path / "vm_stat").chmod(0o755)
    assert free_memory() == 201_500 * 16_384
    (tmp_path / "vm_stat").write_text("#!/bin/sh\n")
    assert free_memory() is None


def test_linux_says_what_is_available(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal:       24684084 kB\nMemFree:  100 kB\nMemAvailable:   21026124 kB\n")
    assert free_memory() == 21_026_124 * 1024
    (tmp_path / "meminfo").write_text("MemTotal:       24684084 kB\n")
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
