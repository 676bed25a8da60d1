"""How many processors this process may use: by affinity, by a container's quota, by a batch system's."""

import os

import pytest

from base.machine.processors import processor_limit, usable_processors
from tests import ROOT


@pytest.fixture
def cgroups(tmp_path):
    """Writes a tree of cgroups and what the kernel says of this process; returns their paths."""

    def write(own: str, **files: str):
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        (tmp_path / "own").write_text(own + "\n")
        return tmp_path / "cgroup", tmp_path / "own"

    return write


@pytest.fixture
def large_machine(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "max 100000"}, 64),
        ("0::/", {"cpu.max": "300000 100000"}, 3),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "20000 100000"}, 1),
        ("0::/", {}, 64),
        ("0::/", {"cpu.max": "nonsense"}, 64),
        # The smallest of the cgroup's own and those around it.
        ("0::/slurm/job", {"slurm/job/cpu.max": "max 100000", "slurm/cpu.max": "400000 100000"}, 4),
        ("0::/slurm/job", {"slurm/job/cpu.max": "200000 100000", "slurm/cpu.max": "400000 100000"}, 2),
        # A container sees the path outside of it, and its own cgroup as the root.
        ("0::/docker/0123", {"cpu.max": "500000 100000"}, 5),
        ("0::/../..", {"cpu.max": "500000 100000"}, 5),
        ("3:cpu,cpuacct:/box\n0::/", {"cpu/box/cpu.cfs_quota_us": "250000", "cpu/box/cpu.cfs_period_us": "50000"}, 5),
        ("3:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        # The quota of another controller's tree is not ours.
        ("2:cpuset:/\n3:memory:/box", {"box/cpu.max": "100000 100000"}, 64),
    ],
)
def test_a_quota_counts(own, files, expected, cgroups, large_machine):
    assert usable_processors(*cgroups(own, **files)) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="macOS binds no process to a processor")
def test_affinity_counts(cgroups):
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_processors(*cgroups("0::/", **{"cpu.max": "max 100000"})) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_without_affinity_all_processors_count(tmp_path, monkeypatch):
    """As on macOS."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert usable_processors(tmp_path, tmp_path / "absent") == 10
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)  # Python 3.13 knows what the user set
    assert usable_processors(tmp_path, tmp_path / "absent") == 3


def test_libraries_are_told_only_of_a_limit(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", usable_processors)
    assert processor_limit() is None
    usable = usable_processors()
    monkeypatch.setattr(os, "cpu_count", lambda: usable + 1)
    assert processor_limit() == usable


def test_nothing_counts_the_machine_itself():
    """`os.cpu_count` counts processors that others may have been given; the other ways would be a second one."""
    packages = ("base", "cache", "extract", "train", "evaluate", "detect", "reelcheck")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    assert {path.name for path in files if "cpu_count(" in path.read_text(encoding="utf-8")} == {"processors.py"}
