"""The training set: the videos of a features folder, the part of each, and the leak audit."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from base.commands import command, flag
from base.errors import UserError
from base.outside.values import moment
from base.progress import say
from cache.profile import FeatureProfile
from cache.schema import FAKE, PARTS, REAL, TEST, TRAIN, VAL
from cache.store import EXTRACTED, MANIFEST, ORIGIN, Contents, has_rows, load, open_store
from train.data.audit import Finding, audit, one_class_notes, summary
from train.data.split import DROPPED, Split, SplitConfig, owner, split

if TYPE_CHECKING:
    from train.data.baseline import Baseline
    from train.data.clips import Clips
    from train.data.inputs import Inputs
    from train.data.neighbours import Neighbours


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The extracted videos, the part of each, and what the leak audit found."""

    contents: Contents
    split: Split
    findings: list[Finding]

    @property
    def profile(self) -> FeatureProfile:
        """How the features were made."""
        profile = self.contents.store.profile
        assert isinstance(profile, FeatureProfile)
        return profile

    @functools.cached_property
    def clips(self) -> "Clips":
        """The features, masks and labels of all videos."""
        from train.data.clips import Clips

        return Clips(self.contents.arrays, self.contents.mask, self.contents.labels)

    @functools.cached_property
    def baseline(self) -> "Baseline":
        """The baseline, fitted on train."""
        from train.data.baseline import fit_baseline

        return fit_baseline(self.clips, self.train, [owner(record) for record in self.contents.records])

    @functools.cached_property
    def neighbours(self) -> "tuple[Neighbours | None, np.ndarray]":
        """The clips of train to which others are compared, and how far each of the N clips lies from them."""
        from train.data.neighbours import find_neighbours, people_of

        return find_neighbours(self.clips, self.parts, people_of(self.contents.records))

    @functools.cache  # noqa: B019 - a process has one training set or two
    def inputs(self, components: int, with_baseline: bool) -> "Inputs":
        """Returns the inputs of heads, fitted on train: see `train.data.inputs.prepare`."""
        from train.data.inputs import prepare

        return prepare(self.clips, self.train, components, self.baseline if with_baseline else None)

    @property
    def parts(self) -> np.ndarray:
        """The part of each video, as text (N,)."""
        return np.array(self.split.parts)

    def rows(self, *parts: str) -> np.ndarray:
        """Returns int64 (R,): the rows of the videos in any of `parts`."""
        return np.flatnonzero(np.isin(self.parts, parts))

    @property
    def train(self) -> np.ndarray:
        """Rows of the videos to learn from."""
        return self.rows(TRAIN)

    @property
    def val(self) -> np.ndarray:
        """Rows of the videos for validation; there may be none."""
        return self.rows(VAL)

    @property
    def used(self) -> np.ndarray:
        """Rows of the videos that are in any part."""
        return self.rows(TRAIN, VAL, TEST)


def gather(features: Path | None, config: SplitConfig) -> TrainingSet:
    """Loads the features folder (by default the newest), splits it, audits the split and prints a summary.

    Raises a UserError if nothing can be trained on these features.
    """
    contents = load_features(features)
    divided = split(contents.records, config)
    divided.notes.extend(one_class_notes(contents.records, divided.parts))
    training_set = TrainingSet(contents, divided, audit(contents.records, divided.parts, contents.checksums))
    _describe(training_set)
    return training_set


def newest_features(data: Path) -> Path:
    """Returns the features folder below `data` whose videos were gone through last; a UserError if there is none."""
    manifests = [path for path in data.glob(f"*/features-*/{MANIFEST}") if has_rows(path.parent)]
    if not manifests:
        make, give = command("features", data="..."), flag("features", "...")
        raise UserError(f"there are no features below {data}/; run {make}, or give their folder with {give}.")
    return max(manifests, key=lambda path: (moment(path.with_name(ORIGIN), EXTRACTED), path.lstat().st_mtime_ns)).parent


def load_features(features: Path | None) -> Contents:
    """Returns the clips of the features folder (by default the newest); a UserError says what it lacks."""
    folder = features or newest_features(Path("data"))
    store = open_store(folder)
    if not isinstance(store.profile, FeatureProfile):
        raise UserError(f"{folder} holds crops, not features; give a features folder with {flag('features', '...')}.")
    contents = load(store)
    if not contents.records:
        raise UserError(f"{folder} holds no extracted video; run {command('features', data='...')} first.")
    if contents.missing:
        say(f"{len(contents.missing)} videos of the manifest are not extracted yet; this run leaves them out.")
    return contents


def _describe(training_set: TrainingSet) -> None:
    say(f"{training_set.contents.store.folder}: {len(training_set.contents.records)} videos")
    say(f"  {'part':<8}{'real':>6}{'fake':>6}")
    for part in (*PARTS, DROPPED):
        labels = training_set.contents.labels[training_set.rows(part)]
        if labels.size or part != DROPPED:
            say(f"  {part:<8}{(labels == REAL).sum():>6}{(labels == FAKE).sum():>6}")
    say(summary(training_set.findings, training_set.contents.records))
    for note in training_set.split.notes:
        say(note)
