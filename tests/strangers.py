"""Runs and exports as a stranger may send them: a run that nothing was trained for, and ways to spoil it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from base.outside.content import checksum
from cache.profile import fingerprint
from cache.schema import FRAMES
from cache.store import Origin
from tests.crops import PROFILE
from tests.train.runs.test_contents import contents
from train.heads.architectures import HeadConfig, build_head
from train.runs.contents import write_run
from train.runs.folder import CONFIG, DONE, WEIGHTS
from train.runs.recipe import RunConfig
from train.runs.trained import replay_of

SIZE = 960
HEAD = HeadConfig(units=4, dense=4, start="baseline")
OUTSIDE = "/etc/passwd"


def write_head_run(folder: Path) -> Path:
    """Writes a run of a head with random weights in every layer; returns its folder."""
    head, random = build_head(HEAD, SIZE), np.random.default_rng(0)
    for weight in head.weights:
        # Sums over all features would make the probability, and the LSTM's gates, 0 or 1.
        low, high = (-0.05, 0.08) if len(weight.shape) == 2 and weight.shape[0] == SIZE else (0.1, 0.3)
        weight.assign(random.uniform(low, high, weight.shape))
    frames = random.uniform(0, 0.3, (FRAMES, SIZE)).astype(np.float16)
    config = RunConfig(
        config={"head": "lstm"},
        features="data/set/features",
        head=HEAD,
        size=SIZE,
        profile=PROFILE,
        fingerprint=fingerprint(PROFILE),
        origin=Origin("videos", "random"),
        replay=replay_of(head, frames, np.ones(FRAMES, bool)),
    )

    def save(into: Path):
        head.save_weights(into / WEIGHTS)
        return replace(contents(), config=config)

    return write_run(folder, save)


def sealed(profile: Any) -> str:
    """The fingerprint of whatever stands in a profile's place."""
    text = json.dumps(profile, sort_keys=True, separators=(",", ":"))
    text = text.replace('"recogniser_file":"",', "")  # which no profile without one counts
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the values of a JSON file; a config keeps the fingerprint of its profile."""
    values = json.loads(path.read_text())
    change(values)
    if "fingerprint" in values and isinstance(values.get("profile"), dict):
        values["fingerprint"] = sealed(values["profile"])
    path.write_text(json.dumps(values))


def put(values: Any, keys: tuple[Any, ...], value: Any) -> None:
    """Sets what lies in nested objects and lists under `keys`."""
    for key in keys[:-1]:
        values = values[key]
    values[keys[-1]] = value


def leaves(values: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the keys of every value, and of every object and list, in `values`."""
    if keys:
        yield keys
    inside = values.items() if isinstance(values, dict) else enumerate(values[:1]) if isinstance(values, list) else ()
    for key, value in inside:
        yield from leaves(value, (*keys, key))


def arrays(path: Path) -> list[str]:
    """The names of the arrays in an HDF5 file."""
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def spoil(run: Path, array: str, change: Callable[[np.ndarray], np.ndarray], *, known: bool) -> None:
    """Changes one array of the head's weights; where the damage is not `known`, the checksum is that of the result."""
    with h5py.File(run / WEIGHTS, "r+") as file:
        dataset: Any = file[array]
        dataset[...] = change(dataset[...])
    if not known:
        edit(run / DONE, lambda values: values["weights"].update({WEIGHTS: checksum(run / WEIGHTS)}))


def flipped(values: np.ndarray) -> np.ndarray:
    """The same numbers with one bit turned: the lowest of the first."""
    bits = np.array(values, np.float32, ndmin=1).view(np.uint32)
    bits.flat[0] ^= 1
    return bits.view(np.float32).reshape(np.shape(values))


def without_checks(run: Path) -> None:
    """Makes the run one of an earlier version: no checksum, and no clip to replay."""
    edit(run / DONE, lambda values: values.pop("weights"))
    edit(run / CONFIG, lambda values: values.pop("replay"))
