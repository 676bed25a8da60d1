"""A verdict on each clip or picture."""

import contextlib
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from base.errors import UserError
from base.progress import progress_bar, show
from base.text import printable
from detect.clips.config import DetectConfig, check
from detect.clips.inputs import Clip, open_clips
from detect.clips.judged_by import JudgedBy
from detect.clips.results_file import ResultFile
from detect.clips.verdict_lines import KINDS, header, lines, preface
from detect.detector.judge import Detector, VerdictAndCrops
from detect.detector.load import open_configured, open_ensemble
from detect.detector.verdict import failed

NONE_FAKE, SOME_FAKE, NO_VERDICT = 0, 1, 2


def detect(config: DetectConfig) -> int:
    """Judges the clips that `config.video` names (see `open_clips`), and prints a line for each.

    Returns 0 if no clip is fake, 1 if one is, 2 if one could not be judged.
    """
    check(config)
    with (
        open_clips(config.video, config.allow_url, config.url_seconds, config.fps) as clips,
        contextlib.ExitStack() as closing,
    ):
        _name_missing(clips)
        detector, by = open_judge(config)
        if detector.about.warning:
            show(detector.about.warning, beside=True)
        file = ResultFile(config.out, by) if config.out else None
        if file:
            closing.callback(file.close)
        draw = closing.enter_context(_drawing(detector, config))
        clips = [clip for clip in clips if not config.is_sheet(clip.path)]
        remaining = [clip for clip in clips if not (file and clip.name in file)]
        verdicts = Counter(verdict for clip in clips if file for verdict in file.of(clip.name))
        if len(remaining) < len(clips):
            show(f"{len(clips) - len(remaining)} of {len(clips)} clips are in {config.out} already.", beside=True)
        if config.style == "table":
            said = [detector.reference.sentence] if detector.reference else []
            show("\n".join([*preface(detector.about, detector.band(config.threshold)), *said]))
        show(header(config.style), end="")
        shown = len(remaining) > 1 and sys.stderr.isatty()  # to people who wait for several clips
        bar = progress_bar(shown=shown, total=len(remaining), unit="clip", desc="detect", leave=False)
        closing.enter_context(bar)
        points = []
        for judged in in_order(judge_clips(detector, remaining, config), [clip.name for clip in remaining], file):
            people = [verdict for verdict, _ in judged]
            with bar.external_write_mode():
                show(lines(people, config.style, by), end="")
            verdicts.update(verdict.verdict for verdict in people)
            points += [people[0].point] if people[0].point is not None else []
            draw(judged)
            bar.update()
        if differs := detector.unlike_as_a_whole(points):
            show(differs, beside=True)
    if verdicts.total() > 1:
        show(summary(verdicts), beside=True)
    if verdicts["Undecided"] or verdicts["Failed"]:
        return NO_VERDICT
    return SOME_FAKE if verdicts["Fake"] else NONE_FAKE


def summary(verdicts: Mapping[str, int]) -> str:
    """Returns the line that ends a call on several clips: how many got which verdict."""
    counts = ", ".join(f"{count:,} {kind}" for kind in KINDS if (count := verdicts.get(kind, 0)))
    return f"{sum(verdicts.values()):,} verdicts: {counts}."


def _name_missing(clips: Iterable[Clip]) -> None:
    """Says which clips are not there, before a model is loaded, which takes longer than to mend a name."""
    for clip in clips:
        if reason := clip.reason or ("" if clip.path.exists() else "there is no such file"):
            show(printable(f"{clip.name}: {reason}."), beside=True)


def open_judge(config: DetectConfig) -> tuple[Detector, JudgedBy]:
    """Returns the detector that `config` names, and how results say that it was this one."""
    if config.ensemble:
        if config.run or config.reference:
            raise UserError("--ensemble names its runs itself; leave out --run and --reference.")
        detector = open_ensemble(
            config.ensemble, config.weights, config.detector_file, config.recogniser_file, config.engine
        )
    else:
        detector = open_configured(config)
    beside = detector.reference.settings if detector.reference else ""
    return detector, JudgedBy(detector.about.names, config.threshold, config.faces, config.timeline, beside)


def judge_clips(detector: Detector, clips: Sequence[Clip], config: DetectConfig) -> Iterator[list[VerdictAndCrops]]:
    """Yields the verdicts on each clip under the clip's name; clips without a file come first. Prints nothing."""
    for clip in clips:
        if clip.reason:
            yield [(replace(failed(clip.name, "missing", clip.reason), run=detector.about), None)]
    names = {str(clip.path): clip.name for clip in clips if not clip.reason}
    drawn = bool(config.show or config.explain or config.html)
    for judged in detector.judge(list(map(Path, names)), config.options, workers=config.workers):
        # Crops are only kept where they are drawn: verdicts may wait long for those on earlier clips.
        yield [(replace(verdict, clip=names[verdict.clip]), row if drawn else None) for verdict, row in judged]


def in_order(
    judged: Iterable[list[VerdictAndCrops]], names: Sequence[str], file: ResultFile | None
) -> Iterator[list[VerdictAndCrops]]:
    """Yields the verdicts on each clip in the order of `names`; `file` gets them at once, in the order they come."""
    waiting: dict[str, list[VerdictAndCrops]] = {}
    remaining = deque(names)
    for people in judged:
        if file:
            file.add([verdict for verdict, _ in people])
        waiting[people[0][0].clip] = people
        while remaining and remaining[0] in waiting:
            yield waiting.pop(remaining.popleft())


@contextlib.contextmanager
def _drawing(detector: Detector, config: DetectConfig) -> Iterator[Callable[[list[VerdictAndCrops]], None]]:
    """Gives a function that draws each clip on the sheets that `config` asks for; draws the last sheet at the end."""
    if not (config.show or config.explain or config.html):
        yield lambda _: None
        return
    # Imported here because loading Matplotlib takes longer than judging a clip.
    from detect.clips.evidence import find_evidence
    from detect.clips.gallery import Gallery
    from detect.clips.sheet import Judged, Sheets

    plain, explained = (Sheets(path) if path else None for path in (config.show, config.explain))
    gallery = Gallery(config.html) if config.html else None
    some = False

    def draw(judged: list[VerdictAndCrops]) -> None:
        nonlocal some
        some = True
        for verdict, row in judged:
            crops = row and row.array
            if plain:
                plain.add(Judged(verdict, crops))
            if gallery:
                gallery.add(Judged(verdict, crops))
            if explained:
                evidence = find_evidence(detector, row) if row and verdict.probability is not None else None
                explained.add(Judged(verdict, crops, evidence))

    yield draw
    for drawing, path in ((plain, config.show), (explained, config.explain), (gallery, config.html)):
        if drawing and some:
            drawing.close()
            show(f"drawn: {path}", beside=True)
