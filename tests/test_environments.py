"""Whatever a user's environment is, the numbers are the same, or one sentence says why not before any work."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load
from cache.store import open_store
from detect.export.stage import ExportConfig, export
from evaluate.compare.stage import CompareConfig, compare
from evaluate.report import stage as report_stage
from evaluate.studies.protocols import ProtocolsConfig, protocols
from evaluate.studies.published import PublishedConfig, published
from extract.config import ExtractConfig
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.pipeline import extract
from reelcheck.demo import DemoConfig, demo
from tests import ROOT
from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit
from train.runs.predictions import read_predictions
from train.sweep.stage import SweepConfig, sweep

ABSENT = Path("absent")
"""Where a stage's input would be: it says so only when it has come to its work."""
TRAINING: dict[str, Callable[[Path], object]] = {
    "features": lambda to: extract(ExtractConfig(ABSENT, to, show=to / "blends.png")),
    "train": lambda to: fit(FitConfig(features=ABSENT, runs=to)),
    "sweep": lambda to: sweep(SweepConfig(features=ABSENT, sweeps=to)),
    "finetune": lambda to: finetune(FinetuneConfig(run=ABSENT, runs=to)),
    "cnn3d": lambda to: train_cnn3d(Cnn3dConfig(run=ABSENT, runs=to)),
    "protocols": lambda to: protocols(ProtocolsConfig(features=ABSENT, out=to)),
    "published": lambda to: published(PublishedConfig(ABSENT, to)),
    "export": lambda to: export(ExportConfig(run=ABSENT, out=to / "onnx")),
}
COMPARE: Callable[[Path], object] = lambda to: compare(CompareConfig((ABSENT,), out=to))  # noqa: E731


@pytest.mark.parametrize("verb", [*TRAINING, "compare"])
def test_where_a_result_goes_is_asked_before_the_work(verb, tmp_path):
    (tmp_path / "file").touch()
    remedy = {"features": "show", "sweep": "sweeps"}.get(
        verb, "runs" if verb in ("train", "finetune", "cnn3d") else "out"
    )
    sentence = rf"file/?\S* cannot be written \(Not a directory\); choose another --{remedy}\.$"
    with pytest.raises(UserError, match=sentence):
        (TRAINING | {"compare": COMPARE})[verb](tmp_path / "file")


def test_where_a_report_goes_is_asked_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "report").touch()
    monkeypatch.setattr(report_stage, "read_results", lambda run: None)
    monkeypatch.setattr(report_stage, "evaluate_results", lambda *_: pytest.fail("it worked first"))
    with pytest.raises(UserError, match=r"report cannot be written \(Not a directory\); make it writable"):
        report_stage.write_report(report_stage.ReportConfig(run=tmp_path))


@pytest.mark.parametrize("verb", [*TRAINING, "demo"])
def test_a_backend_that_cannot_be_used_is_refused_before_the_work(verb, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    stages = TRAINING | {"demo": lambda to: demo(DemoConfig(to))}
    with pytest.raises(
        UserError, match=r"the Keras backend theano cannot be used here; set KERAS_BACKEND to tensorflow"
    ):
        stages[verb](tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "stage",
    [
        lambda to: extract(ExtractConfig(ABSENT, to, engine="openvino")),
        lambda to: export(ExportConfig(run=ABSENT, out=to)),
    ],
    ids=["features by openvino", "export"],
)
def test_what_takes_networks_of_tensorflow_alone_says_so_before_the_work(stage, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(
        UserError, match=r"the Keras backend jax cannot be used here; set KERAS_BACKEND to tensorflow, or"
    ):
        stage(tmp_path / "out")


# The whole of it as a user runs it, in environments that users have.


@dataclass(frozen=True)
class Environment:
    """What is unlike a plain shell: variables (None unsets one), redirections, and the processors to run on.

    `refused` is the sentence with which features are refused before any work, `says` one that they print and go on.
    """

    variables: dict[str, str | None] = field(default_factory=dict)
    keras_json: dict[str, object] | None = None
    sitecustomize: str = ""
    redirected: str = ""
    processors: int = 0
    refused: str = ""
    says: str = ""


NO_LOCKS = """
import errno, fcntl, os
def flock(*_): raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = flock
"""
NO_JAX = "import sys\nsys.modules['jax'] = None\n"
ENVIRONMENTS = {
    "keras.json: float16": Environment(keras_json={"floatx": "float16", "epsilon": 1e-3}),
    "keras.json: another layout and backend": Environment(
        keras_json={"backend": "jax", "image_data_format": "channels_first"}
    ),
    "KERAS_BACKEND=tensorflow": Environment({"KERAS_BACKEND": "tensorflow"}),
    "KERAS_BACKEND=jax, which is absent": Environment(
        {"KERAS_BACKEND": "jax"}, sitecustomize=NO_JAX, refused="the Keras backend jax is not installed"
    ),
    "KERAS_BACKEND=theano": Environment({"KERAS_BACKEND": "theano"}, refused="the Keras backend theano cannot be used"),
    "MPLBACKEND of a notebook": Environment({"MPLBACKEND": "module://absent_inline.backend_inline"}),
    "MPLBACKEND that is unknown": Environment({"MPLBACKEND": "absent"}),
    "PYTHONSAFEPATH": Environment({"PYTHONSAFEPATH": "1"}),
    "LC_ALL=C": Environment({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
    "no HOME": Environment({"HOME": None}),
    "a HOME that is not there": Environment({"HOME": "/absent"}),
    "one processor": Environment(processors=1),
    "no locks": Environment(sitecustomize=NO_LOCKS, says="is on a file system without locks"),
    "stdout closed": Environment(redirected=">&-"),
    "stderr closed": Environment(redirected="2>&-"),
    "stdout full": Environment(
        redirected=">/dev/full", refused="the output cannot be written (No space left on device)"
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What the four commands wrote: features, probabilities on the clips, ROC AUC, and verdicts by clip."""

    features: np.ndarray
    probabilities: np.ndarray
    roc_auc: float
    verdicts: dict[str, tuple[str, float]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments") / "drawn"
    return draw_dataset(DrawnConfig(folder, people=4, clips=2, youtube=0, fakes=8, workers=1))


def commands(drawn: Path, into: Path) -> dict[str, list[object]]:
    """The words of each command by verb; each reads what the one before it wrote."""
    features = next(into.glob("data/drawn/features-*"), into / "absent")
    run = into / "runs" / "run"
    clips = [str(drawn / name) for name in ("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")]
    return {
        "features": ["--data", drawn, "--out", into / "data", "--backbone", "mobilenetv2", "--weights", "random"],
        "train": ["--features", features, "--runs", run.parent, "--name", run.name, "--epochs", "4"],
        "eval": ["--run", run, "--resamples", "50"],
        "detect": [*clips, "--run", run, "--out", into / "verdicts.csv"],
    }


def command_line(environment: Environment, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The words that start Reelcheck in `environment`, up to the verb, and the variables to start them with."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(environment.sitecustomize)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS_", "PYTHON"))}
    changed = {"PYTHONPATH": f"{folder}:{ROOT}"} | environment.variables
    if environment.keras_json is not None:
        (folder / "keras.json").write_text(json.dumps(environment.keras_json))
        changed["KERAS_HOME"] = str(folder)
    variables = {name: value for name, value in (plain | changed).items() if value is not None}
    return ["sh", "-c", f'"$@" {environment.redirected}', "sh", sys.executable, "-m", "reelcheck"], variables


def bind(processors: int) -> None:
    """Binds this process to so many processors, if any number is given."""
    if processors:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])


def run_all(environment: Environment, drawn: Path, into: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """Runs the four commands in `environment`, from a folder that is not the checkout."""
    words, variables = command_line(environment, into / "environment")
    done = {}
    for verb in commands(drawn, into):
        flags = list(map(str, commands(drawn, into)[verb]))
        done[verb] = subprocess.run(
            [*words, verb, *flags], check=False, cwd=into, env=variables, capture_output=True, text=True,
            preexec_fn=lambda: bind(environment.processors),
        )  # fmt: skip
    return done


def outcome(into: Path) -> Outcome:
    (features,) = into.glob("data/drawn/features-*")
    run = into / "runs" / "run"
    predictions = read_predictions(run / "predictions.csv")
    metrics = json.loads((run / "report" / "metrics.json").read_text())
    with (into / "verdicts.csv").open(newline="") as file:
        verdicts = {row["clip"]: (row["verdict"], float(row["probability"])) for row in csv.DictReader(file)}
    roc_auc = metrics["parts"]["test"]["head"]["scores"]["roc_auc"]["value"]
    return Outcome(load(open_store(features)).arrays, predictions.probabilities, roc_auc, verdicts)


@pytest.fixture(scope="module")
def plain(drawn, tmp_path_factory):
    into = tmp_path_factory.mktemp("plain")
    done = run_all(Environment(), drawn, into)
    assert {verb: one.returncode for verb, one in done.items() if verb != "detect"} == dict.fromkeys(
        ("features", "train", "eval"), 0
    ), done
    return outcome(into), done["detect"].returncode


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_in_any_environment_the_numbers_are_the_same_or_a_sentence_says_why_not(name, drawn, plain, tmp_path):
    environment, (expected, verdict_status) = ENVIRONMENTS[name], plain
    if sys.platform == "darwin" and (environment.processors or "/dev/full" in environment.redirected):
        pytest.skip("macOS binds no process to a processor, and has no disk that is always full")
    done = run_all(environment, drawn, tmp_path)
    statuses = [one.returncode for one in done.values()]
    assert "Traceback" not in "".join(one.stderr for one in done.values())
    if environment.refused:
        assert f"error: {environment.refused}" in done["features"].stderr
        assert statuses[0] == 2
        assert not list(tmp_path.glob("data/drawn/*/shard-*"))
        return
    assert statuses == [0, 0, 0, verdict_status], done
    assert environment.says in done["features"].stdout
    judged = outcome(tmp_path)
    np.testing.assert_allclose(judged.features, expected.features, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(judged.probabilities, expected.probabilities, atol=1e-4)
    assert judged.roc_auc == pytest.approx(expected.roc_auc, abs=1e-6)
    assert judged.verdicts.keys() == expected.verdicts.keys()
    for clip, (verdict, probability) in judged.verdicts.items():
        assert verdict == expected.verdicts[clip][0]
        assert probability == pytest.approx(expected.verdicts[clip][1], abs=1e-4)
