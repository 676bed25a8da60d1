"""The page as a browser without scripts gets it, and the command that serves it."""

import base64
import re
import shutil
import socket

import pytest

from base.errors import UserError
from detect.web.app import open_page
from detect.web.config import WebConfig, check, is_loopback, read_token
from detect.web.service import copy_examples
from detect.web.stage import exposed
from reelcheck.cli import dispatch
from tests.detect.web.serving import CALLED, EXAMPLES, client, detector, files, served, text, wait_for

HTML = {"accept": "text/html,*/*"}


@pytest.fixture(scope="module")
def visitor(site):
    with client(site[0], accept=HTML["accept"]) as one:
        yield one


def read(visitor, path: str) -> str:
    """What a browser shows once the verdict is there: it asks again as the page tells it."""
    while (answer := visitor.get(path)).headers.get("refresh") == "2":
        assert "This page shows the verdict as soon as it is there" in answer.text
    assert answer.status_code == 200
    return answer.text


def give(visitor, clip=None, **fields: str):
    whole = {"file": (clip.name, clip.read_bytes())} if clip else {"file": ("", b"")}
    return visitor.post("/?faces=3&timeline=6", files=whole, data=fields)


def test_without_scripts_a_clip_leads_to_its_verdict_and_the_next_takes_its_place(visitor, site, face, picture):
    assert "The verdict will be here." in visitor.get("/").text
    answer = give(visitor, face)
    assert answer.status_code == 303
    first = answer.headers["location"]
    html = read(visitor, first)
    assert re.search(rf"{CALLED} Probability of fake, calibrated \d+ %", text(html))
    key = first.rpartition("/")[2]
    assert f'<video src="api/verdicts/{key}/clip"' in html
    assert f'<input type="hidden" name="instead" value="{key}">' in html
    second = give(visitor, picture, instead=key).headers["location"]
    assert visitor.get(first).status_code == 410
    html = read(visitor, second)
    assert "nothing is known of its motion" in html
    assert key not in html
    third = give(visitor, picture, instead=key)  # which is gone already
    assert third.status_code == 303
    visitor.delete(f"/api{third.headers['location']}")
    visitor.delete(f"/api{second}")
    wait_for(lambda: files(site[1]) == EXAMPLES)


def test_an_example_is_a_button_and_two_clips_stand_side_by_side(visitor, site, picture):
    first = give(visitor, example="1").headers["location"].rpartition("/")[2]
    assert f'href="./?beside={first}"' in read(visitor, f"/verdicts/{first}")
    html = visitor.get(f"/?beside={first}").text
    assert f'<input type="hidden" name="beside" value="{first}">' in html
    answer = give(visitor, picture, beside=first)
    html = read(visitor, answer.headers["location"])
    assert re.findall(r'class="which">(.*)</p>', html) == ["1.mp4", "face.jpg"]
    assert len(re.findall(rf"<h2>{CALLED}", html)) == 2
    alone = read(visitor, f"{answer.headers['location'].partition('?')[0]}?beside=absent")
    assert len(re.findall(rf"<h2>{CALLED}", alone)) == 1
    for key in re.findall(r'data-case="(.*?)"', html):
        assert visitor.delete(f"/api/verdicts/{key}").status_code == 204
    assert give(visitor, example="9").status_code == 404


def test_a_refusal_is_a_page_with_the_reason(visitor):
    for answer, status, words in (
        (give(visitor), 400, "Choose a clip or a picture first"),
        (visitor.get("/verdicts/absent"), 404, "There is no such clip here."),
        (visitor.get("/?beside=absent"), 404, "There is no such clip here."),
        (visitor.get("/nothing"), 404, "Not Found"),
        (visitor.get("/static/../app.py"), 404, "Not Found"),
        (visitor.get("/static/%2e%2e/app.py"), 404, "Not Found"),
    ):
        assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html")
        assert words in text(answer.text)
        assert 'id="give"' in answer.text  # and a form to try again


def test_a_verdict_is_taken_away_as_one_file(visitor, face):
    key = give(visitor, face).headers["location"].rpartition("/")[2]
    if visitor.get(f"/verdicts/{key}").headers.get("refresh"):
        assert visitor.get(f"/verdicts/{key}/report").status_code == 404  # not yet
    read(visitor, f"/verdicts/{key}")
    answer = visitor.get(f"/verdicts/{key}/report")
    assert answer.headers["content-disposition"] == 'attachment; filename="verdict.html"'
    assert "Verdict on face.mp4" in answer.text
    assert re.search(CALLED, answer.text)
    pictures = re.findall(r'src="data:image/jpeg;base64,(.*?)"', answer.text)
    assert len(pictures) == 24
    assert all(base64.b64decode(one).startswith(b"\xff\xd8") for one in pictures)
    assert not re.findall(r'(?:src|href)="(?!data:)', answer.text)  # it needs nothing else


def test_the_page_keeps_browsers_from_asking_elsewhere(visitor):
    answer = visitor.get("/")
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    for path in ("/", "/docs", "/static/page.css", "/static/page.js"):
        assert "//" not in re.sub(r"(^|\s)// .*", "", visitor.get(path).text.replace("http://user", ""))
    assert visitor.get("/", headers={"host": "evil.example"}).status_code == 400


def test_the_api_is_described_for_people(visitor):
    words = text(visitor.get("/docs").text)
    assert "POST /api/verdicts Give a clip, a picture or the frames of a clip." in words
    assert "429 The visitor" in words.replace("&#39;", "'")


def test_what_known_real_footage_promises_stands_on_the_page(face):
    from detect.detector.reference import KnownClip, Reference

    clips = tuple(KnownClip(f"{k}.mp4", str(k), 0.1) for k in range(19))
    with served(detector().beside(Reference("studio", "digest", clips))) as (address, _), client(address) as one:
        assert "Beside studio, 19 clips of 19 sources that you know to be real" in one.get("/").text
        assert "studio" in one.get("/api/run").json()["reference"]


# What is set up, and what is refused before any work


def test_examples_are_copied_under_names_of_ours(tmp_path, face):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with pytest.raises(UserError, match="holds no clip"):
        copy_examples(source, target)
    shutil.copyfile(face, source / "../source/..Ada.MP4")
    shutil.copyfile(face, source / "Ada\n.mp4")
    assert [(name, path.name) for name, path in copy_examples(source, target)] == [("Ada\\n", "1.mp4")]
    with pytest.raises(UserError, match="is not a folder"):
        copy_examples(source / "absent", target)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 2.0}, "is not a probability"),
        ({"port": 65536}, "is no port"),
        ({"most_megabytes": 0}, r"--most-megabytes must be above 0 \(got 0\)"),
        ({"most_each": 0}, r"--most-each must be above 0 \(got 0\)"),
        ({"names": ("https://page.example",)}, "--names https://page.example is not a host name; give one such"),
        ({"names": ("page.example", "a*")}, "--names 'a\\*' is not a host name"),
        ({"proxy": "nginx"}, "--proxy nginx is not an address; give the one from which the proxy connects"),
        ({"most_seconds": float("nan")}, r"must be above 0 \(got nan\)"),
        ({"most_work_seconds": 0.0}, r"--most-work-seconds must be above 0 \(got 0\)"),
        ({"allow_origin": ("*",)}, "--allow-origin '\\*' is not the address of a site; give one such as https://a.exa"),
        ({"root_path": "check/"}, "--root-path check/ is not a path of a page; give one such as /check"),
    ],
)
def test_a_wrong_option_is_one_sentence(values, message):
    with pytest.raises(UserError, match=message):
        check(WebConfig(**values))


@pytest.mark.parametrize("content", [None, b"", b"short", b"two words in one token", b"\xff" * 20, "ä".encode() * 20])
def test_a_token_that_is_none_is_one_sentence(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"has no token.*; give --token-file a file with a random word of 16 letters"):
        read_token(path)


def test_without_its_packages_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install starlette uvicorn jinja2 python-multipart brings them"):
        dispatch(["web"])


def test_who_can_reach_a_host_is_warned_of(tmp_path):
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.0.1", "example.org", "::")))
    assert exposed(WebConfig(live="0")) == ""
    assert "has no password" in exposed(WebConfig(host="0.0.0.0"))
    assert "and sees the picture of the live source; it has" in exposed(WebConfig(host="0.0.0.0", live="0"))
    assert "anyone with its token who can reach" in exposed(WebConfig(host="0.0.0.0", token_file=tmp_path))


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = WebConfig(port=taken.getsockname()[1])
        with pytest.raises(UserError, match="choose another --port"), open_page(detector(), config, tmp_path):
            pass


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_is_served_and_answers_to_its_own_name_alone():
    with served(host="::1") as (address, _), client(address, "::1") as one:
        assert address.startswith("http://[::1]:")
        assert one.get("/").status_code == 200
        assert one.get("/", headers={"host": "elsewhere.example"}).status_code == 400


def test_a_page_for_the_network_answers_to_its_own_names_alone():
    with served(host="0.0.0.0", names=("page.example",)) as (address, _), client(address) as one:
        asked = {
            name: one.get("/", headers={"host": name}).status_code for name in ("evil.x", "page.example", "192.0.2.7")
        }
    assert asked == {"evil.x": 400, "page.example": 200, "192.0.2.7": 200}
