"""Takes away what Linux has and macOS has not, from a process and all that it starts, so that the ways without show."""

import errno
import fcntl
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from tests import ROOT

LINUX_ALONE: dict[ModuleType, tuple[str, ...]] = {
    os: (
        "sched_getaffinity", "sched_setaffinity", "sched_setscheduler", "pipe2", "memfd_create", "eventfd",
        "posix_fadvise", "posix_fallocate", "copy_file_range", "splice", "pidfd_open", "getrandom", "unshare", "setns",
    ),
    signal: ("sigtimedwait", "sigwaitinfo", "pidfd_send_signal"),
}  # fmt: skip
"""Functions by module that Python has on Linux and not on macOS."""
HIDDEN = ("/proc", "/sys/fs/cgroup")
"""Folders in which Linux speaks of processes, memory and quotas."""


def environment(folder: Path, locks: bool) -> dict[str, str]:
    """Returns the variables of a process without Linux; if not `locks`, its disks have none, as macOS says it."""
    program = f"from tests.without_linux import take_away\ntake_away(locks={locks})\n"
    (folder / "sitecustomize.py").write_text(program)
    return {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}


def take_away(locks: bool) -> None:
    """Does so in this process; those that it starts find the same `sitecustomize`."""
    if hasattr(os, "process_cpu_count"):  # of Python 3.13, which asks for the affinity on Linux
        os.process_cpu_count = os.cpu_count
    for module, names in LINUX_ALONE.items():
        for name in filter(module.__dict__.__contains__, names):
            delattr(module, name)
    # That of Linux reads what is hidden here; joblib, which asks it where it is there, can do without.
    sys.modules["psutil"] = None  # pyright: ignore[reportArgumentType]
    os.fork = _refuse  # macOS has it, and no library of its own survives it
    multiprocessing.set_start_method("spawn")
    os.stat = _hiding(os.stat)
    sys.addaudithook(lambda event, given: _hide(given[0]) if event in ("open", "os.listdir", "os.scandir") else None)
    fcntl.F_FULLFSYNC = 51  # which Linux refuses, as a network's file system does
    errno.ENOTSUP, errno.EOPNOTSUPP = 45, 102
    if not locks:
        fcntl.flock = _have_no_locks


def _hiding(stat: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
    def hiding(path: Any, *given: Any, **named: Any) -> os.stat_result:
        _hide(path)
        return stat(path, *given, **named)

    return hiding


def _hide(path: Any) -> None:
    if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(HIDDEN):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def _refuse() -> NoReturn:
    raise OSError(errno.ENOSYS, "a process was forked")


def _have_no_locks(*_: object) -> NoReturn:
    raise OSError(errno.ENOTSUP, "Operation not supported")
