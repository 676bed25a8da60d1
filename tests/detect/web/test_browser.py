"""The page in a browser, as visitors use it."""

import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect.web.service import LOOK_SECONDS
from extract.drawn.clip import Capture, Scene, draw_clip
from extract.drawn.look import make_look
from extract.video.decode import sample_frames
from tests.clips import counting_images, write_clip
from tests.detect.web.serving import CALLED, EXAMPLES, Brightness, detector, files, served, wait_for
from tests.detect.web.test_api import stopped
from train.data.neighbours import Distances

CONTRAST = Path(__file__).with_name("contrast.js").read_text()
CUT_OFF = """() => [...document.querySelectorAll('main *')]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'hidden')
  .map((one) => one.outerHTML.slice(0, 80))"""
PLAYER = "document.querySelector('.timeline video')"
SHOWN = "#verdict article h2"


class Visitor:
    """Somebody with a browser of their own; `asked` is all that it asked for, `errors` what its scripts met."""

    def __init__(self, browser, address: str, **options) -> None:
        self.asked, self.errors = list[str](), list[str]()
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if "Content Security" in line.text else None)
        self.page.goto(address)

    def drop(self, clip) -> None:
        self.page.set_input_files("#file", clip)
        self.page.locator("#judge:not([disabled])").wait_for()

    def judge(self, clip=None) -> str:
        """Has a clip judged; returns what is said of it."""
        if clip is not None:
            self.drop(clip)
        self.page.click("#judge")
        return self.read()

    def read(self) -> str:
        self.page.wait_for_selector(SHOWN, timeout=60_000)
        return re.sub(r"\s+", " ", self.page.locator("#verdict").inner_text())

    def bars(self):
        return self.page.locator(".bars button")

    def is_at(self, seconds: float) -> None:
        self.until(f"{PLAYER}.currentTime >= {seconds} && {PLAYER}.currentTime < {seconds} + 2")

    def until(self, true: str) -> None:
        """Waits until a script's expression is true; the page's policy lets the browser itself wait for none."""
        wait_for(lambda: self.page.evaluate(true), 30)

    def leave(self) -> None:
        """Goes elsewhere, which closes the page as its script hears it."""
        self.page.goto("about:blank")
        self.context.close()


@pytest.fixture
def visit(browser, site):
    """Gives visitors, and makes sure that none was sent elsewhere or left anything behind."""
    address, folder = site
    visitors: list[Visitor] = []

    def come(**options) -> Visitor:
        visitors.append(Visitor(browser, address, **options))
        return visitors[-1]

    yield come
    for one in visitors:
        assert all(url.startswith((f"{address}/", "data:", "blob:")) for url in one.asked if url != "about:blank")
        assert str(folder) not in one.page.locator("body").inner_text()
        assert one.errors == []
        one.leave()
    wait_for(lambda: files(folder) == EXAMPLES)


@pytest.fixture(scope="module")
def long_face(tmp_path_factory):
    return draw_clip(tmp_path_factory.mktemp("long") / "face.mp4", Scene(make_look(7, 1), (7,)), Capture(frames=400))


def test_a_visitor_drops_a_clip_and_reads_a_verdict(visit, face):
    one = visit()
    assert one.page.locator("#judge").is_disabled()
    words = one.judge(face)
    assert re.match(rf"{CALLED} Probability of fake, calibrated \d+ %", words)
    assert one.page.locator(".frames .box").count() == 12
    assert one.page.locator(".frames .picture").first.get_attribute("aria-label") == "Frame 1, 0.08 s: face"
    one.until("[...document.querySelectorAll('.frames:not(.crops) img')].every((i) => i.naturalWidth)")
    assert one.page.locator("#judge").is_disabled()


def test_whatever_comes_next_has_its_own_verdict_and_takes_the_old_one_away_at_once(visit, site, face, picture, empty):
    one, before = visit(), None
    for clip, words in ((face, CALLED), (picture, CALLED), (face, CALLED), (empty, "Undecided")):
        one.drop(clip)
        assert one.page.locator(SHOWN).count() == 0
        assert one.page.locator("#verdict video, #verdict img").count() == 0
        wait_for(lambda: files(site[1]) == EXAMPLES)  # the clip before is gone with its verdict
        read = one.judge()
        assert re.match(words, read)
        assert ("nothing is known of its motion" in read) == (clip == picture)
        assert one.page.locator("#verdict video").count() == (clip != picture)
        key = one.page.locator("article").get_attribute("data-case")
        assert key != before
        before = key


@pytest.mark.slow
def test_what_comes_while_another_is_judged_takes_its_place(visit, site, face, empty, monkeypatch):
    one = visit()
    with stopped(monkeypatch):
        one.drop(face)
        one.page.click("#judge")
        one.page.get_by_text("Finding faces and judging them.").wait_for()
        one.drop(empty)
        one.page.get_by_text("Press Judge, and the verdict will be here.").wait_for()
        wait_for(lambda: files(site[1]) == EXAMPLES)
    assert one.judge().startswith("Undecided")
    time.sleep(2 * LOOK_SECONDS)  # no answer to the first comes late
    assert one.page.locator("article").count() == 1


def test_a_clip_that_is_taken_back_cannot_be_judged(visit, face):
    one = visit()
    one.drop(face)
    one.page.get_by_role("button", name="Remove").click()
    assert one.page.locator("#judge").is_disabled()
    assert one.page.locator("#preview").is_hidden()
    assert one.page.evaluate("document.activeElement.id") == "file"


@pytest.fixture
def frames(face, tmp_path):
    """A folder of numbered pictures, as people have them."""
    (tmp_path / "shots").mkdir()
    for number, image in enumerate(sample_frames(face).images):
        Image.fromarray(image).save(tmp_path / "shots" / f"{number:03}.png")
    return tmp_path / "shots"


def test_a_folder_of_frames_is_a_clip_whether_it_is_chosen_or_its_pictures_are_dropped(visit, frames):
    one = visit()
    one.page.set_input_files("#frames", frames)
    one.page.get_by_text("shots/000.png and 11 more files").wait_for()
    assert re.match(CALLED, one.judge())
    assert one.page.locator(".frames:not(.crops) figure").count() == 12
    assert one.page.locator("#verdict video").count() == 0
    one.page.evaluate(
        """(names) => {
          const given = new DataTransfer();
          for (const name of names) given.items.add(new File(['x'], name, { type: 'image/png' }));
          document.dispatchEvent(new DragEvent('drop', { dataTransfer: given, cancelable: true }));
        }""",
        [path.name for path in sorted(frames.iterdir())],
    )
    one.page.get_by_text("000.png and 11 more files").wait_for()
    assert one.judge().startswith("This file cannot be judged None of the 12 pictures in the folder can be read")


def test_two_clips_stand_side_by_side_and_the_next_takes_the_place_of_the_second(visit, face, picture, empty):
    one = visit()
    one.judge(face)
    one.page.get_by_role("link", name="Compare with another clip").click()
    for clip in (picture, empty):
        one.drop(clip)
        assert one.page.locator("article").count() == 1
        one.page.click("#judge")
        one.page.locator("article").nth(1).locator("h2").wait_for(timeout=60_000)
        assert one.page.locator(".which").all_inner_texts() == [face.name, clip.name]
        boxes = [one.page.locator("article").nth(number).bounding_box() for number in (0, 1)]
        assert boxes[0]["y"] == boxes[1]["y"]


@pytest.mark.slow
def test_a_verdict_is_taken_away_as_a_page_and_as_json(visit, face, tmp_path):
    one = visit()
    one.judge(face)
    for name, words in (("Keep as a page", "Verdict on face.mp4"), ("Keep as JSON", '"clip":"face.mp4"')):
        with one.page.expect_download() as download:
            one.page.get_by_role("link", name=name).click()
        download.value.save_as(tmp_path / "kept")
        assert words in (tmp_path / "kept").read_text()
    assert one.page.locator(SHOWN).count() == 1


def test_what_cannot_be_judged_is_said(visit, empty):
    assert visit().judge(empty).startswith("Undecided A face was found in 0 of 12 frames")
    hostile = {"name": "../../<b>x.mp4", "mimeType": "video/mp4", "buffer": b"no video"}
    other = visit()
    assert other.judge(hostile).startswith("This file cannot be judged The clip cannot be decoded")
    assert other.page.locator("#verdict b").count() == 0


def test_a_file_of_200_mb_is_refused_before_it_is_sent(visit, face, tmp_path):
    one, large = visit(), tmp_path / "large.mp4"
    one.judge(face)
    before = sum("/api/verdicts?" in url for url in one.asked)
    with large.open("wb") as file:
        file.truncate(200 << 20)
    one.page.set_input_files("#file", large)
    one.page.get_by_text("This file is larger than 100 MB.").wait_for()
    assert one.page.locator("#judge").is_disabled()
    assert one.page.locator(SHOWN).count() == 0  # and the old verdict does not stand beside it
    assert sum("/api/verdicts?" in url for url in one.asked) == before == 1


@pytest.mark.slow
def test_a_refusal_of_the_api_is_said_and_can_be_tried_again(browser, face, monkeypatch):
    with served(most_each=1) as (address, _), stopped(monkeypatch):
        one, other = Visitor(browser, address), Visitor(browser, address)
        for each in (one, other):
            each.drop(face)
            each.page.click("#judge")
            each.page.get_by_text("Finding faces" if each is one else "Your other clips are still waiting").wait_for()
        assert other.page.locator("#judge").is_enabled()
        one.leave()
        other.leave()


@pytest.mark.slow
def test_how_far_an_upload_is(visit):
    one = visit()
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    talk = one.context.new_cdp_session(one.page)
    talk.send("Network.enable")
    talk.send("Network.emulateNetworkConditions", slow)
    one.drop({"name": "ä b.mp4", "mimeType": "video/mp4", "buffer": bytes(1 << 20)})
    one.page.click("#judge")
    one.until("((value) => value > 0.2 && value < 0.8)(document.querySelector('progress')?.value)")
    assert one.read().startswith("This file cannot be judged")


def test_the_camera(visit):
    one = visit(permissions=["camera"])
    one.page.get_by_role("button", name="Film with the camera").click()
    one.until("document.querySelector('#preview video')?.videoWidth > 0")
    time.sleep(2)
    one.page.get_by_role("button", name="Stop filming").click()
    one.page.get_by_text("camera.webm").wait_for()
    assert one.judge().startswith("Undecided")
    assert one.page.locator("#film").inner_text() == "Film with the camera"


def test_by_keyboard_alone(visit, long_face):
    one = visit()
    press = one.page.keyboard.press
    for _ in range(9):
        press("Tab")
        if one.page.evaluate("document.activeElement.textContent") == "A drawn face":
            break
    press("Enter")
    one.read()
    one.until(f"{PLAYER}.videoWidth > 0")
    one.bars().first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        press(key)
    one.is_at(float(one.bars().nth(1).get_attribute("data-start")))
    press("Tab")
    assert one.page.evaluate("document.activeElement.closest('.bars')") is None
    press("Shift+Tab")
    assert one.page.evaluate("document.activeElement.tabIndex") == 0
    assert one.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.slow
def test_a_bar_sends_the_player_to_where_its_part_begins(visit, long_face):
    one = visit()
    one.judge(long_face)
    one.until(f"{PLAYER}.videoWidth > 0")
    starts = [float(bar.get_attribute("data-start")) for bar in one.bars().all()]
    assert starts == sorted(set(starts))
    assert len(starts) >= 4
    assert one.page.locator(".bars [aria-current]").count() == 0
    for number in (2, 1):
        one.bars().nth(number).click()
        one.is_at(starts[number])
        assert one.bars().nth(number).get_attribute("aria-current") == "true"
        assert one.page.locator(".bars [aria-current]").count() == 1
    assert not one.page.evaluate(f"{PLAYER}.paused")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("mpeg-2.mpg", "mpeg2video", "yuv420p"), ("xvid.avi", "mpeg4", "yuv420p")],
)
def test_a_clip_that_the_browser_cannot_play_says_so_and_keeps_its_timeline(visit, tmp_path, name, codec, pixels):
    one = visit()
    assert one.judge(write_clip(tmp_path / name, counting_images(250), codec, pixels)).startswith("Undecided")
    one.page.get_by_text("This browser cannot play this kind of clip.").wait_for()
    assert not one.page.locator(".timeline video").is_visible()
    assert one.bars().count() >= 2
    one.bars().first.click(force=True)
    assert one.page.locator(".bars [aria-current]").count() == 0


@pytest.mark.slow
def test_a_clip_that_is_no_longer_kept_says_so(visit, site, face):
    one = visit()
    one.judge(face)
    one.until(f"{PLAYER}.videoWidth > 0")
    (kept,) = (site[1] / "clips").rglob("clip.mp4")
    shutil.rmtree(kept.parent)
    one.page.evaluate(f"{PLAYER}.src += '?again'")  # else the browser has it still
    one.page.get_by_text("This clip is no longer kept, so it cannot be played.").wait_for()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200, 1600])
def test_everything_can_be_read_and_nothing_is_cut_off(visit, face, empty, long_face, width, scheme, tmp_path):
    one = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)

    def is_readable() -> None:
        assert one.page.evaluate(CONTRAST) == []
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width
        assert one.page.evaluate(CUT_OFF) == []

    is_readable()
    one.drop(long_face)
    is_readable()
    one.judge()
    for folded in one.page.locator("#verdict summary").all():
        folded.click()
    is_readable()
    one.page.get_by_role("link", name="Compare with another clip").click()
    one.drop(empty)
    one.page.click("#judge")
    one.page.locator("article").nth(1).locator("h2").wait_for(timeout=60_000)
    is_readable()
    one.page.get_by_role("link", name="For programs").click()
    one.page.get_by_role("heading", name="POST /api/verdicts").wait_for()
    is_readable()


@pytest.fixture
def people(tmp_path):
    """A clip with two people."""
    looks = [draw_clip(tmp_path / f"{k}.mp4", Scene(make_look(k, 1), (k,))) for k in (7, 8)]

    frames = [sample_frames(clip).images for clip in looks]
    return write_clip(tmp_path / "two.mp4", [np.hstack(pair) for pair in zip(*frames, strict=True)])


def test_several_people_have_a_verdict_each(visit, people):
    one = visit()
    words = one.judge(people)
    assert "Person 1: " in words
    assert "Person 2: " in words
    one.page.get_by_text("What the network saw of person 2").click()
    one.until("document.querySelectorAll('details[open] img')[0]?.naturalWidth === 160")


def test_a_clip_unlike_the_training_set_is_said_to_be_so_first(browser, face):
    class Unlike(Brightness):
        def score(self, arrays, regions, masks):
            scores = super().score(arrays, regions, masks)
            one = np.ones(len(arrays))
            far = Distances(2 * one, 2 * one, one < 0, 30, np.zeros((len(arrays), 4, 64)))
            return replace(scores, distances=far)

    judge = detector()
    judge._scorer = Unlike()
    with served(judge) as (address, _):
        one = Visitor(browser, address)
        assert one.judge(face).startswith("Unlike the clips it was trained on")
        one.leave()


def test_a_live_source_is_shown_beside_the_clips_and_may_die(browser, tmp_path, face):
    clip = draw_clip(tmp_path / "secret.mp4", Scene(make_look(7, 1), (7,)), Capture(frames=100))
    with served(live=str(clip)) as (address, _):
        one, other = (Visitor(browser, address, viewport={"width": width, "height": 900}) for width in (1200, 390))
        one.page.get_by_text("Live", exact=True).click()
        shown = one.page.locator("#live img")
        shown.wait_for()
        first = shown.get_attribute("src")
        wait_for(lambda: shown.get_attribute("src") != first)
        one.page.get_by_role("heading", name=re.compile(CALLED)).wait_for(timeout=30_000)
        words = re.sub(r"\s+", " ", one.page.locator(".verdict.moment").inner_text())
        assert re.search(r"calibrated \d+ %.* Coverage \d+ % Lag \d\.\d s Dropped frames \d+", words)
        assert re.match(CALLED, other.judge(face))
        other.page.get_by_text("Live", exact=True).click()
        other.page.locator("#live img").wait_for()
        assert other.page.evaluate("document.documentElement.scrollWidth") <= 390
        other.page.get_by_text("Clips", exact=True).click()
        assert other.page.locator(SHOWN).is_visible()  # it stays beside its clip
        clip.unlink()
        one.page.get_by_role("heading", name="No picture").wait_for(timeout=30_000)
        one.page.get_by_text("Clips", exact=True).click()
        time.sleep(0.5)  # what is under way
        before = len(one.asked)
        time.sleep(0.6)
        assert len(one.asked) == before  # who does not look asks for nothing
        for each in (one, other):
            assert "secret" not in each.page.content()
            assert each.errors == []
            each.leave()
