"""Ratios of two ways to do the same work, measured side by side: alone, timings on a shared machine mean little."""

import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from base.files import write_json

PACKAGES = ("tensorflow", "keras", "openvino", "opencv-python-headless", "av", "numpy", "h5py")


@dataclass(frozen=True)
class Result:
    """One line of the results: `ratio` (larger is better), its smallest and largest value, the aim, and the figures."""

    name: str
    ratio: float
    spread: tuple[float, float]
    aim: float
    figures: dict[str, float]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Returns the wall seconds and this process's core-seconds that `work` takes."""
    wall, cores = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cores


def peak_memory(who: int = resource.RUSAGE_SELF) -> int:
    """Returns the most bytes that this process, or a child of it, has had in memory; macOS counts bytes, Linux KiB."""
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def summarise(name: str, aim: float, ratios: Sequence[float], figures: Mapping[str, Sequence[float]]) -> Result:
    """Returns the result of paired repeats: the medians, and the smallest and largest ratio."""
    medians = {key: round(statistics.median(values), 4) for key, values in figures.items()}
    spread = (round(min(ratios), 3), round(max(ratios), 3))
    return Result(name, round(statistics.median(ratios), 3), spread, aim, medians | {"repeats": len(ratios)})


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows of results, each with its `name`; those measured earlier on the same kind of machine are kept."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = before.get("machine") == describe_machine()
    merged = {row["name"]: row for row in [*(before["rows"] if same else []), *json.loads(json.dumps(rows))]}
    write_document(path, {"rows": list(merged.values())})


def write_document(path: Path, values: Mapping[str, Any], **machine: str) -> Path:
    """Writes `values` with the date and the machine, of which `machine` says more; returns `path`."""
    head = {"date": date.today().isoformat(), "machine": describe_machine() | machine}
    return write_json(path, head | dict(values))


def describe_machine() -> dict[str, object]:
    """Returns the processor, cores, memory, system and versions that the figures belong to."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1024e6),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
