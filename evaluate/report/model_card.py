"""The model card: what a run is, what it was made from, what it is for, and where not to trust it.

Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from collections.abc import Iterator

from evaluate.page.tables import markdown_text
from evaluate.report.caveats import notes
from evaluate.results.measures import DECISION_NAMES, HALF, HEAD, SCORE_NAMES, Evaluation, shown

Card = dict[str, list[str]]
"""Sentences by heading."""

PARTS = {"train": "training", "val": "validation", "test": "test"}


def model_card(evaluation: Evaluation) -> Card:
    """Returns the card of the run that `evaluation` is of."""
    return {
        "What it is": list(_model(evaluation)),
        "Data": list(_data(evaluation)),
        "How well it does": list(_quality(evaluation)),
        "What it is for": [
            "Research on detecting synthesised faces in video, and a first look at clips like those it was trained on.",
            "It is not evidence about a person. A verdict needs a person who looks at the clip and knows these limits.",
        ],
        "Limits": [*notes(evaluation), *_limits()],
    }


def as_markdown(name: str, card: Card) -> str:
    """Returns `card` as a Markdown page."""
    lines = [f"# Model card: {markdown_text(name)}"]
    for heading, sentences in card.items():
        lines += ["", f"## {heading}", "", *(f"- {markdown_text(sentence)}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


def _model(evaluation: Evaluation) -> Iterator[str]:
    config, profile = evaluation.results.config, evaluation.results.config["profile"]
    about = config.get("about", f"A {config['config'].get('head', 'temporal')} head on backbone features")
    yield f"{about}: the probability that the face in a clip is fake, from twelve frames."
    if "backbone" in profile:
        yield f"Backbone {profile['backbone']} with the weights {profile.get('weights', 'unknown')}."
    crops = profile.get("crops", profile)
    yield (
        f"Frames: {crops.get('sampling', 'unknown')} sampling; faces by {crops.get('detector', 'unknown')}, margin "
        f"{crops.get('margin', 'unknown')}, {crops.get('size', 'unknown')} pixels; fingerprint {config['fingerprint']}."
    )
    if evaluation.temperature:
        yield (
            f"Probabilities are calibrated by a temperature of {evaluation.temperature.value:.2f}, fitted on "
            f"{evaluation.temperature.clips} validation clips."
        )


def _data(evaluation: Evaluation) -> Iterator[str]:
    audit = evaluation.results.audit
    for part, title in PARTS.items():
        counts = evaluation.counts[part]
        faces = "" if counts.coverage is None else f", mean coverage {counts.coverage:.2f}"
        yield f"{title}: {counts.real:,} real and {counts.fake:,} fake clips{faces}."
    yield f"Split: {audit['split']}. The test clips show {evaluation.people:,} people."
    found = [finding["kind"] for finding in audit["findings"] if len(finding["parts"]) > 1]
    yield f"Leak audit: {len(found):,} findings between parts." if found else "Leak audit: nothing is shared by parts."


def _quality(evaluation: Evaluation) -> Iterator[str]:
    head = evaluation.evaluated["test"][HEAD]
    for name in ("roc_auc", "log_loss"):
        yield f"{SCORE_NAMES[name]}: {shown(head.scores[name])}; over people {_over_people(evaluation, name)}."
    for name in ("accuracy", "f1_fake", "f1_real", "kappa"):
        found = head.decisions[HALF].measures[name]
        yield f"{DECISION_NAMES[name]} at {HALF}: {shown(found)}; over people {_over_people(evaluation, name)}."
    for name, found in evaluation.reliability.items():
        yield f"expected calibration error, {name}: {shown(found.error)}."


def _over_people(evaluation: Evaluation, name: str) -> str:
    _, bracket, interval = shown(evaluation.over_people[name]).partition("[")
    return bracket + interval if bracket else "undefined"


def _limits() -> Iterator[str]:
    yield "Another data set, another way of making fakes, or strong compression can turn these numbers over."
    yield "The backbone was made to name objects, not to find traces of synthesis: subtle swaps may leave none in it."
    yield "Twelve frames of one face are judged; what happens between them, or to another face, is not."
