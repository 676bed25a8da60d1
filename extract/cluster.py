"""Stage 1 on several processes or machines: joblib over units of videos, each of which writes its own shards.

A lost worker costs no more than its unit: a unit may be done twice without harm, and videos without a row in the store
are handed out again. Every machine must see this code, and videos, weights and store under the same paths. The process
that hands out the work holds the store's lock.
"""

import contextlib
import importlib
import logging
import multiprocessing
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import joblib

from base.commands import flag
from base.errors import UserError
from base.machine.processors import usable_processors
from base.progress import say
from cache.schema import VideoRecord
from cache.store import Store, Writer, open_store
from extract.config import BackendName, ExtractConfig
from extract.steps import Clock
from extract.unit import SHARD_ROWS, extract_videos, left_to_do, start_engine

UNITS_A_WORKER = 4
"""Each worker gets about this many units, so that none is idle for long while the last ones run."""
LEAST_VIDEOS = 8
"""Fewest videos in a unit."""
ANSWER_SECONDS = 10
"""How long a cluster, which may just be starting, may take to answer."""
CLIENTS = {
    "ray": "import sys, ray; ray.init(sys.argv[1], log_to_driver=False)",
    "dask": "import sys, distributed; distributed.Client(sys.argv[1])",
}
"""The smallest program that connects to a cluster."""
MOST_LOSSES = 3
"""How many times in a row workers may be lost before the run stops."""

_engine = lru_cache(1)(start_engine)
"""The engine of a worker, started once for all its units."""
Video = tuple[VideoRecord, Path]


@dataclass(frozen=True)
class Unit:
    """Videos for one worker, and the folders of the stores that it writes to."""

    videos: Sequence[Video]
    config: ExtractConfig
    crops: Path | None
    features: Path


@dataclass(frozen=True)
class UnitResult:
    """What became of a unit: one outcome per row, seconds of work by kind, and the error that ended it, if any."""

    keys: Sequence[tuple[str, int, int]]
    outcomes: Sequence[str] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    error: Exception | None = None


def extract_units(
    videos: Sequence[Video], config: ExtractConfig, crops: Store | None, features: Store, clock: Clock
) -> Iterator[str]:
    """Yields the outcome of each row of each (record, file) when its unit is finished; a lost unit is done again."""
    left, lost = [(record, path.resolve()) for record, path in videos], 0
    with _backend(config):
        while left:
            try:
                for done in _run_all(_units(left, _for_workers(config), crops, features), config.backend):
                    left, lost = _without(left, done), 0
                    for kind, seconds in done.seconds.items():
                        clock.add(kind, seconds)
                    yield from done.outcomes
            except _Lost as error:
                lost += 1
                if lost == MOST_LOSSES:
                    raise UserError(
                        f"{config.backend} lost its workers {lost} times ({error}); check the cluster."
                    ) from None
                needed = left_to_do([record for record, _ in left], config, crops, features).videos
                left = [(record, path) for record, path in left if record in needed]
                say(f"a worker was lost ({error}); {len(left)} videos are handed out again.")


class _Lost(Exception):
    """A worker ended, or its answer was lost; the unit itself is fine."""


def _run_all(units: Sequence[Unit], backend: BackendName) -> Iterator[UnitResult]:
    work = [joblib.delayed(run_unit)(unit) for unit in units]
    try:
        if backend == "ray":  # returns nothing before all the work handed to it is done
            portion = UNITS_A_WORKER * joblib.effective_n_jobs(-1)
            for start in range(0, len(work), portion):
                yield from joblib.Parallel(n_jobs=-1)(work[start : start + portion])  # pyright: ignore[reportReturnType]
        else:
            yield from joblib.Parallel(n_jobs=-1, return_as="generator_unordered")(work)  # pyright: ignore[reportReturnType]
    except Exception as error:
        raise _Lost(f"{type(error).__name__}: {str(error).strip().split(chr(10))[0]}") from error


def run_unit(unit: Unit) -> UnitResult:
    """Extracts the videos of `unit`. Returns errors, because an escaping exception means that the worker died."""
    clock, keys = Clock(), [record.key for record, _ in unit.videos]
    if multiprocessing.current_process().daemon:
        message = "the workers may start no processes; set DASK_DISTRIBUTED__WORKER__DAEMON=False for them."
        return UnitResult(keys, error=UserError(message))
    # Loky's workers use a start method of their own, which our decoding processes would not know.
    multiprocessing.set_start_method("spawn", force=True)
    try:
        crops = None if unit.crops is None else Writer(open_store(unit.crops), [])
        features = Writer(open_store(unit.features), [])
        rows = extract_videos(unit.videos, unit.config, lambda: _engine(unit.config), crops, features, clock)
        return UnitResult(keys, [row.outcome for row in rows], clock.seconds)
    except UserError as error:
        return UnitResult(keys, error=error)
    except Exception:  # noqa: BLE001 - a bug: as text, because its traceback would be lost on the way back
        return UnitResult(keys, error=RuntimeError(f"in a unit on a worker:\n{traceback.format_exc()}"))


def _without(left: Sequence[Video], done: UnitResult) -> list[Video]:
    if done.error is not None:
        raise done.error
    finished = set(done.keys)
    return [(record, path) for record, path in left if record.key not in finished]


def _for_workers(config: ExtractConfig) -> ExtractConfig:
    """Returns `config` for a worker in another folder: absolute paths, and one decoding process per unit."""
    weights = str(Path(config.weights).resolve()) if Path(config.weights).is_file() else config.weights
    files = {name: file and file.resolve() for name, file in config.face_files.items()}
    return replace(config, weights=weights, workers=config.workers or 1, **files)


def _units(videos: Sequence[Video], config: ExtractConfig, crops: Store | None, features: Store) -> list[Unit]:
    workers = joblib.effective_n_jobs(-1)
    size = min(SHARD_ROWS, max(LEAST_VIDEOS, len(videos) // (UNITS_A_WORKER * workers)))
    folders = (crops and crops.folder.resolve(), features.folder.resolve())
    return [Unit(videos[start : start + size], config, *folders) for start in range(0, len(videos), size)]


def require_cluster(config: ExtractConfig) -> None:
    """Raises a UserError if `config` has an address, and no cluster there answers within `ANSWER_SECONDS`.

    A process of its own asks: Ray, while it waits for an answer, hears no signal, and Dask no limit of time.
    """
    if not config.address:
        return
    with _sentences(config):
        importlib.import_module("ray" if config.backend == "ray" else "distributed")
        program = [sys.executable, "-c", CLIENTS[config.backend], config.address]
        subprocess.run(program, check=True, capture_output=True, text=True, timeout=ANSWER_SECONDS)


@contextlib.contextmanager
def _backend(config: ExtractConfig) -> Iterator[None]:
    """Makes joblib use the backend in `config`, started here or found at its address."""
    starts = {"loky": contextlib.nullcontext, "ray": _ray, "dask": _dask}
    with contextlib.ExitStack() as stack:
        with _sentences(config):
            stack.enter_context(starts[config.backend](config.address))
        stack.enter_context(joblib.parallel_config(config.backend))
        yield


@contextlib.contextmanager
def _sentences(config: ExtractConfig) -> Iterator[None]:
    """Turns what the libraries of clusters raise while they are started or looked for into UserErrors."""
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed; install it with pip install ray 'dask[distributed]'."
        ) from None
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        where, remedy = "can be started here", f"use another {flag('backend')}"
        if config.address:
            where, remedy = f"answers at {config.address}", f"start it, or correct {flag('address')}"
        raise UserError(f"no {config.backend} cluster {where} ({_reason(error)}); {remedy}.") from None


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not within {ANSWER_SECONDS} s"
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else getattr(error, "strerror", None)
    return (text or str(error)).strip().split("\n")[-1]


@contextlib.contextmanager
def _ray(address: str) -> Iterator[None]:
    import ray
    from ray.util.joblib import register_ray

    code = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[1])}}
    processors = None if address else usable_processors()
    before = signal.getsignal(signal.SIGTERM)
    ray.init(
        address or "local", num_cpus=processors, runtime_env=code, log_to_driver=False, logging_level=logging.ERROR
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray's own handler would end the command with another status
    register_ray()
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _dask(address: str) -> Iterator[None]:
    import dask.config
    from distributed import Client, LocalCluster

    # By default, Dask's workers are daemons, which may not start our decoding processes.
    with dask.config.set({"distributed.worker.daemon": False}):
        here = {"n_workers": usable_processors(), "threads_per_worker": 1, "dashboard_address": None}
        with contextlib.nullcontext(address) if address else LocalCluster(**here) as cluster, Client(cluster):
            yield
