"""The first sentences of a report: on how many clips of whom, and what the head adds to its baseline."""

from collections.abc import Iterator

from cache.schema import TEST
from evaluate.results.calls import calls_sentence
from evaluate.results.kinds import kinds_sentence
from evaluate.results.measures import HEAD, Evaluation
from evaluate.results.versus_baseline import difference_sentence
from evaluate.stats.bootstrap import ends
from train.runs.folder import SCORES


def summary(evaluation: Evaluation) -> Iterator[str]:
    """Yields the sentences."""
    yield _tested_on(evaluation)
    yield calls_sentence(evaluation.calls)
    if evaluation.kinds:
        yield kinds_sentence(evaluation.kinds)
    if evaluation.difference:
        yield difference_sentence(evaluation.difference)
    yield from _pairs(evaluation)


def _tested_on(evaluation: Evaluation) -> str:
    counts = evaluation.counts[TEST]
    clips = f"Tested on {counts.real + counts.fake:,} clips ({counts.real:,} real, {counts.fake:,} fake)"
    if evaluation.unnamed == counts.real + counts.fake:
        return f"{clips}; the data set does not say who is in them, so they may show people who were trained on."
    people = "1 person" if evaluation.people == 1 else f"{evaluation.people:,} people"
    if evaluation.results.config.kind == SCORES:
        return f"{clips} of {people}; whether the detector was trained on them is not known."
    shared = evaluation.results.shared("identity")
    if shared:
        return f"{clips} of {people}; {shared:,} of the clips show people who were trained on."
    named = ", as far as they are named," if evaluation.unnamed else ""
    return f"{clips} of {people}, none of whom{named} was trained on."


def _pairs(evaluation: Evaluation) -> Iterator[str]:
    paired = evaluation.paired[HEAD]
    if paired.share.value is not None:
        interval = ends(paired.share)
        sure = f"95 % interval over people: {interval[0]:.0%} to {interval[1]:.0%}" if interval else "no interval"
        yield (
            f"Paired share: {paired.share.value:.0%} of {paired.fakes:,} fakes score above "
            f"{_counterpart(paired.by_source, paired.fakes)} ({sure}; chance is 50%)."
        )


def _counterpart(by_source: int, fakes: int) -> str:
    if by_source == fakes:
        return "the real clip that they were made from"
    if not by_source:
        return "the real clips of the same person"
    return f"their real counterpart (the source of {by_source:,}, the person's clips for the rest)"
