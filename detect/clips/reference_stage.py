"""Judges clips that the user knows to be real, and keeps their scores beside the run."""

from dataclasses import dataclass, replace
from pathlib import Path

from base.errors import UserError
from base.files import require_writable
from base.flags import bare, option
from base.progress import progress_bar, show
from base.text import printable
from detect.clips.config import DetectConfig
from detect.clips.inputs import Clip, find_clips
from detect.clips.stage import judge_clips
from detect.detector.config import DetectorConfig
from detect.detector.load import newest_evaluated, open_configured
from detect.detector.reference import KnownClip, Reference, judge_digest, reference_file, require_rate, write_reference
from evaluate.stats.conformal import least_known


@dataclass(frozen=True)
class ReferenceConfig(DetectorConfig):
    """Which clips are known to be real, and what they are called together: the `name` that `--reference` takes."""

    real: Path = bare(Path(), "folder with clips known to be real; those of a folder below it are one source", "REAL")
    name: str = option("real", "name of the reference, for --reference")
    workers: int = option(2, "clips decoded at once")


def make_reference(config: ReferenceConfig) -> Path:
    """Judges the clips in the folder `config.real` and keeps their scores; returns the file with them.

    Raises a UserError if none of them can be judged.
    """
    require_rate(config.false_alarms)
    run = config.run or newest_evaluated()
    path = reference_file(run, config.name)
    require_writable(path, "make the run's folder writable, or copy the run")
    if not config.real.is_dir():
        raise UserError(f"{config.real} is no folder; give one with clips that you know to be real.")
    clips = [Clip(str(clip.relative_to(config.real)), clip) for clip in find_clips(config.real)]
    detector = open_configured(replace(config, run=run, reference=None))
    judging = DetectConfig(**{name: getattr(config, name) for name in ("engine", "weights", "workers")}, run=run)
    known: list[KnownClip] = []
    with progress_bar(total=len(clips), unit="clip", desc="reference") as bar:
        for (verdict, _), *_ in judge_clips(detector, clips, judging):
            bar.update()
            # A clip that the run has learned is real scores lower than a new one does, so it can promise nothing.
            reason = "the run was trained on it" if verdict.is_trained_on else verdict.explanation
            if verdict.probability is None or verdict.is_trained_on:
                show(printable(f"{verdict.clip} is left out: {reason}."), beside=True)
                continue
            known.append(KnownClip(printable(verdict.clip), _source(verdict.clip), verdict.probability))
    if not known:
        raise UserError(f"none of the {len(clips)} clips in {config.real} can be judged; give others.")
    known.sort(key=lambda one: one.clip)
    reference = Reference(config.name, judge_digest(run), tuple(known), config.false_alarms, config.strict)
    show(_said(reference))
    return write_reference(run, reference)


def _source(name: str) -> str:
    """Returns what the clip counts with as one source: its folder, if it is in one below, else itself."""
    parent = Path(name).parent
    return printable(name if parent == Path() else str(parent))


def _said(reference: Reference) -> str:
    known, least = len(reference.scores), least_known(reference.rate, reference.strict)
    alone = sum(one.source == one.clip for one in reference.clips)
    counted = f"{len(reference.clips):,} clips of {known:,} sources: those in one folder count as one"
    if alone:
        counted += f", {alone:,} in none as one each; put clips of one person or camera into a folder"
    if known >= least:
        return f"{counted}. {reference.sentence}"
    return (
        f"{counted}. That is too few to keep false alarms at {reference.rate:.1%}, which needs {least}: no clip can be "
        "called fake beside them until there are more."
    )
