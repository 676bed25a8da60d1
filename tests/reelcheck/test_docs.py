"""README and docs: short, whole, and without a link, a verb or a flag that leads nowhere."""

import importlib.util
import itertools
import re
import shlex
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from base.command_line.doors import load
from base.command_line.parse import parse_flags
from base.verbs import VERBS
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.video.decode import play
from reelcheck import under_make
from reelcheck.cli import dispatch, require_verb
from tests import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(text(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_the_readme_is_read_to_its_end_and_names_every_page():
    readme = text(ROOT / "README.md")
    assert len(readme.splitlines()) <= 130
    assert {page.name for page in PAGES[2:]} <= {Path(link).name for link in LINK.findall(readme)}


TYPED = re.compile(r"^    ((?:make|reelcheck|python -m) .+)$|`((?:make|reelcheck|python -m) [^`\n]+)`", re.MULTILINE)
PLACEHOLDERS = ("VERB", "COMMAND", "PACKAGE", "--flags")


def typed(page: Path) -> list[list[str]]:
    """The commands that a page shows, in words, without those that stand for many."""
    found = [shlex.split("".join(match), comments=True) for match in TYPED.findall(text(page))]
    return [words for words in found if len(words) > 1 and not set(words) & set(PLACEHOLDERS)]


def words_of(command: list[str]) -> list[str]:
    """The words of `reelcheck` that a command of make or of reelcheck itself amounts to."""
    program, verb, *rest = command
    if program == "reelcheck":
        return [verb, *rest]
    return under_make.words(verb, dict(word.split("=", 1) for word in rest))


def is_of_make_alone(command: list[str]) -> bool:
    """Whether the Makefile has a recipe for it; a verb may have a rule there too, of what it needs."""
    rule = re.search(rf"^{command[1]}:", text(ROOT / "Makefile"), re.MULTILINE)
    return command[0] == "make" and command[1] not in VERBS and rule is not None


def write_settings() -> None:
    """Writes the file of settings that the page on training shows."""
    (settings,) = re.findall(r"```toml\n(.+?)```", text(ROOT / "docs/training.md"), re.DOTALL)
    Path("run.toml").write_text(settings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_typed(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_settings()
    for command in typed(page):
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(command[2]), command
        elif command[1].startswith("-") or is_of_make_alone(command) or set(command) == {"make", command[1]}:
            assert command[1] in {*VERBS, "--help", "--version"} or is_of_make_alone(command), command
        else:
            verb, *rest = words_of(command)
            require_verb(verb)
            if VERBS[verb].config:
                try:
                    parse_flags(verb, "", load(VERBS[verb].config), rest)
                except SystemExit:  # --help
                    assert "--help" in rest


SET = "Celeb-DF-v2"
PLACES = {
    "OTHERS=...": "OTHERS=data/ff++/features-resnet50-*",
    "/path/to/": "",
    "/mnt/shared/": "",
    "=...": f"={SET}",
    "=folder": f"={SET}",
}
QUICK: dict[str, list[str]] = {
    "features": ["--weights", "random"],
    "quickstart": ["--weights", "random"],
    "published": ["--weights", "random", "--backbones", "mobilenetv2", "--epochs", "1"],
    "train": ["--epochs", "2"],
    "sweep": ["--epochs", "2", "--trials", "4"],
    "finetune": ["--epochs", "1", "--warmup-epochs", "0"],
    "cnn3d": ["--epochs", "1", "--warmup-epochs", "0", "--width", "2"],
    "protocols": ["--head", "mean", "--resamples", "50"],
    "crossval": ["--epochs", "2"],
}
"""What makes a command short enough for a test, and lets it do without weights from the network."""
NOT_HERE = ("web", "BACKEND=ray", "SOURCE=0", "rtsp:", "demo", "draw")
"""Commands that serve or watch, need a cluster or a camera, or are tried elsewhere."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder in which the commands find what they name: a data set, clips, and runs."""
    monkeypatch.chdir(tmp_path)
    draw_dataset(DrawnConfig(out=Path(SET), people=8, clips=1, fakes=8))
    clip = min(Path(SET, "Celeb-real").glob("*.mp4"))
    for name in ("clip.mp4", "more/one.mp4", "old/two.avi"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(clip, name)
    picture = next(frame() for _, frame in play(clip))
    Image.fromarray(picture).save("face.jpg")
    grey = Image.fromarray(np.full((90, 90, 3), 99, np.uint8))
    for clip, number in itertools.product(("real/a", "fake/b"), range(3)):
        Path("frames", clip).mkdir(parents=True, exist_ok=True)
        grey.save(f"frames/{clip}/{number:03}.png")
    others = draw_dataset(DrawnConfig(out=Path("others"), people=20, clips=1, fakes=1, seed=1))
    Path(others, "Celeb-real").rename("clips-known-to-be-real")
    write_outsiders(Path(SET))
    rows = [f"{path},{int('synthesis' in path.parent.name)}" for path in sorted(Path(SET).glob("*/*.mp4"))]
    Path("mine.csv").write_text("\n".join(["path,label", *rows]))
    write_settings()
    return tmp_path


def write_outsiders(data: Path) -> None:
    """Writes what other programs made of the data set: scores of its clips, and features."""
    ids = [f"{path.parent.name}/{path.name}" for path in sorted(data.glob("*/*.mp4"))]
    scores = (f"{name},0.{number % 10}\n" for number, name in enumerate(ids))
    Path("scores.csv").write_text("id,probability\n" + "".join(scores))
    labels = np.array([int("synthesis" in name) for name in ids])
    values = np.random.default_rng(0).normal(0, 1, (len(ids), 9)).astype(np.float32)  # equal ones were one clip
    np.savez("clips.npz", features=values, id=np.array(ids), label=labels)


def made_before(command: list[str]) -> None:
    """Makes the runs and data sets that a command names and that no command of the pages makes."""
    for name in re.findall(r"data/([^/]+)/features-", " ".join(command)):
        if not Path("data", name).exists():
            shutil.copytree(Path("data", SET), Path("data", name))
    for name in re.findall(r"runs/([\w-]+)", " ".join(command)):
        if not Path("runs", name).exists():
            features = min(Path("data", SET).glob("features-*"))  # the latest may be those of another program
            assert dispatch(["train", "--features", str(features), "--name", name, "--epochs", "2"]) == 0


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_every_command_works_as_written(home):
    """One page after another, as a reader types them: the first ones make what the later ones use."""
    order = ("README.md", "features.md", "training.md")
    pages = sorted(PAGES, key=lambda page: (order.index(page.name) if page.name in order else len(order), page.name))
    # It imports another program's features, which are then the latest, and others cannot be crossed with them.
    pages.sort(key=lambda page: page.name == "data-sets.md")
    done: list[list[str]] = []
    for command in (command for page in pages for command in typed(page)):
        elsewhere = command[0] == "python" or "--help" in command or is_of_make_alone(command)
        # A verb that cannot do without its variable is named there, not typed.
        elsewhere |= len(command) == 2 and command[1] in VERBS and bool(VERBS[command[1]].needs)
        if elsewhere or any(word in " ".join(command) for word in NOT_HERE):
            continue
        for place, here in PLACES.items():
            command = [word.replace(place, here) for word in command]
        if command in done:
            continue
        made_before(command)
        verb, *rest = words_of(command)
        if verb == "cache":
            found = [match for word in rest for match in (map(str, Path().glob(word)) if "*" in word else [word])]
            rest = found[:2] if found != rest else rest
        print("$", *command, flush=True)
        assert dispatch([verb, *QUICK.get(verb, []), *rest]) in (0, 1), command
        done.append(command)
    assert len(done) > 25


def test_the_slow_tests_of_every_folder_are_run_by_a_workflow():
    rooms = re.search(r"room: \[(.+)\]", text(ROOT / ".github/workflows/slow.yml"))
    assert rooms is not None
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert set(rooms[1].split(", ")) == folders | {"whole"}
