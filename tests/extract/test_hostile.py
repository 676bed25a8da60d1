"""Hostile files: each costs its own row, with a named outcome and one sentence, and leaves nothing behind."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest

from base.ending import run
from base.errors import UserError
from base.text import printable
from cache.contents import load
from cache.profile import CropProfile
from cache.schema import CROP_SIZE, FRAMES, FrameStatus
from cache.store import open_store
from extract import unit
from extract.__main__ import main as extract_command
from extract.clips.crops import CroppedClip, crop_clip
from extract.readers.layouts import read_dataset
from extract.video.containers import ClipError, Limits
from extract.video.decode import sample_frames
from extract.worker_pool import map_clips
from tests import ROOT
from tests.clips import counting_images, write_clip
from tests.fakes import FakeEngine
from tests.hostile import COUNT, crop_or_misbehave, make_corpus

OUTCOMES = {"missing", "empty", "no_video", "no_decoder", "unreadable", "no_frames", "too_large", "too_long", "timeout",
            "crashed", "out_of_memory"}  # fmt: skip
UNCUT = CropProfile(detector="none")
LIMITS = Limits(seconds=20)

Found = dict[str, CroppedClip | ClipError]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> list[Path]:
    return make_corpus(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def found(corpus) -> Found:
    return crop_all(corpus)


def crop_all(paths: Sequence[Path], profile: CropProfile = UNCUT, limits: Limits = LIMITS) -> Found:
    tasks = ((path.name, (path, profile, limits)) for path in paths)
    return dict(map_clips(crop_clip, tasks, workers=2, seconds=limits.seconds))


def outcome(result: CroppedClip | ClipError) -> str:
    return result.outcome if isinstance(result, ClipError) else "ok"


def check(name: str, result: CroppedClip | ClipError) -> None:
    """Asserts that a clip ended in crops of the right shape, or in a known outcome and one sentence."""
    if isinstance(result, ClipError):
        assert result.outcome in OUTCOMES, name
        assert printable(result.reason) == result.reason, name
        assert not re.search(r"(^|\W)/|Traceback", result.reason), result.reason
        return
    shown = int((result.seen.status != FrameStatus.PAD).sum())
    assert result.crops.shape == (FRAMES, CROP_SIZE, CROP_SIZE, 3), name
    assert (result.crops.dtype, result.seen.status.dtype, result.seen.boxes.dtype) == (np.uint8, np.uint8, np.int32), (
        name
    )
    assert 1 <= shown <= FRAMES, name
    assert not result.crops[shown:].any(), name
    assert np.isfinite(result.seen.times[:shown]).all(), name
    assert np.isnan(result.seen.times[shown:]).all(), name


def workers() -> list[psutil.Process]:
    """The worker processes of this one that are alive."""
    alive = psutil.Process().children(recursive=True)
    return [child for child in alive if "spawn_main" in " ".join(child.cmdline())]


def test_every_file_ends_as_crops_or_as_a_named_failure(corpus, found):
    assert len(corpus) >= 300
    assert set(found) == {path.name for path in corpus}
    for name, result in found.items():
        check(name, result)
    assert {outcome(result) for result in found.values()} >= {"ok", "unreadable", "no_video", "no_frames", "too_large"}


def test_faces_are_looked_for_in_whatever_could_be_decoded(corpus, found):
    some = [path for path in corpus if outcome(found[path.name]) == "ok"][::6]
    for name, result in crop_all(some, CropProfile()).items():
        check(name, result)
        assert isinstance(result, CroppedClip), name


def test_nothing_is_left_of_a_run(corpus, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    crop_all(corpus[:2])
    files = psutil.Process().num_fds()
    crop_all(corpus[::5])
    assert psutil.Process().num_fds() <= files
    assert not workers()
    assert list(tmp_path.iterdir()) == []


EXPECTED = {
    "missing": ["pipe.mp4", "folder.mp4", "loop.mp4", "loop back.mp4", "dangling.mp4", "endless.mp4"],
    "empty": ["empty.mp4"],
    "no_video": ["sound only.mp4", "sound only.mkv"],
    "no_decoder": ["an unknown codec.mp4"],
    "too_large": ["16k really.mov", "16k later.mov", "16k in the header.gif"],
    "unreadable": ["zeros.mp4", "ones.mp4", "one byte.mp4", "random.mp4", "text.mp4", "json.mp4", "html.mp4", "zip.mp4",
                   "shard.mp4", "picture.mp4", "subtitles.mp4"],
    "ok": ["ten bits.mp4", "hevc.mp4", "hevc ten bits.mkv", "av1.mp4", "grey.mp4", "rgb.mp4", "alpha.mov", "alpha.webm",
           "raw.avi", "whole.gif", "whole.avi", "whole.webm", "really mp4.avi", "really gif.mp4", "link.mp4",
           "no times.avi", "no times.h264", "times backwards.flv", "times below zero.flv", "variable rate.mkv",
           "1x1.gif", "33x17.mov", "15x1.mov", "1x15.gif", "size changes.ts", "turned into nothing.mp4", "doubled.mp4"],
}  # fmt: skip


@pytest.mark.parametrize("expected", EXPECTED)
def test_what_is_known_to_be_wrong_is_named(found, expected):
    assert {name: outcome(found[name]) for name in EXPECTED[expected]} == dict.fromkeys(EXPECTED[expected], expected)


def test_whole_clips_give_all_their_frames(found):
    short = {"one frame.mp4": 1, "one frame.gif": 1}
    whole = ["whole.mp4", "whole.mkv", "whole.ts", "no times.mjpeg", "cover first.mp4", "cover.mp4", "late start.mp4"]
    for name, count in {**short, **dict.fromkeys(whole, FRAMES)}.items():
        assert (found[name].seen.status != FrameStatus.PAD).sum() == count, name


def test_a_file_that_may_not_be_read_is_a_failure(corpus, found):
    if os.access(corpus[0].with_name("locked.mp4"), os.R_OK):
        pytest.skip("root may read a file of mode 000")
    assert found["locked.mp4"].outcome == "unreadable"
    assert "Permission denied" in found["locked.mp4"].reason


def test_names_are_only_names(corpus, found):
    named = [path.name for path in corpus if "concat:" in path.name or "unicode.mp4" in path.name]
    assert {outcome(found[name]) for name in [*named, "--help.mp4", "$(reboot).mp4", "new\nline.mp4"]} == {"ok"}


def test_a_list_of_other_files_is_not_followed(corpus, found):
    lists = [path.name for path in corpus if path.name.startswith("list ")]
    assert len(lists) >= 30
    assert {outcome(found[name]) for name in lists} <= {"unreadable", "no_video"}


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile {}\n"])
def test_no_address_in_a_file_is_asked_for_anything(tmp_path, text):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        path = tmp_path / "clip.m3u8"
        path.write_text(text.format(f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"))
        with pytest.raises(ClipError, match="unreadable"):
            sample_frames(path)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("name", ["concat:{}|{}", "subfile,,start,0,end,0,,:{}", "http:{}", "-rf", "pipe:0"])
def test_a_name_in_the_working_folder_is_no_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    other = write_clip(Path("other.ts"), counting_images(3), "mpeg4")
    path = write_clip(tmp_path / "clip.ts", counting_images(5), "mpeg4")
    assert len(sample_frames(path.rename(tmp_path / name.format(other, other)).relative_to(tmp_path)).images) == 5


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4", "whole.mp4/x.mp4", ""])
def test_a_path_that_cannot_be_is_a_failure(corpus, name):
    with pytest.raises(ClipError):
        sample_frames(corpus[0].parent / name)


def test_a_clip_without_end_meets_the_frame_limit(corpus, found, tmp_path):
    clips = [path for path in corpus if path.stem == "whole"]
    assert {outcome(result) for result in crop_all(clips, limits=Limits(frames=COUNT - 1)).values()} == {"too_long"}
    loop = tmp_path / "loop.mjpeg"
    loop.write_bytes((corpus[0].parent / "no times.mjpeg").read_bytes() * 1000)
    with pytest.raises(ClipError, match="too_long"):
        sample_frames(loop, limits=Limits(frames=5000))


def test_decoders_that_crash_or_hang_cost_their_row_and_the_others_go_on(corpus, found, tmp_path):
    bad = [tmp_path / f"{what} {number}.mp4" for number in range(3) for what in ("kills", "sleeps")]
    seen, since = {}, set()
    deadline = time.time() + 60

    def tasks():
        for number, path in enumerate(corpus[:120]):
            yield path, (path, UNCUT, LIMITS)
            if number % 20 == 0:
                yield bad[number // 20], (bad[number // 20], UNCUT, LIMITS)
        while time.time() < deadline and not (set(bad) <= set(seen) and len(since) == 2):
            yield corpus[0].with_name("whole.mp4"), (corpus[0].with_name("whole.mp4"), UNCUT, LIMITS)

    for path, result in map_clips(crop_or_misbehave, tasks(), workers=2, seconds=2.0):
        seen[path] = result
        if path in bad:
            since.clear()
        elif not isinstance(result, ClipError):
            since.add(result[0])
    assert [outcome(seen[path]) for path in bad] == ["crashed", "timeout"] * 3
    assert "exit code -11" in seen[bad[0]].reason
    assert len(since) == 2, "a worker was lost for good"
    for path in corpus[:120]:
        result = seen[path]
        assert outcome(result if isinstance(result, ClipError) else result[1]) == outcome(found[path.name])
    assert not workers()


def make_set(root: Path, files: Sequence[Path]) -> Path:
    """A Celeb-DF folder of links to `files`, fakes and real ones."""
    for folder in ("Celeb-real", "Celeb-synthesis"):
        (root / folder).mkdir(parents=True)
    for number, file in enumerate(files):
        name = f"Celeb-real/id{number}_0000" if number % 2 else f"Celeb-synthesis/id{number}_id{number + 1}_0000"
        (root / f"{name}{file.suffix}").symlink_to(file)
    return root


def run_extract(data: Path, out: Path) -> subprocess.CompletedProcess:
    flags = ["--data", data, "--out", out, "--backbone", "mobilenetv2", "--weights", "random", "--detector", "none"]
    words = [sys.executable, "-m", "extract", *map(str, flags)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_a_hostile_data_set_is_extracted_as_far_as_it_goes(corpus, found, tmp_path):
    bad = [path for path in corpus if outcome(found[path.name]) != "ok" and path.suffix in (".mp4", ".avi", ".gif")]
    odd = [corpus[0].with_name(name) for name in EXPECTED["missing"] if name != "folder.mp4"]
    bad = [path for path in bad if path.exists() and path.is_file()][:: len(bad) // 25][:25] + odd
    good = [corpus[0].with_name("whole.mp4"), corpus[0].with_name("hevc.mp4")]
    done = run_extract(make_set(tmp_path / "set", [*good, *bad]), tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert f"2 ok, {len(bad)} failed of {len(bad) + 2} videos" in done.stdout
    assert done.stdout.count(": missing: ") == len(odd)
    assert "Traceback" not in done.stderr
    contents = load(open_store(next((tmp_path / "data" / "set").glob("features-*"))))
    assert len(contents.records) == 2
    assert {name for _, name, _ in contents.failures} <= OUTCOMES
    assert contents.missing == []


def test_a_data_set_with_nothing_in_it_to_use_ends_in_a_sentence(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(unit, "make_engine", FakeEngine)
    data = make_set(tmp_path / "set", [corpus[0].with_name(name) for name in ("empty.mp4", "text.mp4", "pipe.mp4")])
    with pytest.raises(SystemExit) as ended:
        run(lambda: extract_command(["--data", str(data), "--out", str(tmp_path / "data"), "--weights", "random"]))
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "error: none of the 3 videos could be used; the reasons are listed above."
    assert [said.out.count(f": {name}: ") for name in ("empty", "unreadable", "missing")] == [1, 1, 1]


def test_a_name_that_is_no_line_of_text_is_refused_at_the_start(tmp_path):
    (tmp_path / "Celeb-real").mkdir()
    (tmp_path / "Celeb-real/two\nlines.mp4").touch()
    with pytest.raises(UserError, match=r"two\\nlines.mp4 has a control character"):
        read_dataset(tmp_path, "celeb-df")
