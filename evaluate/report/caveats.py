"""What a reader has to know before trusting a number, one sentence each."""

from collections.abc import Iterator, Mapping

import numpy as np

from base.commands import command
from cache.profile import Profile
from cache.schema import LEAST_COVERAGE, TEST
from evaluate.results.about_run import has_drawn_data, has_random_backbone
from evaluate.results.measures import CALIBRATED, CHOSEN, HALF, HEAD, RAW, Evaluation, worse_by_calibration
from evaluate.results.read import Results
from evaluate.stats.bootstrap import ends
from evaluate.stats.metrics import LEAST_PEOPLE
from train.runs.ensemble import FITTED_TWICE
from train.runs.folder import SCORES
from train.runs.recipe import RunConfig

FEW_PEOPLE = 20
"""With fewer people in the test part, its result may be theirs alone."""
WIDE = 0.2
"""If the ROC AUC's interval is wider than this, the test part is too small to compare heads."""

_SHARED = {
    "identity": ("show a person who is also in train", "known people, not strangers"),
    "source": ("were made from footage that is also in train", "known footage"),
    "duplicate": ("have the same content as a clip in train", "known clips"),
}


def notes(evaluation: Evaluation) -> Iterator[str]:
    """Yields the sentences that apply to `evaluation`, the gravest first."""
    results = evaluation.results
    yield from config_warnings(results.config)
    yield from _mixture(evaluation)
    yield from leaks(results)
    yield from _too_few(evaluation)
    yield from _faces(evaluation)
    yield from calibration_harm(evaluation)
    yield from map(str, results.audit.notes)


def run_warnings(results: Results) -> Iterator[str]:
    """Yields what has to be said of a run on each page that makes a claim by its test clips, the gravest first."""
    clips = results.head.of(TEST)
    yield from config_warnings(results.config)
    yield from leaks(results)
    yield from people_caveats(len(np.unique(results.people(clips))), results.unnamed(clips), len(clips.ids))
    yield f"Leak audit: {results.scope}."
    yield from map(str, results.audit.notes)


def config_warnings(config: RunConfig[Profile]) -> Iterator[str]:
    """Yields why to believe none of the numbers of a run with this `config`, if there is a reason."""
    if has_random_backbone(config):
        yield (
            "The backbone has random weights, so these numbers show that the pipeline runs, not how well fakes can be "
            f"found. Extract again with {command('features', weights='imagenet')}."
        )
    if has_drawn_data(config):
        yield "The clips were drawn, so these numbers show that the pipeline runs, and say nothing of filmed faces."


def _mixture(evaluation: Evaluation) -> Iterator[str]:
    joined = evaluation.results.config.ensemble
    if joined and joined.kind != "average":
        yield FITTED_TWICE


def leaks(results: Results) -> Iterator[str]:
    """Yields what the test clips of `results` share with train, one sentence per kind."""
    shared = {kind: results.shared(kind) for kind in _SHARED}
    theirs = "; of a detector that was trained on that part, " if results.config.kind == SCORES else "; "
    yield from leak_sentences(shared, len(results.head.of(TEST).ids), theirs)


def leak_sentences(shared: Mapping[str, int], clips: int, then: str = "; ") -> Iterator[str]:
    """Yields a sentence for each kind of which some of `clips` test clips are `shared` with train."""
    for kind, (what, hence) in _SHARED.items():
        if shared.get(kind):
            yield f"{shared[kind]:,} of {clips:,} test clips {what}{then}the numbers are about {hence}."


def people_caveats(people: int, unnamed: int, clips: int) -> Iterator[str]:
    """Yields what has to be known of `people` in `clips` before quoting an interval.

    Of `unnamed` clips nothing says who is in them.
    """
    if unnamed:
        some = "the test clips" if unnamed == clips else f"{unnamed:,} of {clips:,} test clips"
        yield (
            f"Nothing says who is in {some}, so each of them counts as another person; if some show the same, the "
            "intervals are too narrow."
        )
    if people == 1:
        yield "The test clips show 1 person, so there is no interval: nothing says how it is for others."
    elif people < FEW_PEOPLE:
        rule = "" if people >= LEAST_PEOPLE else f" A difference can be clear from {LEAST_PEOPLE} people on."
        shown = f"{'at most' if unnamed else 'only'} {people} people"
        yield f"The test clips show {shown}, so the result may not hold for others.{rule}"


def _too_few(evaluation: Evaluation) -> Iterator[str]:
    counts, head = evaluation.counts[TEST], evaluation.evaluated[TEST][HEAD]
    clips, area = counts.real + counts.fake, head.scores["roc_auc"]
    if not (counts.real and counts.fake):
        present = "real" if counts.real else "fake"
        yield f"The test part has {present} clips only; every measure that needs both classes is undefined."
    elif (interval := ends(area)) and interval[1] - interval[0] > WIDE:
        yield (
            f"The test part has only {clips} clips: the interval of the ROC AUC is {interval[1] - interval[0]:.2f} "
            "wide, so smaller differences between heads mean nothing."
        )
    yield from people_caveats(evaluation.people, evaluation.unnamed, clips)
    if CHOSEN not in head.decisions:
        yield f"There is no validation part with both classes, so no threshold was chosen; calls are at {HALF} only."


def calibration_harm(evaluation: Evaluation) -> Iterator[str]:
    """Yields the sentence that calibration made an error on the test part larger, where it did."""
    if worse := worse_by_calibration(evaluation):
        raw, calibrated = (evaluation.reliability[name] for name in (RAW, CALIBRATED))
        yield (
            f"On the test part calibration made the {' and the '.join(worse)} larger, not smaller: log-loss "
            f"{raw.log_loss:.3f} raw and {calibrated.log_loss:.3f} calibrated, calibration error "
            f"{raw.error:.3f} and {calibrated.error:.3f}. Do not take the calibrated probability at "
            "its word."
        )


def _faces(evaluation: Evaluation) -> Iterator[str]:
    counts = evaluation.counts[TEST]
    if counts.few_faces:
        yield (
            f"{counts.few_faces:,} of {counts.real + counts.fake:,} test clips show a face in less than "
            f"{LEAST_COVERAGE:.0%} of their frames; their probabilities rest on background."
        )
