"""The wheel: installed, it is `reelcheck` and nothing else, and the whole pipeline runs from any folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

from extract.drawn.dataset import DrawnConfig, draw_dataset
from tests import ROOT

STAND_IN = "evaluate/__init__.py"
"""A package of the name that one of ours has, as Hugging Face's `evaluate` is."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of a fresh environment with the wheel, beside somebody else's `evaluate`."""
    folder = tmp_path_factory.mktemp("environment")
    # Building leaves files behind, which a later build would pack.
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, folder / "source"],
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    # The dependencies are those that the tests run with; their .pth files, and so an editable install, are left out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (site / "evaluate").mkdir()
    (site / STAND_IN).write_text("MINE = True\n")
    command = [sys.executable, "-m", "pip", "--quiet", "--python", folder / "venv" / "bin" / "python"]
    subprocess.run([*command, "install", "--no-deps", wheel], check=True)
    return site


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with drawn clips, and with a script called like one of ours."""
    folder = tmp_path_factory.mktemp("elsewhere")
    draw_dataset(DrawnConfig(folder / "drawn", people=6, clips=1, youtube=0, fakes=6))
    (folder / "train.py").write_text("raise SystemExit('the wrong train')\n")
    return folder


def run(site: Path, work: Path, *words: str, fine: Sequence[int] = (0,)) -> str:
    """What the installed command prints, run in `work`."""
    command = site.parents[2] / "bin" / "reelcheck"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(command), *words], check=False, cwd=work, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode in fine, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
def test_site_packages_get_reelcheck_alone(site):
    new = {path.name.partition("-")[0] for path in site.iterdir()}
    assert new - {"__pycache__"} == {"reelcheck", "evaluate", "dependencies.pth"}
    assert (site / STAND_IN).read_text() == "MINE = True\n"


@pytest.mark.slow
def test_no_module_of_the_wheel_looks_for_a_stage_at_the_top(site):
    stages = ("base", "cache", "extract", "train", "evaluate", "detect")
    modules = list((site / "reelcheck").rglob("*.py"))
    assert len(modules) > 100
    for module in modules:
        text = module.read_text(encoding="utf-8")
        assert not [line for line in text.splitlines() if line.strip().startswith(tuple(f"from {s}." for s in stages))]


@pytest.mark.slow
def test_the_pipeline_runs_from_another_folder(site, work):
    assert "features" in run(site, work, "--help")
    small = ["--data", "drawn", "--backbone", "mobilenetv2", "--weights", "random"]
    spawned = run(site, work, "features", *small, "--workers", "2", "--out", "spawned").splitlines()[-1]
    loky = run(site, work, "features", *small, "--backend", "loky", "--workers", "2", "--out", "loky").splitlines()[-1]
    assert Path(spawned).name == Path(loky).name
    trained = run(site, work, "train", "--features", spawned, "--split", "random", "--epochs", "3").splitlines()[-1]
    assert "report.html" in run(site, work, "eval", "--run", trained, "--resamples", "50")
    clip = next((work / "drawn" / "Celeb-real").iterdir())
    verdict = json.loads(run(site, work, "detect", str(clip), "--run", trained, "--json", fine=(0, 1)))
    assert verdict["verdict"] in ("Real", "Fake", "Unsure")
    assert verdict["probability"] is not None


@pytest.mark.slow
def test_the_api_leaves_other_packages_of_these_names_alone(site, work):
    program = (
        "import sys; sys.path.remove('') if '' in sys.path else None\n"
        "import reelcheck, evaluate; reelcheck.extract; reelcheck.load_detector\n"
        "assert evaluate.MINE and 'train' not in sys.modules and 'cache' not in sys.modules, sorted(sys.modules)\n"
        "print(reelcheck.extract.__module__, reelcheck.__file__)\n"
    )
    python = site.parents[2] / "bin" / "python"
    done = subprocess.run([python, "-c", program], check=True, cwd=work.parent, capture_output=True, text=True)
    assert str(site) in done.stdout
