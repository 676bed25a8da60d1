"""A folder of numbered pictures, given to the API and to the page as a form with a part for each."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from detect.web.guards import forms
from extract.video.decode import sample_frames
from reelcheck.cli import dispatch
from tests.detect.web.serving import EXAMPLES, client, files, served, text
from tests.detect.web.test_api import FORM, as_drawn, refused  # noqa: F401 - a fixture
from tests.detect.web.test_pages import read

PARTS = [("file", (f"{number}.png", b"x")) for number in range(5)]


@pytest.fixture(scope="module")
def frames(face, tmp_path_factory) -> Path:
    """Numbered pictures of a face, one of them damaged, beside what lies in folders."""
    folder = tmp_path_factory.mktemp("frames") / "shots"
    folder.mkdir()
    for number, image in enumerate(sample_frames(face).images):
        Image.fromarray(image).save(folder / f"{5 * number:03}.png")
    (folder / "061.png").write_bytes((folder / "000.png").read_bytes()[:5000])
    (folder / ".DS_Store").touch()
    (folder / "notes.txt").touch()
    return folder


@pytest.fixture
def visitor(site):
    """A visitor who leaves nothing."""
    with client(site[0]) as one:
        yield one
    assert files(site[1]) == EXAMPLES


def form(files: list, **fields: str) -> dict:
    """What a browser sends: the name of a file that was not chosen is empty, which `httpx` would leave out."""
    body = b""
    for field, (name, content) in files:
        head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    for field, value in fields.items():
        body += f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
    return {"content": body + b"--b--\r\n", "headers": {"content-type": FORM}}


def parts(folder: Path, above: str = "") -> list:
    return [("file", (f"{above}{path.name}", path.read_bytes())) for path in sorted(folder.iterdir())]


def give(visitor, files, **fields) -> dict:
    answer = visitor.post("/api/verdicts?wait=60&timeline=1", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    visitor.delete(answer.headers["location"])
    return answer.json()


@pytest.mark.parametrize("fps", [{}, {"fps": "10"}])
@pytest.mark.parametrize(("above", "name"), [("", "13 frames"), ("a/shots/", "shots")])
def test_frames_have_the_verdict_of_detect_number_for_number(visitor, frames, as_drawn, capsys, fps, above, name):  # noqa: F811
    dispatch(["detect", str(frames), "--json", "--timeline", "1", *(f"--{key}={value}" for key, value in fps.items())])
    (printed,) = map(json.loads, capsys.readouterr().out.splitlines())
    (verdict,) = give(visitor, parts(frames, above), **fps)["verdicts"]
    assert verdict == printed | {"clip": name}
    assert verdict["frames"][-1]["seconds"] == pytest.approx(55 / float(fps.get("fps", 25)), abs=0.001)
    assert verdict["timeline"]


def test_one_picture_stays_a_picture(visitor, frames):
    alone = [part for part in parts(frames, "shots/") if part[1][0][6:] in ("000.png", ".DS_Store")]
    said = give(visitor, alone)
    assert (said["clip"], len(said["verdicts"][0]["frames"])) == ("000.png", 1)


def test_frames_that_cannot_be_judged_fail_without_our_names(visitor, site):
    said = give(visitor, [("file", ("1.png", b"x")), ("file", ("01.png", b"x"))])["verdicts"][0]
    assert (said["outcome"], said["reason"]) == ("ambiguous", "the folder has number 1 twice, 01.png and 1.png")
    said = give(visitor, PARTS)["verdicts"][0]
    assert said["reason"].startswith("none of the 5 pictures in the folder can be read: 0.png is not a picture")
    said = give(visitor, [("file", (f"{number}.png", b"x")) for number in (0, 4000)])["verdicts"][0]
    assert (said["outcome"], said["reason"][:21]) == ("refused", "It plays for 160 s; t")


@pytest.mark.parametrize(
    ("names", "word"),
    [(["0.png", "1.png", "x.mp4"], "x.mp4 is no numbered picture"), (["a.mp4", "b.mp4"], "a.mp4 is no numbered"),
     (["a/0.png", "b/1.png"], "are of more than one folder"), (["0.png", "0.png"], "are of more than one folder"),
     (["a/0.png", "a/b/1.png"], "are of more than one folder"), (["0.png", "IMG_1.png"], "IMG_1.png is no numbered"),
     (["x.txt", "y.txt"], "Choose a clip or a picture first"), (["", ""], "Choose a clip or a picture first")],
)  # fmt: skip
def test_what_is_no_one_clip_is_refused(visitor, names, word):
    answer = visitor.post("/api/verdicts", **form([("file", (name, b"x")) for name in [*names, ""]]))
    refused(answer, 400, word, "a form has one clip")


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "1001", "x"])
def test_a_rate_that_is_none_is_refused(visitor, fps):
    refused(visitor.post("/api/verdicts", files=PARTS, data={"fps": fps}), 400, "fps")


def test_too_many_parts_and_too_many_bytes_are_refused(visitor, monkeypatch):
    monkeypatch.setattr(forms, "MOST_FILES", 5)
    assert give(visitor, PARTS)["clip"] == "5 frames"
    refused(visitor.post("/api/verdicts", files=[*PARTS, *PARTS]), 413, "more than 5 files")
    refused(visitor.post("/api/verdicts", **form([("other", ("", b""))] * 6)), 413, "more than 5 files")
    refused(visitor.post("/api/verdicts", files=PARTS, data=dict.fromkeys("abcde", "x")), 400, "more than 4 fields")
    refused(visitor.post("/api/verdicts", files=PARTS, data={"fps": "1" * 20_000}), 400, "field of the form")
    with served(most_megabytes=1) as (address, folder), client(address) as one:
        refused(one.post("/api/verdicts", files=[("file", (f"{n}.png", bytes(300_000))) for n in range(5)]), 413)
        assert files(folder) == EXAMPLES


def test_without_scripts_a_folder_is_a_clip(visitor, site, frames, tmp_path):
    """As a browser sends the form: the other field for files has none, and the rate is there."""
    page = visitor.get("/").text
    assert 'id="frames" name="file" accept="image/*" multiple webkitdirectory' in page
    assert 'name="fps" value="25"' in page
    sent = [("file", ("", b"")), *parts(frames, "shots/")]
    answer = visitor.post("/?faces=1&timeline=1", **form(sent, fps="10"))
    assert answer.status_code == 303
    html = read(visitor, answer.headers["location"])
    assert "The clip, part by part" in text(html)
    assert "<video" not in html
    key = answer.headers["location"].rpartition("/")[2]
    refused(visitor.get(f"/api/verdicts/{key}/clip"), 404, "no file to play")
    (kept,) = (site[1] / "clips" / key).iterdir()
    assert {path.name for path in kept.iterdir()} == {path.name for path in frames.glob("*.png")}
    shutil.rmtree(kept)
    assert visitor.delete(f"/api/verdicts/{key}").status_code == 204
    assert not (site[1] / "clips" / key).exists()
