"""The training set: the videos of a features folder, the part of each, and the leak audit."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from base.commands import command, flag
from base.errors import UserError
from base.outside.values import moment
from base.progress import say
from cache.contents import Contents
from cache.profile import CropProfile, FeatureProfile, ForeignProfile
from cache.schema import FAKE, PARTS, REAL, TEST, TRAIN, VAL
from cache.store import EXTRACTED, MANIFEST, ORIGIN, has_rows, open_store
from cache.union import load_union
from train.data.audit import Finding, audit, one_class_notes, summary
from train.data.split import DROPPED, Split, SplitConfig, owner, split

if TYPE_CHECKING:
    from train.data.baseline import Baseline
    from train.data.clips import Clips
    from train.data.inputs import Inputs
    from train.data.neighbours import Neighbours

UNEVEN = 0.2
"""Difference in the share of fakes between two data sets from which on a run says so."""
Features = Path | tuple[Path, ...]
"""One features folder, or several of different data sets."""


@dataclass(frozen=True)
class DataConfig:
    """Which features to take, by default the newest; `train.fit.FitConfig` explains the fields."""

    features: Features | None = None
    same_people: Path | None = None
    data_set_weights: bool = False


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The extracted videos, the part of each, what the leak audit found, and whether all data sets weigh the same."""

    contents: Contents
    split: Split
    findings: list[Finding]
    even: bool = False

    @property
    def profile(self) -> FeatureProfile | ForeignProfile:
        """How the features were made."""
        profile = self.contents.profile
        assert not isinstance(profile, CropProfile)
        return profile

    @functools.cached_property
    def clips(self) -> "Clips":
        """The features, masks and labels of all videos."""
        from train.data.clips import Clips

        contents = self.contents
        return Clips(contents.arrays, contents.mask, contents.labels, contents.data_sets if self.even else None)

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


def gather(data: DataConfig, config: SplitConfig) -> TrainingSet:
    """Loads the features, splits their clips, audits the split and prints a summary.

    Raises a UserError if nothing can be trained on these features.
    """
    contents = load_features(data)
    divided = _divide(contents, config)
    divided.notes.extend(one_class_notes(contents.records, divided.parts))
    training_set = audited(contents, divided, data.data_set_weights)
    if len(contents.stores) > 1:
        divided.notes.extend(_on_several(training_set, data.same_people))
    describe(training_set)
    return training_set


def audited(contents: Contents, divided: Split, even: bool = False) -> TrainingSet:
    """Returns the clips of `contents` with the parts of `divided`, and what the leak audit finds in these."""
    findings = audit(contents.records, divided.parts, contents.checksums)
    return TrainingSet(contents, divided, findings, even)


def _divide(contents: Contents, config: SplitConfig) -> Split:
    """Returns the split. Of several data sets it is official by itself only where each has a test part."""
    tested = {number for number, one in zip(contents.data_sets, contents.records, strict=True) if one.part == TEST}
    without = [store.data_set for number, store in enumerate(contents.stores) if number not in tested]
    if config.kind != "auto" or not (tested and without):
        return split(contents.records, config)
    divided = split([replace(record, part="") for record in contents.records], config)
    divided.notes.insert(0, f"{' and '.join(without)} has no official test part, so those of the others are not used.")
    return divided


def _on_several(training_set: TrainingSet, same_people: Path | None) -> Iterator[str]:
    """Yields what has to be known of several data sets: who is taken for whom, and whether their classes differ."""
    yield people_note(same_people)
    stores, train = training_set.contents.stores, training_set.train
    labels, sets = training_set.contents.labels[train], training_set.contents.data_sets[train]
    shares = {store.data_set: labels[sets == n].mean() for n, store in enumerate(stores) if (sets == n).any()}
    if training_set.even or max(shares.values()) - min(shares.values()) < UNEVEN:
        return
    listed = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
    yield (
        f"In train {listed} are fakes, so a head can tell data sets apart instead of fakes from real clips; "
        f"{flag('data_set_weights')} makes both classes weigh the same in each."
    )


def people_note(same_people: Path | None) -> str:
    """Returns the sentence that says who of several data sets is taken for whom."""
    who = f", except those in {same_people.name}" if same_people else f"; {flag('same_people')} can name who is in two"
    return f"People of different data sets count as different people{who}."


def newest_features(data: Path) -> Path:
    """Returns the features folder below `data` whose videos were gone through last; a UserError if there is none."""
    manifests = [path for path in data.glob(f"*/features-*/{MANIFEST}") if has_rows(path.parent)]
    if not manifests:
        make, give = command("features", data="..."), flag("features", "...")
        raise UserError(f"there are no features below {data}/; run {make}, or give their folder with {give}.")
    return max(manifests, key=lambda path: (moment(path.with_name(ORIGIN), EXTRACTED), path.lstat().st_mtime_ns)).parent


def features_folders(features: Features | None) -> list[Path]:
    """Returns the features folders that were named, by default the newest."""
    if isinstance(features, Path):
        return [features]
    return list(features or [newest_features(Path("data"))])


def load_features(data: DataConfig) -> Contents:
    """Returns the clips of all features folders; a UserError says what one lacks, or why they do not go together."""
    folders = features_folders(data.features)
    for folder in folders:
        if isinstance(open_store(folder).profile, CropProfile):
            give = f"give a features folder with {flag('features', '...')}"
            raise UserError(f"{folder} holds crops, not features; {give}.")
    contents = load_union(folders, data.same_people)
    present = set(contents.data_sets.tolist())
    for number, folder in enumerate(folders):
        if number not in present:
            raise UserError(f"{folder} holds no extracted video; run {command('features', data='...')} first.")
    if contents.missing:
        say(f"{len(contents.missing)} videos of the manifest are not extracted yet; this run leaves them out.")
    return contents


def describe(training_set: TrainingSet) -> None:
    """Says how many clips each part has, and what was found."""
    contents = training_set.contents
    for number, folder in enumerate(contents.folders):
        say(f"{folder}: {(contents.data_sets == number).sum()} videos")
    say(f"  {'part':<8}{'real':>6}{'fake':>6}")
    for part in (*PARTS, DROPPED):
        labels = contents.labels[training_set.rows(part)]
        if labels.size or part != DROPPED:
            say(f"  {part:<8}{(labels == REAL).sum():>6}{(labels == FAKE).sum():>6}")
    say(summary(training_set.findings, contents.records))
    for note in training_set.split.notes:
        say(note)
