"""The first screen of a report: on whom it was tested, and what the head adds to its baseline."""

import csv
import json
import re

import numpy as np
import pytest

from evaluate.compare.numbers import compare_results
from evaluate.page.training_figures import training_figure
from evaluate.report.first_screen import summary
from evaluate.results.measures import BASELINE, HEAD, as_json, evaluate_results
from evaluate.results.read import read_results
from evaluate.results.versus_baseline import Difference, difference_sentence, head_minus_baseline
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import difference_measures
from tests.evaluate.report.test_report import LEAKS, clips, page, read, stored, write_predictions, write_run

PEOPLE = 12


def peopled(folder, named=1.0, sources=True):
    """Gives every clip of the run in `folder` one of a dozen people, and every fake the real clip before it."""
    rows = clips()
    lines = []
    for number, (name, label, part) in enumerate(rows):
        person = f"id{number // 3 % PEOPLE}" if number % 10 < 10 * named else ""
        source = rows[number - number % 3][0] if label and sources else ""
        lines.append((name, label, part, person, "", source))
    with (folder / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "label", "part", "target", "donor", "source"), *lines])
    return folder


@pytest.fixture
def run_folder(tmp_path):
    return peopled(write_run(tmp_path / "run"))


def first_screen(folder):
    return list(summary(evaluate_results(read_results(folder), 200, 0)))


def scored(folder, head, baseline):
    write_predictions(folder / "predictions.csv", clips(), head, 6)
    write_predictions(folder / "baseline.csv", clips(), baseline, 2)


def test_it_says_on_how_many_clips_of_how_many_people(run_folder):
    tested, called, difference, pairs = first_screen(run_folder)
    assert tested == "Tested on 60 clips (20 real, 40 fake) of 12 people, none of whom was trained on."
    assert re.fullmatch(r"In its test it called \d+ of 40 fakes fake, .*, and \d+ of 20 real clips fake, .*", called)
    assert re.search(r": ROC AUC [+-][\d.]+ \([+-][\d.]+ to [+-][\d.]+\), accuracy ", difference)
    # The real clip of the first two fakes is in validation.
    assert "40 fakes score above their real counterpart (the source of 38, the person's clips for the rest)" in pairs
    text = read(page(run_folder))
    assert text.index(tested) < text.index(difference[:40]) < text.index("How well it tells them apart")


def test_clips_of_unknown_people_are_not_called_people(tmp_path):
    folder = peopled(write_run(tmp_path / "run"), 0)
    text = read(page(folder))
    assert "Nothing says who is in the test clips, so each of them counts as another person" in text
    assert "60 people" not in text


def test_people_who_were_trained_on_are_counted(tmp_path):
    run = peopled(write_run(tmp_path / "run", findings=LEAKS))
    tested, *_ = first_screen(run)
    assert tested.endswith("of 12 people; 3 of the clips show people who were trained on.")
    assert as_json(evaluate_results(read_results(run), 20, 0))["known"] == 3


@pytest.mark.parametrize(
    ("named", "words"), [(0, "does not say who is in them"), (0.9, "as far as they are named, was trained on")]
)
def test_nothing_is_claimed_of_people_without_a_name(tmp_path, named, words):
    tested, *_ = first_screen(peopled(write_run(tmp_path / "run"), named))
    assert words in tested


@pytest.mark.parametrize(
    ("head", "baseline", "words"),
    [
        (0.8, 0.1, "The head ranks clips better than its baseline"),
        (0.1, 0.8, "The head ranks clips worse than its baseline"),
        (0.3, 0.3, "No clear difference between the head and its baseline"),
    ],
)
def test_the_sentence_says_better_or_worse_where_the_interval_does(run_folder, head, baseline, words):
    scored(run_folder, head, baseline)
    assert first_screen(run_folder)[2].startswith(words)


def test_of_few_people_no_difference_is_called_clear_or_not():
    measures = {name: Measure(0.036, None, None) for name in ("roc_auc", "accuracy")}
    said = difference_sentence(Difference(measures, same=False))
    assert said.startswith("Whether the head is better than its baseline, ")
    assert said.endswith("so few people cannot say: ROC AUC +0.036, accuracy +0.036.")


def test_a_head_that_is_its_baseline_is_called_so(run_folder):
    (run_folder / "baseline.csv").write_bytes((run_folder / "predictions.csv").read_bytes())
    assert "same probabilities as its baseline" in first_screen(run_folder)[2]


def test_one_class_has_no_difference(tmp_path):
    rows = [(name, 1 if part == "test" else label, part) for name, label, part in clips()]
    assert "cannot be compared" in first_screen(write_run(tmp_path / "run", rows))[2]


def test_the_difference_is_paired_whatever_the_order_of_the_baseline(run_folder):
    results = read_results(run_folder)
    head, people = results.head.of("test"), results.people(results.head.of("test"))
    labels, probabilities = stored(run_folder, "predictions.csv", "test")
    _, others = stored(run_folder, "baseline.csv", "test")
    expected = difference_measures(labels, (probabilities, 0.5), (others, 0.5), 100, 0, people)
    lines = (run_folder / "baseline.csv").read_text().splitlines()
    (run_folder / "baseline.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    baseline = read_results(run_folder).baseline
    assert baseline
    found = head_minus_baseline(head, baseline.of("test"), people, 100, 0)
    assert found.over_people == {name: expected[name] for name in ("roc_auc", "accuracy")}


def test_the_numbers_are_in_metrics_json(run_folder):
    evaluation = evaluate_results(read_results(run_folder), 100, 0)
    numbers = json.loads(json.dumps(as_json(evaluation), allow_nan=False))
    models = numbers["parts"]["test"]
    gap = models[HEAD]["scores"]["roc_auc"]["value"] - models[BASELINE]["scores"]["roc_auc"]["value"]
    assert numbers["head_minus_baseline"]["over_people"]["roc_auc"]["value"] == pytest.approx(gap)
    labels, probabilities = stored(run_folder, "predictions.csv", "test")
    reals, fakes = probabilities[labels == 0][:-1], probabilities[labels == 1][2:].reshape(-1, 2)
    paired = numbers["paired_share"][HEAD]
    assert (paired["fakes"], paired["by_source"]) == (40, 38)
    assert 0 <= 40 * paired["share"]["value"] - (fakes > reals[:, None]).sum() <= 2


def test_a_split_that_names_no_sources_compares_with_the_same_person(tmp_path):
    folder = peopled(write_run(tmp_path / "run"), sources=False)
    assert "score above the real clips of the same person" in first_screen(folder)[3]
    nameless = peopled(write_run(tmp_path / "other"), named=0, sources=False)
    assert len(first_screen(nameless)) == 3
    assert "paired share" not in read(page(nameless)).lower()


def history(folder, rows):
    (folder / "history.csv").write_text("epoch,loss,val_loss\n" + "\n".join(rows) + "\n")
    return read_results(folder).history


def test_epoch_0_is_drawn_as_the_baseline(run_folder):
    values = history(run_folder, ["0,,0.5", "1,0.6,0.55", "2,0.5,0.6"])
    (axes,) = training_figure(values).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}
    assert np.nanmin(lines["validation"]) == 0.5
    assert "lowest: the baseline" in lines


def test_a_single_point_is_seen(run_folder):
    values = history(run_folder, ["0,,0.5", "1,0.6,0.45"])
    (axes,) = training_figure(values).axes
    markers = {line.get_label(): line.get_marker() for line in axes.lines}
    assert markers["training"] == "."
    assert markers["validation"] == ""


def test_epoch_0_takes_no_time(run_folder, tmp_path):
    history(run_folder, ["0,,0.5", "1,0.6,0.55", "2,0.5,0.6"])
    (run_folder / "run.json").write_text('{"created": "2026-01-01T00:00:00", "seconds": 3}')
    other = peopled(write_run(tmp_path / "other"))
    found = compare_results([read_results(run_folder), read_results(other)], False, 20, 0)
    assert found.models[0].epoch_seconds == 1.5
    assert found.models[0].paired.fakes == 40
    assert found.models[0].difference
    assert difference_sentence(found.models[0].difference).startswith("The head ranks")
