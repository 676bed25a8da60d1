"""The page in a browser, as a visitor uses it: the clip plays beside its timeline, and goes when the visitor does."""

from pathlib import Path

import pytest

from extract.drawn.clip import Capture, Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from tests.clips import counting_images, write_clip
from tests.detect.web import test_web
from tests.detect.web.test_web import Visitor, files, served, wait_for

pytestmark = [pytest.mark.slow, *test_web.pytestmark]
STATUS = "async (clip) => (await fetch(clip, {method: 'HEAD', cache: 'no-store'})).status"
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
CUT_OFF = """() => [...document.querySelectorAll('#verdict *, header *')]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'hidden')
  .map((one) => one.outerHTML.slice(0, 80))"""
PLAYER = "document.querySelector('.timeline video')"


@pytest.fixture(scope="module")
def long_face(tmp_path_factory):
    return draw_clip(tmp_path_factory.mktemp("long") / "face.mp4", Scene(make_look(7, 1), (7,)), Capture(frames=400))


@pytest.fixture(scope="module")
def site(app):
    with served(app) as found:
        yield found


@pytest.fixture
def visitor(browser, site):
    """Somebody whose browser asks nobody but the page, and who leaves nothing behind."""
    address, folder = site
    before, errors = files(folder), list[str]()
    one = Visitor(browser, address, viewport={"width": 1200, "height": 900})
    one.page.on("pageerror", lambda error: errors.append(str(error)))
    yield one
    # Gradio would compute an upload's checksum in a script that the policy keeps out, and does without.
    assert [error for error in errors if "imported module: blob:" not in error] == []
    assert all(url.startswith((f"{address}/", "data:", "blob:")) for url in one.asked)
    one.context.close()
    wait_for(lambda: files(folder) == before)


def bars(one: Visitor):
    return one.page.locator(".bars button")


def is_at(one: Visitor, seconds: float) -> None:
    one.page.wait_for_function(f"{PLAYER}.currentTime >= {seconds} && {PLAYER}.currentTime < {seconds} + 2")


def test_a_bar_sends_the_player_to_where_its_part_begins(visitor, long_face):
    visitor.drop(long_face)
    visitor.judge()
    assert "Too close to call" in visitor.read()
    visitor.page.wait_for_function(f"{PLAYER}.videoWidth > 0")
    starts = [float(bar.get_attribute("data-start")) for bar in bars(visitor).all()]
    assert starts == sorted(set(starts))
    assert len(starts) >= 4
    assert visitor.page.locator(".bars [aria-current]").count() == 0
    bars(visitor).nth(2).click()
    is_at(visitor, starts[2])
    assert not visitor.page.evaluate(f"{PLAYER}.paused")
    assert bars(visitor).nth(2).get_attribute("aria-current") == "true"
    assert visitor.page.locator(".bars [aria-current]").count() == 1
    bars(visitor).nth(1).click()
    is_at(visitor, starts[1])
    assert bars(visitor).nth(1).get_attribute("aria-current") == "true"


def test_the_timeline_is_one_stop_of_the_keyboard_and_arrows_go_along_it(visitor, long_face):
    visitor.drop(long_face)
    visitor.judge()
    visitor.read()
    visitor.page.wait_for_function(f"{PLAYER}.videoWidth > 0")
    bars(visitor).first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        visitor.page.keyboard.press(key)
    visitor.page.keyboard.press("Enter")
    is_at(visitor, float(bars(visitor).nth(2).get_attribute("data-start")))
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.closest('.bars')") is None
    visitor.page.keyboard.press("Shift+Tab")
    assert visitor.page.evaluate("document.activeElement.tabIndex") == 0
    assert visitor.page.locator(".bars button:focus").get_attribute("aria-label").startswith("5.")


def test_a_second_clip_takes_the_place_of_the_first_and_of_its_verdict_at_once(visitor, site, long_face, tmp_path):
    _, folder = site
    before = files(folder)
    visitor.drop(long_face)
    visitor.judge()
    visitor.read()
    first = visitor.page.evaluate(f"{PLAYER}.src")
    assert files(folder) == sorted([*before, "clip.mp4"])
    visitor.drop(draw_empty_clip(tmp_path / "empty.mp4"))
    visitor.page.locator(test_web.READY).wait_for()
    assert visitor.page.locator("#verdict h2").count() == 0
    assert visitor.page.evaluate(STATUS, first) == 404
    visitor.judge()
    visitor.page.get_by_role("heading", name="Undecided").wait_for(timeout=60_000)
    assert visitor.page.evaluate(f"{PLAYER}.src") != first
    assert files(folder) == sorted([*before, "clip.mp4"])


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("mpeg-2.mpg", "mpeg2video", "yuv420p"),
        ("ten-bit.mp4", "libx265", "yuv420p10le"),
        ("xvid.avi", "mpeg4", "yuv420p"),
    ],
)
def test_a_clip_that_the_browser_cannot_play_says_so_and_keeps_its_timeline(visitor, tmp_path, name, codec, pixels):
    visitor.drop(write_clip(tmp_path / name, counting_images(250), codec, pixels))
    visitor.judge()
    assert "Undecided" in visitor.read()
    visitor.page.get_by_text("This browser cannot play this kind of clip.").wait_for()
    assert not visitor.page.locator(".timeline video").is_visible()
    assert bars(visitor).count() >= 2
    bars(visitor).first.click(force=True)
    assert visitor.page.locator(".bars [aria-current]").count() == 0


def test_a_clip_that_is_no_longer_kept_says_so(visitor, site, face):
    visitor.drop(face)
    visitor.judge()
    visitor.read()
    visitor.page.wait_for_function(f"{PLAYER}.videoWidth > 0")
    (kept,) = (path for path in site[1].rglob("clip.mp4") if path.parent.name != "examples")
    kept.unlink()
    visitor.page.evaluate(f"{PLAYER}.src += '?again'")  # else the browser has it still
    visitor.page.get_by_text("This clip is no longer kept, so it cannot be played.").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200, 1600])
def test_everything_can_be_read_and_nothing_is_cut_off(browser, site, long_face, width, scheme):
    one = Visitor(browser, site[0], viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert one.page.evaluate(CONTRAST) == []
    one.drop(long_face)
    one.page.locator(test_web.READY).wait_for()
    assert one.page.evaluate(CONTRAST) == []
    one.judge()
    one.read()
    for folded in one.page.locator("#verdict summary").all():
        folded.click()
    assert one.page.evaluate(CONTRAST) == []
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    assert one.page.evaluate(CUT_OFF) == []
    one.context.close()


def test_the_ring_of_an_upload_fills(visitor):
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    talk = visitor.context.new_cdp_session(visitor.page)
    talk.send("Network.enable")
    talk.send("Network.emulateNetworkConditions", slow)
    visitor.drop({"name": "ä b.mp4", "mimeType": "video/mp4", "buffer": bytes(1 << 20)})
    width = "parseFloat(document.documentElement.style.getPropertyValue('--upload-progress-width'))"
    visitor.page.wait_for_function(f"{width} > 20 && {width} < 80", polling=50)
    visitor.page.locator(test_web.READY).wait_for()
