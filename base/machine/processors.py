"""How many processors this process may use, which on a shared machine is fewer than there are."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_processors(cgroups: Path = CGROUPS, own_cgroups: Path = OWN_CGROUPS) -> int:
    """Returns how many processors this process can keep busy: those that it may run on, within its cgroups' quota.

    A quota is what containers and batch systems set; part of a processor counts as one.
    """
    quotas = (math.ceil(quota) for quota in _quotas(cgroups, own_cgroups))
    return max(1, min([_allowed(), *quotas]))


def processor_limit() -> int | None:
    """Returns `usable_processors()` if the machine has more, else None: a library then knows best how many to use."""
    usable = usable_processors()
    return usable if usable < (os.cpu_count() or 1) else None


def _allowed() -> int:
    """Returns how many processors this process may run on: all of them where the system, as macOS, cannot tell."""
    if hasattr(os, "process_cpu_count"):  # since Python 3.13
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(cgroups: Path, own_cgroups: Path) -> Iterator[float]:
    """Yields the quotas, in processors, of the cgroups that this process is in, and of those around them."""
    try:
        lines = own_cgroups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups  # version 1 has a tree for each controller
        own = root / path.lstrip("/")
        # In a container, the path may be that outside of it; the container's own cgroup is then the root.
        for folder in (own, *own.parents):
            yield from _quota(folder)
            if folder == root:
                break


def _quota(folder: Path) -> Iterator[float]:
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text(encoding="utf-8") for name in names).split()
            if quota != "max" and int(quota) > 0:
                yield int(quota) / int(period)
        except (OSError, ValueError):
            continue  # there is no such cgroup or no quota
