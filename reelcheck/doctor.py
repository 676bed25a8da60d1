"""`reelcheck doctor`: whether this machine has what Reelcheck needs, a line each, with the command that mends it."""

import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from base.errors import UserError
from base.files import require_writable
from base.keras_start import backend, sees_gpu, start_keras
from base.machine.memory import free_memory
from base.machine.processors import usable_processors
from base.outside.kept import cache_folder
from base.progress import show
from base.temporary import lock

WELL, ILL = 0, 2
LEAST_MEMORY, LEAST_DISK = 4e9, 2e9
"""Bytes that training and a verdict take with the default networks, and that a data set's features and runs may."""
EXTRAS = {"openvino": "the fastest engine", "web": "the page", "export": "other formats", "heic": "HEIC pictures"}
OK, MISSING, WITHOUT = "ok", "MISSING", "without"
"""All is well; something is needed; something is not there that not everybody wants."""


@dataclass(frozen=True)
class DoctorConfig:
    """Nothing can be set."""


@dataclass(frozen=True)
class Finding:
    """One `thing` that was looked at, what was `found`, with the way out where that is not `OK`."""

    thing: str
    found: str
    mark: str = OK


def doctor(_: DoctorConfig) -> int:
    """Prints what was found; returns 0 if everything that is needed is there, else 2."""
    found = []
    for finding in findings():
        show(f"{finding.mark:<8} {finding.thing:<18} {finding.found}")
        found.append(finding.mark)
    return ILL if MISSING in found else WELL


def findings() -> Iterator[Finding]:
    """Yields all that is looked at, what takes long to look at last."""
    yield Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _packages()
    yield from _weights()
    yield _room("this folder", Path.cwd())
    yield _room("cache folder", cache_folder())
    yield _locks(Path.cwd())
    yield Finding("processors", f"{usable_processors()} may be used")
    if memory := free_memory():
        scarce = memory < LEAST_MEMORY
        way_out = "; close other programs, or take a larger machine" * scarce
        yield Finding("memory", f"{memory / 1e9:.1f} GB free{way_out}", MISSING if scarce else OK)
    yield from _keras()


def _packages() -> Iterator[Finding]:
    """Yields how many of the needed packages are there, and of those of each extra."""
    try:
        texts = importlib.metadata.requires("reelcheck") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", "reelcheck itself is not installed; run make setup, or pip install .", MISSING)
        return
    wanted = [Requirement(text) for text in texts]
    everybodys = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    yield _installed("packages", everybodys, "", MISSING)
    for extra, what in EXTRAS.items():
        its_own = [one for one in wanted if one.marker and one.marker.evaluate({"extra": extra})]
        if its_own := [one for one in its_own if one not in everybodys]:
            yield _installed(f"extra {extra}", its_own, f" ({what})", WITHOUT)


def _installed(thing: str, wanted: list[Requirement], what: str, mark: str) -> Finding:
    absent = [f'"{one.name}{one.specifier}"' for one in wanted if not _is_installed(one)]
    if absent:
        names = " ".join(absent)
        return Finding(thing, f"{len(absent)} of {len(wanted)} missing{what}; pip install {names}", mark)
    return Finding(thing, f"all {len(wanted)}{what}")


def _is_installed(wanted: Requirement) -> bool:
    try:
        return wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def _weights() -> Iterator[Finding]:
    from extract.backbones.weights import MOBILENETV2, RESNET50

    for network in (RESNET50, MOBILENETV2):
        if network.is_cached():
            yield Finding(network.builder, "ImageNet weights are at hand")
        else:
            way_out = f"Keras downloads them when they are first needed, or put {network.file} into ~/.keras/models"
            yield Finding(network.builder, f"no ImageNet weights yet; {way_out}", WITHOUT)


def _room(thing: str, folder: Path) -> Finding:
    """Returns whether `folder` can be written, and how much fits into it."""
    try:
        require_writable(folder, "make it writable, or choose another")
    except UserError as error:
        return Finding(thing, str(error), MISSING)
    present = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(present).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    return Finding(thing, found) if free > LEAST_DISK else Finding(thing, f"{found}; free some of the disk", MISSING)


def _locks(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if lock(file.fileno(), folder, tell=lambda _: None):
                return Finding("locks", "two commands that write here at once are kept apart")
    except OSError:  # said of the folder already
        pass
    return Finding("locks", "the file system here has none; start no second command that writes here", WITHOUT)


def _keras() -> Iterator[Finding]:
    try:
        start_keras()
    except UserError as error:
        yield Finding("Keras", str(error), MISSING)
        return
    yield Finding("Keras", f"starts, with {backend()}")
    yield Finding("GPU", "Keras computes on it" if sees_gpu() else "Keras sees none and computes on the processors")
