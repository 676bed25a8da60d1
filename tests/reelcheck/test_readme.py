"""The commands that the README begins with, run as they stand there, on each layout that the docs' table names."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from base.files import write_csv
from evaluate.runs_index import find_lines
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.readers.layouts import READERS
from tests import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = "/path/to/Celeb-DF-v2"
PEOPLE = 12

Clips = Mapping[str, tuple[Path, str, str]]
"""A drawn clip's file, the person it shows and, of a fake, whose face it has, by the name of the clip."""


def commands() -> dict[str, str]:
    """The commands below "On your videos" by their verbs, without their comments."""
    section = README.partition("## On your videos")[2].partition("\n**")[0]
    typed = [line.partition("#")[0].strip() for line in section.splitlines() if line.startswith("    make ")]
    return {command.split()[1]: command for command in typed}


def layouts() -> list[str]:
    """The first column of the table of layouts."""
    page = (ROOT / "docs" / "data-sets.md").read_text(encoding="utf-8")
    table = page.partition("## Layouts")[2].partition("\n\n")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`=]+)` \|", table, re.MULTILINE)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "Celeb-DF-v2"
    return draw_dataset(DrawnConfig(folder, people=PEOPLE, clips=1, youtube=0, fakes=PEOPLE))


@pytest.fixture
def clips(drawn: Path) -> Clips:
    found = [(path, *re.findall(r"id(\d+)", path.name)) for path in sorted(drawn.rglob("*.mp4"))]
    return {path.stem: (path, target, donor[0] if donor else "") for path, target, *donor in found}


def copy(clip: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(clip, target)


def celeb_df(clips: Clips, root: Path) -> Path:
    return Path(shutil.copytree(next(iter(clips.values()))[0].parents[1], root / "Celeb-DF-v2"))


def faceforensics(clips: Clips, root: Path) -> Path:
    folder = root / "FaceForensics"
    for clip, target, donor in clips.values():
        tree = f"manipulated_sequences/Deepfakes/c23/videos/{target:0>3}_{donor:0>3}.mp4"
        copy(clip, folder / (tree if donor else f"original_sequences/youtube/c23/videos/{target:0>3}.mp4"))
    pairs = [[f"{person:03}", f"{person + 1:03}"] for person in range(0, PEOPLE, 2)]
    for name, part in {"train": pairs[:3], "val": pairs[3:4], "test": pairs[4:]}.items():
        (folder / f"{name}.json").write_text(json.dumps(part))
    return folder


def placed(clips: Clips, folder: Path, real: str, fake: str) -> Path:
    """Copies `clips` to where `real` and `fake` say, with target and donor in braces."""
    for clip, target, donor in clips.values():
        people = {"target": int(target), "donor": int(donor or 0)}
        copy(clip, folder / (fake if donor else real).format(**people))
    return folder


def faceforensics_copy(clips: Clips, root: Path) -> Path:
    placed(clips, root / "copy" / "c23", "original/{target:03}.mp4", "Deepfakes/{target:03}_{donor:03}.mp4")
    return root / "copy"


def dfd(clips: Clips, root: Path) -> Path:
    fake = "DFD_manipulated_sequences/{target:02}_{donor:02}__walking__ABC.mp4"
    return placed(clips, root / "dfd", "DFD_original sequences/{target:02}__walking.mp4", fake)


def dfdc_preview(clips: Clips, root: Path) -> Path:
    fake = "method_A/{target}/{donor}/{target}_B_000.mp4"
    folder = placed(clips, root / "preview", "original_videos/{target}/{target}_A_000.mp4", fake)
    (folder / "dataset.json").write_text("{}")
    return folder


def fakeavceleb(clips: Clips, root: Path) -> Path:
    fake = "FakeVideo-RealAudio/African/men/id{target:05}/00001_id{donor:05}_faceswap.mp4"
    return placed(clips, root / "av", "RealVideo-RealAudio/African/men/id{target:05}/00001.mp4", fake)


def deeperforensics(clips: Clips, root: Path) -> Path:
    fake = "manipulated_videos/end_to_end/{target:03}_M{donor:03}.mp4"
    return placed(clips, root / "deeper", "source_videos/M{target:03}/M{target:03}_b.mp4", fake)


def dfdc(clips: Clips, root: Path) -> Path:
    folder = root / "dfdc"
    metadata = {}
    for name, (clip, target, donor) in clips.items():
        copy(clip, folder / "dfdc_train_part_0" / f"{name}.mp4")
        original = {"original": f"id{target}_0000.mp4"} if donor else {}
        metadata[f"{name}.mp4"] = {"label": "FAKE" if donor else "REAL", "split": "train", **original}
    (folder / "dfdc_train_part_0" / "metadata.json").write_text(json.dumps(metadata))
    return folder


def folders(clips: Clips, root: Path) -> Path:
    for name, (clip, _, donor) in clips.items():
        copy(clip, root / "mine" / ("fake" if donor else "real") / f"{name}.mp4")
    return root / "mine"


def csv_list(clips: Clips, root: Path) -> Path:
    rows = []
    for name, (clip, target, donor) in clips.items():
        copy(clip, root / "clips" / f"{name}.mp4")
        rows.append([f"clips/{name}.mp4", "fake" if donor else "real", target, donor])
    return write_csv(root / "list.csv", ["path", "label", "target", "donor"], rows)


@dataclass(frozen=True)
class Layout:
    """How to lay drawn clips out on disk, and what `make train` says of the split."""

    lay_out: Callable[[Clips, Path], Path]
    split: str


LAYOUTS = {
    "celeb-df": Layout(celeb_df, "The split is official"),
    "ff++": Layout(faceforensics, "The split is official"),
    "ff++-c23": Layout(faceforensics_copy, "The split is identity"),
    "dfd": Layout(dfd, "The split is identity"),
    "dfdc": Layout(dfdc, "The split is random"),
    "dfdc-preview": Layout(dfdc_preview, "The split is identity"),
    "fakeavceleb": Layout(fakeavceleb, "The split is identity"),
    "deeperforensics": Layout(deeperforensics, "The split is identity"),
    "folders": Layout(folders, "The split is random"),
    "csv": Layout(csv_list, "The split is identity"),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which the Makefile finds the packages that are installed here, and this code."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", ".venv", "base"):  # base/verbs.py has the verbs
        (folder / name).symlink_to(ROOT / name)
    return folder


def typed(command: str, folder: Path, **more: str) -> str:
    """What a shell shows of `command`, which has to succeed."""
    inner = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in inner} | {"PYTHONPATH": str(ROOT)}
    words = [*command.split(), *(f"{name}={value}" for name, value in more.items())]
    ended = subprocess.run(words, check=False, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, f"{' '.join(words)}: {ended.stdout}{ended.stderr}"
    return ended.stdout + ended.stderr


def test_the_readme_names_the_commands_and_every_layout():
    assert list(commands()) == ["quickstart", "detect", "features", "train", "eval"]
    assert layouts() == list(READERS) == list(LAYOUTS)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_commands_lead_from_clips_to_a_verdict(layout, clips, checkout, tmp_path):
    data = LAYOUTS[layout].lay_out(clips, tmp_path)
    features, train, evaluate, detect = (commands()[verb] for verb in ("features", "train", "eval", "detect"))
    # The one thing not as written: the weights of ImageNet would have to be downloaded.
    said = typed(features.replace(EXAMPLE, str(data)), checkout, WEIGHTS="random")
    assert f"{2 * PEOPLE} videos" in said
    assert LAYOUTS[layout].split in typed(train, checkout)
    shown = typed(evaluate, checkout)
    (run,) = find_lines(checkout / "runs")
    assert f"runs/{run.name}/report/report.html" in shown
    assert run.reported
    copy(clips["id0_id1_0000"][0], checkout / "clip.mp4")
    verdict = typed(detect, checkout)
    assert re.search(r"^(Real|Fake|Unsure) .* clip\.mp4", verdict, re.MULTILINE)
    assert f"{run.name}" in verdict
    assert (checkout / "clip.png").stat().st_size > 50_000
