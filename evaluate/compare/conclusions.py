"""The result of a comparison in sentences that can be read without knowing statistics."""

from collections.abc import Iterator

from evaluate.compare.numbers import LEVEL, Comparison, Pair
from evaluate.page.tables import NOTHING
from evaluate.report.caveats import run_warnings
from evaluate.results.kinds import kinds_sentence
from evaluate.results.versus_baseline import difference_sentence
from evaluate.stats.bootstrap import ends

MEANING = (
    "p is how often two runs that are equally good would differ as much by luck. A difference is called clear where it "
    f"is below {LEVEL:g} and the 95 % interval over people, in brackets, leaves 0 out."
)


def sentences(pair: Pair, comparison: Comparison) -> Iterator[str]:
    """Yields one sentence for each test of `pair`."""
    yield _on_accuracy(pair, comparison)
    yield _on_area(pair)
    yield _on_losses(pair, comparison.clips)


def baseline_sentences(comparison: Comparison) -> Iterator[str]:
    """Yields a sentence per run: what it adds to its baseline."""
    for model in comparison.models:
        if model.difference is None:
            continue
        p = model.against_baseline.corrected
        yield f"{model.name}: {difference_sentence(model.difference, tested=p is not None and p < LEVEL)}"


def kind_sentences(comparison: Comparison) -> Iterator[str]:
    """Yields a sentence per run: how many fakes of each kind it finds; none where no kind is named."""
    for model in comparison.models:
        if model.kinds:
            yield f"{model.name}: {kinds_sentence(model.kinds)}"


def warnings(comparison: Comparison) -> Iterator[str]:
    """Yields what a reader has to know before quoting a difference."""
    yield from left_out(comparison)
    said = [list(run_warnings(model.results)) for model in comparison.models]
    for text in dict.fromkeys(text for own in said for text in own):
        names = [model.name for model, own in zip(comparison.models, said, strict=True) if text in own]
        yield text if len(names) == len(said) else f"{', '.join(names)}: {text}"
    splits = {model.results.audit.split for model in comparison.models}
    if len(splits) > 1:
        ways = ", ".join(sorted(splits))
        yield f"The runs were split in different ways ({ways}), so they trained on different clips."
    for pair in comparison.pairs:
        for name, title in (("accuracy", "accuracy"), ("roc_auc", "ROC AUC")):
            difference, interval = pair.over_people[name].value, ends(pair.over_people[name])
            if difference and interval and interval[1] - interval[0] > abs(difference):
                yield (
                    f"{pair.first} and {pair.second}: the interval of the difference in {title} is "
                    f"{interval[1] - interval[0]:.3f} wide, more than the difference itself ({abs(difference):.3f}); "
                    f"{_needed(pair.needed[name])}."
                )


def left_out(comparison: Comparison) -> Iterator[str]:
    """Yields which clips only some of the runs have a score of, if there are any."""
    counts = [
        f"{model.left_out:,} of the {model.left_out + comparison.clips:,} of {model.name}"
        for model in comparison.models
        if model.left_out
    ]
    if counts:
        yield (
            f"Compared on the {comparison.clips:,} test clips of which all have a score; left out, and counted "
            f"nowhere, are {', '.join(counts)}."
        )


def p_text(p: float | None) -> str:
    """Returns a p-value with the digits that mean something."""
    if p is None:
        return NOTHING
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _needed(clips: int | None) -> str:
    if clips is None:
        return "how many clips would settle it is unknown"
    return f"about {_round(clips):,} test clips would reveal a difference of this size four times in five"


def _round(number: int) -> int:
    """Rounds to two digits: a sample size is no more certain than that."""
    return round(number, 2 - len(str(number)))


def _on_accuracy(pair: Pair, comparison: Comparison) -> str:
    one, two = pair.mcnemar.first, pair.mcnemar.second
    if one == two:
        same = "are right on the same clips" if not one else f"are each right on {one} clips where the other is wrong"
        return f"No difference in accuracy: {pair.first} and {pair.second} {same}."
    better, worse = (pair.first, pair.second) if one > two else (pair.second, pair.first)
    points = 100 * abs(one - two) / comparison.clips
    return (
        f"{_verdict(pair, 'mcnemar', 'accuracy', 'McNemar, exact')}: {better} is right on {points:.1f} more clips in "
        f"100 than {worse}{_reach(pair, 'accuracy')}; only {better} is right on {max(one, two)}, only {worse} on "
        f"{min(one, two)}."
    )


def _on_area(pair: Pair) -> str:
    area = pair.delong
    if area.difference is None:
        return f"The ROC AUCs cannot be compared: {area.reason}."
    if not area.difference:
        return f"No difference in ROC AUC: {pair.first} and {pair.second} rank the clips equally well."
    better, worse = (pair.first, pair.second) if area.difference > 0 else (pair.second, pair.first)
    if area.p is None:
        verdict = f"The ROC AUCs differ, and no test is possible ({area.reason})"
    else:
        verdict = _verdict(pair, "delong", "ROC AUC", "DeLong")
    return (
        f"{verdict}: of a real and a fake clip at random, {better} scores the fake one higher in "
        f"{100 * abs(area.difference):.1f} more cases in 100 than {worse}{_reach(pair, 'roc_auc')}."
    )


def _on_losses(pair: Pair, clips: int) -> str:
    losses = pair.wilcoxon
    if not losses.effect:
        return f"No difference in log-loss: {pair.first} and {pair.second} are equally far from the truth."
    better = pair.first if losses.effect > 0 else pair.second
    verdict = _verdict(pair, "wilcoxon", "log-loss", "Wilcoxon")
    return f"{verdict}: on the typical one of {clips} clips the probability of {better} is nearer to the truth."


def _verdict(pair: Pair, name: str, measure: str, test: str) -> str:
    p = pair.corrected[name]
    assert p is not None
    sign = "" if p < 0.0001 else "= "
    return f"{'A' if pair.is_clear(name) else 'No'} clear difference in {measure} ({test}: p {sign}{p_text(p)})"


def _reach(pair: Pair, name: str) -> str:
    """The interval of a difference in hundredths, as seen from the better run."""
    measure = pair.over_people[name]
    interval = ends(measure)
    if interval is None or measure.value is None:
        return " [no interval]"
    low, high = (100 * end for end in (interval if measure.value > 0 else (-interval[1], -interval[0])))
    return f" [{low:.0f} to {high:.0f}]"
