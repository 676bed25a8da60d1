"""Comparisons of runs: what is refused, what the sentences say, and the files that are left."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from cache.store import create_store
from evaluate.__main__ import main
from evaluate.compare.comparison_page import comparison_tables
from evaluate.compare.conclusions import MEANING, baseline_sentences, p_text, sentences, warnings
from evaluate.compare.numbers import compare_results
from evaluate.compare.stage import CompareConfig, compare
from evaluate.page.tables import Table, cell_text, latex, markdown
from evaluate.results.read import read_results
from tests.evaluate.report.test_report import LEAKS, PROFILE, Reader, clips, write_run
from tests.stores import PROFILE as FEATURES
from tests.stores import pairs, write_features


def rewritten(folder, change):
    """The predictions file of the run in `folder`, its rows changed."""
    path = folder / "predictions.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = change(rows) or rows
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def said(strength):
    """Lets a run say what is right, by `strength`, with the noise of the clip's number."""

    def change(rows):
        for number, row in enumerate(rows):
            noise = np.random.default_rng(number).normal(0, 0.3)
            row["probability"] = float(np.clip(0.5 + strength * (int(row["label"]) - 0.5) + noise, 0, 1))

    return change


@pytest.fixture
def runs(tmp_path):
    """Three runs on the same clips: good, fair and, in effect, blind."""
    folders = []
    for name, strength in (("good", 0.8), ("fair", 0.3), ("blind", 0.0)):
        folders.append(write_run(tmp_path / "runs" / name))
        rewritten(folders[-1], said(strength))
    return folders


def compared(folders, chosen=False):
    return compare_results([read_results(folder) for folder in folders], chosen, 200, 0)


def test_each_pair_is_compared_and_corrected_over_all_tests(runs):
    found = compared(runs)
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("good", "fair"), ("good", "blind"), ("fair", "blind"),
    ]  # fmt: skip
    values = [test.p or 0.0 for pair in found.pairs for test in (pair.mcnemar, pair.delong, pair.wilcoxon)]
    values += [model.against_baseline.p or 0.0 for model in found.models]
    corrected = [value for pair in found.pairs for value in pair.corrected.values()]
    corrected += [model.against_baseline.corrected for model in found.models]
    assert len(corrected) == 12
    assert corrected[int(np.argmin(values))] == pytest.approx(12 * min(values))
    for pair in found.pairs:
        models = {model.name: model for model in found.models}
        for name, difference in pair.over_people.items():
            one, two = (models[side].over_people[name].value or 0.0 for side in (pair.first, pair.second))
            assert difference.value == pytest.approx(one - two), name
        assert pair.delong.difference == pytest.approx(pair.over_people["roc_auc"].value)
        won = (pair.mcnemar.first - pair.mcnemar.second) / found.clips
        assert won == pytest.approx(pair.over_people["accuracy"].value)


def test_the_order_of_the_rows_changes_nothing(runs):
    before = compared(runs)
    rewritten(runs[1], lambda rows: rows[::-1])
    after = compared(runs)
    assert dataclasses.asdict(after.pairs[0]) == dataclasses.asdict(before.pairs[0])


def test_who_says_fake_more_often_does_not_win(runs, tmp_path):
    """All of a run's probabilities moved up: Wilcoxon on probabilities would call that a victory."""
    moved = write_run(tmp_path / "moved")
    rewritten(moved, said(0.8))
    rewritten(moved, lambda rows: [row | {"probability": min(1, float(row["probability"]) + 0.4)} for row in rows])
    (pair,) = compared([runs[0], moved]).pairs
    assert (pair.wilcoxon.effect or 0) > 0


def test_sentences_say_what_is_shown_and_what_may_be_luck(runs):
    found = compared([runs[0], runs[2], runs[1]])
    accuracy, area, losses = sentences(found.pairs[0], found)
    assert re.match(r"A clear difference in accuracy \(McNemar, exact: p (<|=) [\d.]+\): good is right on", accuracy)
    assert re.search(r"good scores the fake one higher in \d+\.\d more cases in 100 than blind \[\d+ to \d+\]\.", area)
    assert "the probability of good is nearer" in losses
    assert all(text.startswith("A clear difference in ") for text in (accuracy, area, losses))
    close = write_run(runs[0].parent / "close")
    rewritten(close, said(0.78))
    found = compared([runs[0], close])
    assert any(text.startswith("No clear difference in ") for text in sentences(found.pairs[0], found))


def test_runs_that_never_differ_are_said_to_be_equal(runs, tmp_path):
    twin = write_run(tmp_path / "twin")
    rewritten(twin, said(0.8))
    found = compared([runs[0], twin])
    texts = list(sentences(found.pairs[0], found))
    assert [text.partition(":")[0] for text in texts] == [
        f"No difference in {name}" for name in ("accuracy", "ROC AUC", "log-loss")
    ]
    json.dumps([pair.needed for pair in found.pairs], allow_nan=False)


def test_nothing_is_clear_where_the_test_part_cannot_carry_it(tmp_path):
    """On 13 clips of five people DeLong is sure of 80 cases in 100; of people who were not seen nobody is."""
    rows = clips(test=13)
    folders = [write_run(tmp_path / name, rows=rows) for name in ("one", "two")]
    rewritten(folders[0], said(1.6))
    rewritten(folders[1], lambda rows: [row | {"probability": float(row["id"][-5]) / 10} for row in rows])
    found = compared(folders)
    (pair,) = found.pairs
    assert (pair.delong.p or 1) < 0.01
    texts = [*sentences(pair, found), *baseline_sentences(found)]
    assert not any("A clear difference" in text or "ranks clips better" in text for text in texts)
    assert texts[1].endswith("more cases in 100 than two [no interval].")
    assert any("only 5 people" in text and "can be clear from 6 people on" in text for text in warnings(found))
    page = Reader(compare(CompareConfig(tuple(folders), tmp_path / "page", resamples=50)).read_text())
    assert " ".join(page.words).count("A point without a line has no interval: people are too few") == 2


def test_a_head_is_better_than_its_baseline_only_after_the_correction(runs):
    found = compared(runs)
    model = found.models[0]
    assert "ranks clips better than its baseline" in next(baseline_sentences(found))
    model.against_baseline.corrected = 0.06
    assert "No clear difference between the head and its baseline" in next(baseline_sentences(found))


def test_warns_of_wide_intervals_with_the_clips_it_would_take(runs):
    narrow = list(warnings(compared([runs[0], runs[2]])))
    assert not any("wide, more than" in text for text in narrow)
    close = write_run(runs[0].parent / "close")
    rewritten(close, said(0.78))
    told = list(warnings(compared([runs[0], close])))
    assert any("wide, more than the difference" in text and "test clips would reveal" in text for text in told)


def test_a_different_set_of_clips_is_refused_with_its_first_clip(runs, tmp_path):
    other = write_run(tmp_path / "other", rows=clips(test=61))
    with pytest.raises(UserError, match=r"do not test on the same clips: 1 are in .*other alone, '.*' first"):
        compared([runs[0], other])


def test_a_different_label_is_refused(runs, tmp_path):
    rows = clips()
    name = next(name for name, label, part in rows if part == "test" and label)
    other = write_run(tmp_path / "other", rows=[(own, 0 if own == name else label, part) for own, label, part in rows])
    with pytest.raises(UserError, match=f"give '{name}' different labels"):
        compared([runs[0], other])


@pytest.mark.parametrize("change", ["id", "label", "duplicate"])
def test_a_changed_predictions_file_is_refused_with_its_reason(runs, change):
    def edit(rows):
        if change == "id":
            rows[3]["id"] = "somebody-else.mp4"
        if change == "label":
            rows[3]["label"] = str(1 - int(rows[3]["label"]))
        if change == "duplicate":
            rows.append(rows[3])

    rewritten(runs[1], edit)
    reason = {"id": "which the run's split does not use", "label": "one of the two was changed", "duplicate": "second"}
    with pytest.raises(UserError, match=reason[change]):
        compared(runs)


def test_one_run_or_the_same_run_twice_is_no_comparison(runs):
    with pytest.raises(UserError, match="two runs or more"):
        compared(runs[:1])
    with pytest.raises(UserError, match="is named twice"):
        compared([runs[0], runs[0]])


def test_a_run_by_two_names_is_no_comparison(tmp_path, monkeypatch):
    """Where case makes no difference, only the system can tell that `ONE` and `one` are the same folder."""
    folders = [write_run(tmp_path / name) for name in ("one", "ONE")]
    monkeypatch.setattr(Path, "samefile", lambda self, other: str(self).lower() == str(other).lower())
    with pytest.raises(UserError, match="one is named twice; compare different runs"):
        compared(folders)


def test_thresholds_chosen_on_validation_are_used_when_asked_for(runs):
    found = compared(runs, chosen=True)
    assert {model.threshold for model in found.models} != {0.5}
    assert found.calls == "chosen on validation"


def test_one_class_or_one_clip_leaves_no_number_made_up(tmp_path):
    rows = [*[(f"t{row}", row % 2, "train") for row in range(4)], ("a", 1, "test"), ("b", 1, "test")]
    folders = [write_run(tmp_path / name, rows=rows) for name in ("one", "two")]
    rewritten(folders[1], lambda rows: [row | {"probability": 0.3} for row in rows])
    found = compared(folders)
    assert found.pairs[0].delong.p is None
    assert "cannot be compared: there is one class only" in list(sentences(found.pairs[0], found))[1]
    for name, table in comparison_tables(found).items():
        assert not any("nan" in cell_text(cell).lower() for row in table.rows for cell in row), name


def test_the_command_leaves_page_numbers_tables_and_figures(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--runs", ",".join(map(str, runs)), "--resamples", "50"]) == 0
    folder = tmp_path / "comparisons" / "good-vs-fair-vs-blind"
    out = capsys.readouterr().out.rstrip()
    assert out.endswith("comparisons/good-vs-fair-vs-blind/compare.html")
    told = json.loads((folder / "comparison.json").read_text(), parse_constant=pytest.fail)
    assert len(told["sentences"]) == 9
    assert len(told["baselines"]) == 3
    assert all(sentence in out for sentence in told["baselines"])
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{name}.{kind}"
        for name in ("roc", "runs", "difference-roc-auc", "difference-accuracy")
        for kind in ("png", "svg")
    }
    assert {path.name for path in (folder / "tables").iterdir()} == {
        "tables.md", "tables.tex", "runs.csv", "differences.csv", "tests.csv",
        "disagreements.csv", "head-minus-baseline.csv",
    }  # fmt: skip
    page = Reader((folder / "compare.html").read_text())
    assert not any("http" in value for _, value in page.values)
    text = " ".join(page.words)
    assert MEANING in text
    html = (folder / "compare.html").read_text()
    assert html.index("<figure>") < html.index("<table")
    assert not re.search(r"<table", re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL))
    assert all(sentence in text for sentence in (*told["sentences"], *told["baselines"]))
    assert "A point without a line" not in text  # here all have one


@pytest.mark.slow
def test_two_features_folders_are_trained_and_compared_by_one_command(tmp_path):
    """The mission's comparison: the same head on the features of two backbones."""
    profiles = [dataclasses.replace(FEATURES, backbone=name) for name in ("resnet50", "mobilenetv2")]
    folders = [write_features(tmp_path, pairs(), profile=profile).folder for profile in profiles]
    page = compare(
        CompareConfig(
            runs=tuple(folders), out=tmp_path / "out", resamples=20, head="mean", split="identity"
        )
    )  # fmt: skip
    told = json.loads((page.parent / "comparison.json").read_text())
    assert set(told["models"]) == {"mean-resnet50-identity", "mean-mobilenetv2-identity"}
    assert {run.name for run in (page.parent / "runs").iterdir()} == set(told["models"])  # not where detection looks


def test_a_folder_that_cannot_be_compared_is_found_before_a_head_is_trained(tmp_path):
    features, out = write_features(tmp_path, pairs()).folder, tmp_path / "out"
    empty = create_store(tmp_path / "set", dataclasses.replace(FEATURES, backbone="resnet50")).folder
    for folder, reason in ((empty, "holds no extracted video"), (tmp_path / "absent", "holds no finished run")):
        with pytest.raises(UserError, match=reason):
            compare(CompareConfig(runs=(features, folder), out=out))
        assert not out.exists()


def test_tables_survive_signs_that_mean_something_to_latex_and_markdown():
    table = Table("50 % of A_1 & B", ["a|b", "x"], [["#1 $5", "{~^\\}"], ["<b>", "1"]])
    assert r"50 \% of A\_1 \& B" in latex(table)
    assert r"\#1 \$5 & \{\textasciitilde{}\textasciicircum{}\textbackslash{}\} \\" in latex(table)
    assert r"| a\|b | x |" in markdown(table)
    assert "&lt;b>" in markdown(table)


def test_p_values_are_shown_as_people_read_them():
    assert [p_text(p) for p in (None, 1e-9, 0.0042, 0.049, 1.0)] == ["–", "< 0.0001", "0.0042", "0.05", "1.00"]


def test_what_the_audit_found_stands_beside_the_comparison(tmp_path):
    folders = [write_run(tmp_path / "one", findings=LEAKS, notes=["The curtain moved."]), write_run(tmp_path / "two")]
    told = list(warnings(compared(folders)))
    assert any(text.startswith("one: 3 of 60 test clips show a person who is also in train") for text in told)
    assert "one: The curtain moved." in told


def test_random_weights_and_other_splits_are_told(tmp_path):
    folders = [write_run(tmp_path / name, profile=PROFILE | {"weights": "random-0"}) for name in ("one", "two")]
    audit = json.loads((folders[1] / "audit.json").read_text())
    (folders[1] / "audit.json").write_text(json.dumps(audit | {"split": "identity"}))
    told = " ".join(warnings(compared(folders)))
    assert "The backbone has random weights" in told
    assert "Leak audit: sources unknown; people and identical files were looked for." in told
    assert "split in different ways (identity, official)" in told
