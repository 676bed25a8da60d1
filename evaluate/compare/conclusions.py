"""What a comparison says, in sentences that need no statistics to be read."""

from collections.abc import Iterator

from evaluate.compare.numbers import Comparison, Pair

LEVEL = 0.05
"""The corrected p-value below which a difference counts as shown."""
FEW_PEOPLE = 20
"""People in the test part below which an interval over people is itself a rough one."""


def sentences(pair: Pair, comparison: Comparison) -> Iterator[str]:
    """Yields one plain sentence for each test of `pair`."""
    yield _on_accuracy(pair, comparison)
    yield _on_area(pair)
    yield _on_losses(pair, comparison.clips)


def warnings(comparison: Comparison) -> Iterator[str]:
    """Yields what a reader has to know before quoting a difference."""
    if comparison.people < FEW_PEOPLE:
        yield (
            f"The test clips show {comparison.people} people only, so what holds for them may not hold for others; "
            "the intervals over people are rough ones."
        )
    for model in comparison.models:
        if str(model.results.config["profile"].get("weights", "")).startswith("random"):
            yield f"{model.name} stands on a backbone with random weights: its numbers show the plumbing only."
    splits = {model.results.audit["split"] for model in comparison.models}
    if len(splits) > 1:
        yield f"The runs were split in different ways ({', '.join(sorted(splits))}), so they learnt from other clips."
    for pair in comparison.pairs:
        for name, title in (("accuracy", "accuracy"), ("roc_auc", "ROC AUC")):
            found, needed = pair.over_clips[name], pair.needed[name]
            if found.value and found.low is not None and found.high is not None:
                wide = found.high - found.low
                if wide > abs(found.value):
                    yield (
                        f"{pair.first} and {pair.second}: the interval of the difference in {title} is {wide:.3f} "
                        f"wide, more than the difference of {abs(found.value):.3f} itself; {_needed(needed)}."
                    )


def shown_p(p: float | None) -> str:
    """Returns a p-value for people."""
    if p is None:
        return "–"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _needed(clips: int | None) -> str:
    if clips is None:
        return "how many clips would tell is not known"
    return f"about {_round(clips):,} test clips would show one of this size four times in five"


def _round(number: int) -> int:
    """Two digits: a sample size is no more certain than that."""
    return int(float(f"{number:.1e}"))


def _on_accuracy(pair: Pair, comparison: Comparison) -> str:
    one, two = pair.mcnemar.first, pair.mcnemar.second
    if one == two:
        same = "on the very same clips" if not one else f"each alone on {one}"
        return f"{pair.first} and {pair.second} are right equally often ({same}): no difference in accuracy."
    better, worse = (pair.first, pair.second) if one > two else (pair.second, pair.first)
    points = 100 * abs(one - two) / comparison.clips
    start = (
        f"{better} is right on {points:.1f} more clips in 100 than {worse}: {max(one, two)} that only it has right, "
        f"against {min(one, two)} the other way"
    )
    return f"{start}; {_verdict(pair.corrected['mcnemar'], 'McNemar, exact')}."


def _on_area(pair: Pair) -> str:
    found = pair.delong
    if found.difference is None:
        return f"The ROC AUCs cannot be compared: {found.reason}."
    if not found.difference:
        return f"{pair.first} and {pair.second} rank the clips equally well: no difference in ROC AUC."
    better, worse = (pair.first, pair.second) if found.difference > 0 else (pair.second, pair.first)
    start = (
        f"Of a real and a fake clip drawn at random, {better} puts the fake one higher "
        f"{100 * abs(found.difference):.1f} times in 100 more often than {worse} (ROC AUC)"
    )
    end = _verdict(pair.corrected["delong"], "DeLong") if found.p is not None else f"it has no test: {found.reason}"
    return f"{start}; {end}."


def _on_losses(pair: Pair, clips: int) -> str:
    found = pair.wilcoxon
    if not found.effect:
        return f"{pair.first} and {pair.second} are equally far from the truth on the typical clip (log-loss)."
    better = pair.first if found.effect > 0 else pair.second
    start = f"On the typical one of {clips} clips the probability of {better} is nearer to the truth (log-loss)"
    return f"{start}; {_verdict(pair.corrected['wilcoxon'], 'Wilcoxon')}."


def _verdict(p: float | None, test: str) -> str:
    assert p is not None
    if p < LEVEL:
        often = "fewer than 1 in 10,000" if p < 0.0001 else f"about 1 in {round(1 / p):,}"
        return f"were they equally good, {often} such test sets would show as much ({test}): not just luck"
    return f"were they equally good, {p:.0%} of such test sets would show as much ({test}): it may be luck"
