"""What the tests of the page share: the module that needs Gradio, a drawn face, and a browser where there is one."""

import gc
import shutil
import warnings

import pytest

from detect.web.stage import private_folder
from extract.drawn.clip import Scene, draw_clip
from extract.drawn.look import make_look

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session", autouse=True)
def no_loops_left():
    """Collects what the web servers of these tests leave open, before pytest takes it for a leak of its last test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    return draw_clip(tmp_path_factory.mktemp("face") / "face.mp4", Scene(make_look(7, 1), (7,)))


@pytest.fixture(scope="module")
def app():
    """The module that needs Gradio."""
    with private_folder():
        pytest.importorskip("gradio", reason="the page needs the extra web")
        from detect.web import app as web_app

        yield web_app
    gc.collect()  # while the module's warnings are still looked past


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
