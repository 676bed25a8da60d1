"""A picture after a clip, a clip after a picture, a second clip: each has its own verdict, beside no other."""

import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from detect.web.texts import STILL_JUDGED
from extract.drawn.clip import Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from extract.video.decode import sample_frames
from tests.detect.web import test_web
from tests.detect.web.test_attacks import Page
from tests.detect.web.test_web import CALLED, READY, Brightness, Visitor, files, served, text, wait_for

pytestmark = test_web.pytestmark
SOMEBODY = "127.0.0.1"
CLIP, PICTURE = 0, 1
"""The two components, as `Page.hold` counts them."""
STILL = "nothing is known of its motion"
NONE_YET = "The verdict will be here."


@pytest.fixture(scope="module")
def site(app):
    with served(app) as found:
        yield found


@pytest.fixture(scope="module")
def page(site):
    address, folder = site
    return Page(int(address.rpartition(":")[2]), os.getpid(), folder, folder / "log")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A clip with a face, the picture of one, and a clip without."""
    folder = tmp_path_factory.mktemp("clips")
    face = draw_clip(folder / "face.mp4", Scene(make_look(7, 1), (7,)))
    Image.fromarray(sample_frames(face).images[0]).save(folder / "face.jpg")
    return face, folder / "face.jpg", draw_empty_clip(folder / "empty.mp4")


class Tab:
    """A tab of a browser, which sends what Gradio's script sends."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name

    def drop(self, clip: Path, component: int) -> str:
        """Has the page hold `clip`; returns what it then says in place of the verdict."""
        status, answer = self.page.hold(SOMEBODY, self.page.send(SOMEBODY, clip), self.name, component)
        assert status == 200, answer
        other = 1 - component
        self.page.hold(SOMEBODY, None, self.name, other)  # it forgets its clip, which its browser tells the page
        return text(" ".join(part for part in json.loads(answer)["data"] if isinstance(part, str)))

    def read(self, component: int) -> str:
        """Has what is held judged; returns the verdict."""
        assert self.page.judge(SOMEBODY, self.name) == 200
        words = text(self.page.read(SOMEBODY, self.name))
        self.page.hold(SOMEBODY, None, self.name, component)
        return words


def test_whatever_comes_next_has_its_own_verdict_and_takes_the_old_one_away_at_once(page, clips):
    face, picture, empty = clips
    tab, before = Tab(page, "next"), files(page.folder)
    turns = ((face, CLIP, CALLED), (picture, PICTURE, STILL), (empty, CLIP, "Undecided"))
    for clip, component, words in turns:
        assert NONE_YET in tab.drop(clip, component)
        assert len(files(page.folder)) == len(before) + 1  # the clip before is gone with its verdict
        verdict = tab.read(component)
        assert re.search(words, verdict)
        assert (STILL in verdict) == (component == PICTURE)
    page.leave(SOMEBODY, tab.name)
    wait_for(lambda: files(page.folder) == before)


def test_after_a_clip_was_let_go_no_other_address_is_taken(page, clips, monkeypatch):
    fetched: list[str] = []

    async def fetch(address: str, **_: object) -> str:
        fetched.append(address)
        return str(clips[0])

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetch)
    for component in (CLIP, PICTURE):
        page.hold(SOMEBODY, None, "address", 1 - component)
        for path in ("https://192.0.2.1/face.mp4", "/etc/passwd", str(page.folder)):
            status, answer = page.hold(SOMEBODY, path, "address", component)
            assert (status, json.loads(answer)) == (404, {"error": "This clip is no longer here; drop it again."})
    assert fetched == []


def test_a_picture_is_not_decoded_in_the_process_of_the_page(page, clips, tmp_path, monkeypatch):
    def decode(*_: object) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr("PIL.Image.open", decode)
    tab, before = Tab(page, "undecoded"), files(page.folder)
    for _ in range(2):
        tab.drop(clips[1], PICTURE)
    page.leave(SOMEBODY, tab.name)
    wait_for(lambda: files(page.folder) == before)


@dataclass
class Pause:
    """What holds up the network: `begun` is set once it runs, and it goes on once `over` is."""

    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def pause(monkeypatch) -> Iterator[Pause]:
    found, judge = Pause(), Brightness.score

    def score(self, *arrays):
        found.begun.set()
        assert found.over.wait(60)
        return judge(self, *arrays)

    monkeypatch.setattr(Brightness, "score", score)
    yield found
    found.over.set()


def test_what_comes_while_another_is_judged_is_refused_in_a_sentence_and_deletes_nothing(page, clips, pause):
    face, picture, _ = clips
    tab, before = Tab(page, "while"), files(page.folder)
    tab.drop(face, CLIP)
    assert page.judge(SOMEBODY, tab.name) == 200
    assert pause.begun.wait(60)
    assert STILL_JUDGED in tab.drop(picture, PICTURE)
    assert page.call(SOMEBODY, "run/predict", page.functions(SOMEBODY, "clear")[CLIP], tab.name)[0] == 200
    assert len(files(page.folder)) == len(before) + 2
    pause.over.set()
    assert re.search(CALLED, text(page.read(SOMEBODY, tab.name)))
    page.leave(SOMEBODY, tab.name)
    wait_for(lambda: files(page.folder) == before)


def test_the_page_ends_after_the_batch_that_is_under_way_and_begins_no_other(app, clips, pause):
    with served(app) as (address, folder):
        one = Page(int(address.rpartition(":")[2]), os.getpid(), folder, folder / "log")
        assert one.join(SOMEBODY, one.send(SOMEBODY, clips[0]), "last") == 200
        assert pause.begun.wait(60)
        pause.begun.clear()
        threading.Timer(1, pause.over.set).start()
    assert pause.over.is_set(), "it ended in the middle of a batch"
    assert not pause.begun.wait(0.5), "it began another"


@pytest.fixture
def visitor(browser, site):
    one = Visitor(browser, site[0], viewport={"width": 1200, "height": 900})
    yield one
    one.context.close()


def drop(one: Visitor, clip: Path) -> None:
    """Drops a clip or a picture, each in its tab."""
    is_picture = clip.suffix == ".jpg"
    one.page.get_by_role("tab", name="A picture" if is_picture else "A clip").click()
    kind = "image" if is_picture else "video"
    one.page.locator(f"input[type=file][accept^={kind}]").set_input_files(clip)
    one.page.locator(READY).wait_for()


def test_in_a_browser_each_upload_has_its_own_verdict(visitor, clips):
    face, picture, empty = clips
    for clip, words in ((face, CALLED), (picture, CALLED), (empty, "Undecided"), (face, CALLED)):
        drop(visitor, clip)
        visitor.page.locator("#verdict").get_by_text(NONE_YET).wait_for()
        assert visitor.page.locator("#verdict h2").count() == 0
        visitor.judge()
        assert re.match(words, visitor.read())
        assert (STILL in visitor.read()) == (clip == picture)
        assert visitor.page.locator("#verdict video").count() == (clip != picture)


def test_a_clip_that_is_taken_back_cannot_be_judged_and_is_deleted(visitor, site, clips):
    before = files(site[1])
    for clip in clips[:2]:
        drop(visitor, clip)
        assert len(files(site[1])) == len(before) + 1
        visitor.page.get_by_role("button", name=re.compile("clear|remove", re.IGNORECASE)).click()
        visitor.page.locator(test_web.NOT_READY).wait_for()
        wait_for(lambda: files(site[1]) == before)
