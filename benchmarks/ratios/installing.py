"""What using Reelcheck needs, installed with pip, against what its tests and converters need too."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from base.errors import UserError
from benchmarks.measure import Result, summarise, timed

ROOT = Path(__file__).parents[2]
LOCKS = {"": "requirements.lock", "all_": "requirements-dev.lock"}
AIM = 1.67
MOST_REPEATS = 2
"""Each takes minutes."""


def install(_clips: Path, repeats: int) -> Iterator[Result]:
    """Yields `install`: seconds and gigabytes of each lock in a new environment, without pip's cache.

    Packages come from the package index that pip knows, so the seconds are those of its network too.
    """
    figures: dict[str, list[float]] = {f"{which}{what}": [] for which in LOCKS for what in ("seconds", "gigabytes")}
    for _ in range(min(repeats, MOST_REPEATS)):
        for which, lock in LOCKS.items():
            with tempfile.TemporaryDirectory() as folder:
                figures[f"{which}seconds"].append(timed(lambda lock=lock, folder=folder: _install(lock, folder))[0])
                figures[f"{which}gigabytes"].append(_gigabytes(Path(folder)))
    ratios = [slow / fast for slow, fast in zip(figures["all_seconds"], figures["seconds"], strict=True)]
    yield summarise("install", AIM, ratios, figures)


def _install(lock: str, folder: str) -> None:
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "--no-cache-dir", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    done = subprocess.run([*pip, "-r", ROOT / lock], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            f"{lock} cannot be installed ({done.stderr.strip()[-200:]}); see whether pip reaches its index."
        )


def _gigabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e9
