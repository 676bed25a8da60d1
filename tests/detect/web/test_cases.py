"""Cases: what is kept of visitors' clips, for how long, and whose turn it is."""

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from detect.detector.judge import JudgeOptions
from detect.detector.verdict import failed
from detect.web import cases as web_cases
from detect.web.cases import Arrival, Case, Cases, Judged, Room
from detect.web.guards.refusals import Refused
from detect.web.guards.uploads import clip_of
from tests.detect.web.serving import files

JUDGED = Judged((failed("x", "unreadable", "x"),))


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    monkeypatch.setattr(web_cases, "LEAST", 1)


def cases(folder: Path, most: int = 100, each: int = 100, waiting: int = 20, waiting_each: int = 20) -> Cases:
    return Cases(folder, Room(most, each, waiting, waiting_each))


def add(where: Cases, arrival: Arrival, size: int = 0, name: str = "clip.mp4") -> Case:
    (arrival.folder / "1").write_bytes(bytes(size))
    return where.add(arrival, *clip_of([(name, arrival.folder / "1")], arrival.folder), JudgeOptions())


async def give(where: Cases, visitor: str = "a", size: int = 1, name: str = "clip.mp4") -> Case:
    with where.arriving(visitor) as arrival:
        arrival.count(size)
        return add(where, arrival, size, name)


async def judge(where: Cases, *given: Case, work: Callable[[Case], Judged] = lambda _: JUDGED) -> None:
    task = asyncio.create_task(where.judge_with(work))
    await asyncio.gather(*(case.ended.wait() for case in given))
    task.cancel()


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs a test in an event loop, as the server has one."""

    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(test(*arguments, **named))  # pyright: ignore[reportArgumentType]

    return run


@in_loop
async def test_a_clip_lies_under_a_name_of_its_own_and_its_folder_goes_with_it(tmp_path):
    where = cases(tmp_path)
    first, second = await give(where, size=5), await give(where)
    assert first.id != second.id
    assert first.clip.read_bytes() == bytes(5)
    where.release(first)
    where.release(first)
    assert [path.name for path in tmp_path.iterdir()] == [second.id]


@in_loop
async def test_what_a_file_is_called_is_shown_and_goes_no_further(tmp_path):
    where = cases(tmp_path)
    for name in ("..;rm -rf.mp4", "<script>.MP4", "a b.exe", "../../x/.mp4", "x" * 300, "\0", "\u202egpj.exe"):
        case = await give(where, name=name)
        assert case.clip.name == ("clip.mp4" if name[-3:] in ("mp4", "MP4") and name[-5:] != "/.mp4" else "clip")
        assert case.clip.parent.parent == tmp_path
        assert len(case.name) <= web_cases.MOST_NAME
        assert case.name.isprintable()


@in_loop
async def test_a_case_is_there_for_its_visitor_alone_and_said_to_be_gone_afterwards(tmp_path):
    where = cases(tmp_path)
    case = await give(where, "a")
    assert where.find(case.id, "a") is case
    for key, visitor, status in ((case.id, "b", 404), ("../x", "a", 404)):
        with pytest.raises(Refused) as refused:
            where.find(key, visitor)
        assert refused.value.status_code == status
    where.release(case)
    with pytest.raises(Refused, match="410"):
        where.find(case.id, "a")


@in_loop
async def test_what_was_judged_is_kept_for_a_while(tmp_path, monkeypatch):
    where = cases(tmp_path)
    judged, waiting = await give(where), await give(where)
    await judge(where, judged)
    assert (judged.state, judged.judged) == ("judged", JUDGED)
    where.sweep()
    assert judged.clip.exists()
    judged.due = 0
    where.sweep()
    assert not judged.clip.exists()
    assert waiting.clip.exists()


@in_loop
async def test_nobodys_second_comes_before_anothers_first(tmp_path):
    where, order = cases(tmp_path), []
    given = [await give(where, visitor) for visitor in "aaabbc"]
    assert [where.ahead(case) for case in given] == [0, 3, 5, 1, 4, 2]
    await judge(where, *given, work=lambda case: order.append(case.visitor) or JUDGED)
    assert order == list("abcaba")


@in_loop
async def test_whoever_was_just_served_waits_for_others_who_come_later(tmp_path):
    where, order, over = cases(tmp_path), [], threading.Event()

    def work(case):
        order.append(case.visitor)
        assert over.wait(10)
        return JUDGED

    given = [await give(where, visitor) for visitor in "aa"]
    task = asyncio.create_task(where.judge_with(work))
    while not order:
        await asyncio.sleep(0.01)
    given.append(await give(where, "b"))
    over.set()
    await asyncio.gather(*(case.ended.wait() for case in given))
    task.cancel()
    assert order == ["a", "b", "a"]


@in_loop
async def test_a_clip_that_is_taken_back_is_not_judged(tmp_path):
    where, order = cases(tmp_path), []
    gone, stays = await give(where), await give(where)
    where.release(gone)
    await judge(where, stays, work=lambda case: order.append(case) or JUDGED)
    assert order == [stays]
    assert gone.ended.is_set()  # who waits for it waits no longer


@in_loop
async def test_a_visitor_has_so_many_places_and_all_have_so_many(tmp_path):
    where = cases(tmp_path, waiting=4, waiting_each=2)
    given = [await give(where, visitor) for visitor in "aab"]
    with pytest.raises(Refused, match="429: Your other clips"):
        await give(where, "a")
    with where.arriving("c") as first, where.arriving("d") as second:  # both may send
        add(where, first)  # and the first to end has the last place
        with pytest.raises(Refused, match="503: Too many clips"):
            add(where, second)
    await judge(where, *given)
    await give(where, "a")


@in_loop
async def test_what_was_judged_makes_room_for_what_is_to_be_judged(tmp_path):
    where = cases(tmp_path, most=8)
    first, second = await give(where, "a", 3), await give(where, "b", 3)
    second.judged = JUDGED
    newest = await give(where, "c", 3)
    assert [one.clip.exists() for one in (first, second, newest)] == [True, False, True]


@in_loop
async def test_a_visitor_who_sends_too_much_loses_their_own_oldest_clip_and_nobody_elses(tmp_path):
    where = cases(tmp_path, most=20, each=8)
    other = await give(where, "b", 3)
    own = [await give(where, "a", 3) for _ in range(3)]
    assert [one.clip.exists() for one in (other, *own)] == [True, False, True, True]
    with where.arriving("a") as arrival:
        arrival.count(6)  # both others are deleted for these
        with pytest.raises(Refused, match="503: There is no room"):
            arrival.count(2)
    assert files(tmp_path) == ["clip.mp4"]
    assert other.clip.exists()
    assert (await give(where, "a", 7)).clip.exists()  # what did not arrive takes no room


@in_loop
async def test_when_the_page_is_full_nobody_who_waits_makes_room(tmp_path):
    where = cases(tmp_path, most=13, each=9)
    for visitor in "aab":
        await give(where, visitor, 3)
    with pytest.raises(Refused, match="503: There is no room"):
        await give(where, "c", 3)
    assert len(files(tmp_path)) == 3


@in_loop
async def test_tiny_clips_count_as_what_their_verdicts_take(tmp_path, monkeypatch):
    monkeypatch.setattr(web_cases, "LEAST", 10)
    where = cases(tmp_path, most=1000, each=100, waiting=10**6, waiting_each=10**6)
    for _ in range(100):
        await give(where)
    assert len(files(tmp_path)) < 10


@in_loop
async def test_an_upload_that_fails_leaves_nothing(tmp_path):
    def fail(arrival: Arrival) -> None:
        (arrival.folder / "1").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"), cases(tmp_path).arriving("a") as arrival:
        fail(arrival)
    assert list(tmp_path.iterdir()) == []
