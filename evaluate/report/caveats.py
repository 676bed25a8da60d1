"""What a reader has to know before believing a number, each in one plain sentence."""

from collections.abc import Iterator

from evaluate.results.measures import BASELINE, CHOSEN, HALF, HEAD, Evaluation
from evaluate.results.read import Results

WIDE = 0.2
"""Width of the ROC AUC's interval from which the test part counts as too small to compare heads on."""

_SHARED = {
    "identity": ("show a person who is also in train", "known people, not strangers"),
    "source": ("come from footage that is also in train", "footage already seen"),
    "duplicate": ("have the very content of a clip in train", "clips already seen"),
}


def notes(evaluation: Evaluation) -> Iterator[str]:
    """Yields the sentences that apply to `evaluation`, the gravest first."""
    yield from _weights(evaluation)
    yield from leaks(evaluation.results)
    yield from _too_few(evaluation)
    yield from _baseline(evaluation)
    yield from _faces(evaluation)
    yield from map(str, evaluation.results.audit["notes"])


def _weights(evaluation: Evaluation) -> Iterator[str]:
    if str(evaluation.results.config["profile"].get("weights", "")).startswith("random"):
        yield (
            "The backbone has random weights, so the accuracy shows the plumbing only: it says that the pipeline runs, "
            "not how well fakes are found. Extract again with ImageNet weights for numbers that mean something."
        )


def leaks(results: Results) -> Iterator[str]:
    """Yields what the test clips of `results` share with train, a sentence a kind."""
    clips = results.head.of("test").ids
    for kind, (what, hence) in _SHARED.items():
        found = [finding for finding in results.audit["findings"] if finding["kind"] == kind]
        crossing = [finding["videos"].get("test", []) for finding in found if "train" in finding["parts"]]
        shared = {name for names in crossing for name in names} & set(clips)
        if shared:
            yield f"{len(shared)} of {len(clips)} test clips {what}; the numbers are about {hence} (see leak audit)."


def _too_few(evaluation: Evaluation) -> Iterator[str]:
    counts, head = evaluation.counts["test"], evaluation.evaluated["test"][HEAD]
    clips, area = counts.real + counts.fake, head.scores["roc_auc"]
    if not (counts.real and counts.fake):
        present = "real" if counts.real else "fake"
        yield f"The test part has {present} clips only; every measure that needs both classes is undefined."
    elif area.low is None or area.high is None:
        yield f"The test part has {counts.real} real and {counts.fake} fake clips, too few for some of the intervals."
    elif area.high - area.low > WIDE:
        yield (
            f"The test part has only {clips} clips: the ROC AUC's interval is {area.high - area.low:.2f} wide, "
            "and smaller differences between heads say nothing."
        )
    if head.decisions[HALF].measures["accuracy"].value == 1:
        yield (
            f"There is no error at 0.5, so the bootstrap has none to draw and its interval is a point; with {clips} "
            f"clips the true error rate may still be {min(1.0, 3 / clips):.0%} (the rule of three)."
        )
    if CHOSEN not in head.decisions:
        yield "There is no validation part with both classes, so no threshold was chosen; calls are made at 0.5 only."


def _baseline(evaluation: Evaluation) -> Iterator[str]:
    head, baseline = (evaluation.evaluated["test"][name].scores["roc_auc"].value for name in (HEAD, BASELINE))
    if head is not None and baseline is not None and head <= baseline:
        yield (
            f"The head does not beat the baseline it is here to beat: a logistic regression has a ROC AUC of "
            f"{baseline:.3f}, the head {head:.3f}."
        )


def _faces(evaluation: Evaluation) -> Iterator[str]:
    counts = evaluation.counts["test"]
    if counts.few_faces:
        yield (
            f"{counts.few_faces} of {counts.real + counts.fake} test clips show a face in less than half of their "
            "frames; what is said of them rests on background."
        )
