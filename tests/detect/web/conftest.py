"""What the tests of the page share: what the page needs, drawn faces, and a browser where there is one."""

import gc
import shutil
import warnings
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the page needs the extra web")

from detect.web import app
from detect.web.service import draw_examples
from extract.drawn.clip import Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from extract.video.decode import sample_frames
from tests.detect.web.serving import served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session", autouse=True)
def no_loops_left():
    """Collects what the web servers of these tests leave open, before pytest takes it for a leak of its last test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session", autouse=True)
def drawn_once(tmp_path_factory):
    """Draws the examples of all pages once."""
    drawn = draw_examples(tmp_path_factory.mktemp("examples"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "draw_examples", lambda to: [(name, Path(shutil.copy(clip, to))) for name, clip in drawn])
        yield


@pytest.fixture(scope="session")
def face(tmp_path_factory):
    return draw_clip(tmp_path_factory.mktemp("face") / "face.mp4", Scene(make_look(7, 1), (7,)))


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    return draw_empty_clip(tmp_path_factory.mktemp("empty") / "empty.mp4")


@pytest.fixture(scope="session")
def picture(face, tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "face.jpg"
    Image.fromarray(sample_frames(face).images[0]).save(path)
    return path


@pytest.fixture(scope="module")
def site():
    """The address of a page, and the folder with its files."""
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="the page is tried in a browser where playwright is")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed to try the page in")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
        yield found
        found.close()
