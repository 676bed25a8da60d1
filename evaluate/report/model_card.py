"""The model card: what a run is, what it was made from, what it is for, and when not to trust it.

Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from collections.abc import Iterator

from cache.profile import ForeignProfile, crops_of, network_of
from cache.schema import FRAMES, TEST, TRAIN, VAL
from evaluate.page.tables import markdown_text, measure_text
from evaluate.report.caveats import notes
from evaluate.report.features_text import MORE, detector_text, features_sentences
from evaluate.report.first_screen import summary
from evaluate.results.measures import HALF, HEAD, Evaluation
from evaluate.results.read import why_uncalibrated
from evaluate.stats.weighted import title_of
from train.runs.folder import SCORES

Card = dict[str, list[str]]
"""Sentences by heading."""

SAMPLING = {"uniform": "spread evenly over the clip", "first": "the first ones of the clip"}
TITLES = {TRAIN: "training", VAL: "validation", TEST: "test"}


def model_card(evaluation: Evaluation) -> Card:
    """Returns the card of the run that was evaluated."""
    return {
        "What it is": list(_model(evaluation)),
        "Data": list(_data(evaluation)),
        "How well it does": list(_quality(evaluation)),
        "What it is for": [
            "Research on detecting synthesised faces in video, and a first look at clips like those it was trained on.",
            "Its output is not evidence about a person. Someone who knows these limits has to look at the clip.",
        ],
        "Limits": [*notes(evaluation), *_limits()],
    }


def short_card(evaluation: Evaluation) -> Card:
    """Returns what a report does not say elsewhere on its page."""
    whole = model_card(evaluation)
    return {name: whole[name] for name in ("What it is", "What it is for")} | {"Limits": list(_limits())}


def as_markdown(name: str, card: Card) -> str:
    """Returns `card` as a Markdown page."""
    lines = [f"# Model card: {markdown_text(name)}"]
    for heading, sentences in card.items():
        lines += ["", f"## {heading}", "", *(f"- {markdown_text(sentence)}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


def _model(evaluation: Evaluation) -> Iterator[str]:
    config = evaluation.results.config
    name = config.config.get("head", "unknown")
    head = f"The head {name}, a small network over time, on the features of a frozen backbone"
    given = "They are" if config.kind == SCORES else "It gives"
    seen = "" if config.kind == SCORES else f", from {FRAMES} frames"
    yield f"{config.about or head}. {given} the probability that the face in a clip is fake{seen}."
    yield from features_sentences(network_of(config.profile) if config.data_sets else config.profile)
    if config.config.get("start") == "baseline":
        yield (
            "The head starts from its baseline, a logistic regression on the mean of the frames, and learns to add to "
            f"it; training may find that nothing is better ({MORE})."
        )
    if not isinstance(config.profile, ForeignProfile):
        crops = crops_of(config.profile)
        yield (
            f"Frames: {FRAMES}, {SAMPLING[crops.sampling]}; faces found by {detector_text(crops)} and cut out with a "
            f"margin of {crops.margin} of the face's side, {crops.size} x {crops.size} pixels. The fingerprint of "
            f"these settings is {config.fingerprint}."
        )
    if evaluation.temperature:
        yield (
            f"Probabilities are calibrated by a temperature of {evaluation.temperature.value:.2f}, fitted on "
            f"{evaluation.temperature.clips} validation clips."
        )
    else:
        yield f"Probabilities are not calibrated: {why_uncalibrated(evaluation.results.head.of(VAL).counts)}."


def _data(evaluation: Evaluation) -> Iterator[str]:
    audit = evaluation.results.audit
    for part, title in TITLES.items():
        counts = evaluation.counts[part]
        faces = "" if counts.coverage is None else f", mean coverage {counts.coverage:.2f}"
        yield f"{title}: {counts.real:,} real and {counts.fake:,} fake clips{faces}."
    tested = evaluation.counts[TEST].real + evaluation.counts[TEST].fake
    people = (
        "Nothing says who is in the test clips"
        if evaluation.unnamed == tested
        else (f"The test clips show {evaluation.people:,} people")
    )
    yield f"Split: {audit.split}. {people}."
    crossing = audit.crossing
    if crossing is None:
        crossing = sum(len(finding.parts) > 1 for finding in audit.findings)
    found = f"{crossing:,} findings between parts" if crossing else "nothing that the parts share was found"
    yield f"Leak audit: {found} ({evaluation.results.scope})."


def _quality(evaluation: Evaluation) -> Iterator[str]:
    head = evaluation.evaluated[TEST][HEAD]
    for name in ("roc_auc", "log_loss"):
        yield f"{title_of(name)}: {measure_text(head.scores[name])}."
    yield from summary(evaluation)
    for name in ("accuracy", "f1_fake", "f1_real", "kappa"):
        yield f"{title_of(name)} at {HALF}: {measure_text(head.decisions[HALF].measures[name])}."
    yield "In brackets: 95 % intervals over people."
    for name, reliability in evaluation.reliability.items():
        yield f"expected calibration error, {name}: {reliability.error:.3f}; log-loss {reliability.log_loss:.3f}."


def _limits() -> Iterator[str]:
    yield "On another data set, another kind of fake, or strongly compressed video these numbers can be far worse."
    yield "The backbone was trained to recognise objects, not traces of synthesis; it may miss a subtle swap."
    yield f"It judges {FRAMES} frames of one face, not what happens between them or to another face."
