"""Sign-ins: used for the host that they were given for, and never shown, stored or sent elsewhere."""

import base64
import re

import pytest

from base.errors import UserError
from detect.__main__ import main
from detect.addresses import AddressError, Site, open_address
from detect.clips import stage
from detect.clips.inputs import open_clips
from detect.clips.judged_by import JudgedBy
from detect.sign_in import Address, read_address, shown
from tests.clips import counting_images, write_clip
from tests.detect.stream.test_stream import detector
from tests.detect.test_addresses import serving

BASIC = "Basic " + base64.b64encode(b"me:s@cret/").decode()
"""What signs in as `me:s%40cret%2F@` in an address."""


def guarded(content: bytes, heard: list[str], to: str = ""):
    """Answers who signs in with `content`, or with a redirect; `heard` gets the sign-in of each request."""

    def answer(handler, path):
        heard.append(handler.headers.get("Authorization", ""))
        if heard[-1] != BASIC:
            asks = b"WWW-Authenticate: Basic realm=x\r\nContent-Length: 0"
            handler.wfile.write(b"HTTP/1.1 401 Unauthorized\r\n" + asks + b"\r\n\r\n")
        elif to and path == "/away":
            handler.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)

    return answer


def signed(address: str, user: str = "me:s%40cret%2F") -> str:
    return address.replace("://", f"://{user}@")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home without a netrc file."""
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("http://me:s%40cret@host:81/x?y=a@b", Address("http://host:81/x?y=a@b", "me", "s@cret")),
        ("rtsp://me:a@b@camera/1", Address("rtsp://camera/1", "me", "a@b")),
        ("https://me@host", Address("https://host", "me", "")),
        ("http://host/@me", Address("http://host/@me")),
        ("http://me:a b@host", Address("http://host", "me", "a b")),
    ],
)
def test_an_address_is_shown_without_its_sign_in(word, expected):
    assert read_address(word) == expected
    assert "s@cret" not in repr(read_address(word))
    assert shown(word) == expected.plain


def test_a_sentence_is_shown_without_the_sign_ins_in_it():
    text = "from https://c@other/x, which me@home wrote, to http://a:b@host"
    assert shown(text) == "from https://other/x, which me@home wrote, to http://host"


def test_an_address_within_an_address_stays_as_it_is():
    assert read_address("http://host?to=http://me:x@other").plain == "http://host?to=http://me:x@other"


def test_the_sign_in_is_put_back_for_who_opens_the_address():
    assert read_address("rtsp://me:a%40b@camera/1").full == "rtsp://me:a%40b@camera/1"
    assert read_address("rtsp://camera/1").full == "rtsp://camera/1"


def write_netrc(path, text: str):
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_netrc_signs_in_at_its_hosts_only(home, monkeypatch):
    write_netrc(home / ".netrc", "machine host login me password s@cret\ndefault login any password any\n")
    assert read_address("https://host/x") == Address("https://host/x", "me", "s@cret")
    assert read_address("https://other/x") == Address("https://other/x")
    monkeypatch.setenv("NETRC", str(write_netrc(home / "mine", "machine other login you password it\n")))
    assert read_address("https://other/x").user == "you"


def test_a_netrc_that_others_may_read_is_named(home):
    write_netrc(home / ".netrc", "machine host login me password s@cret\n").chmod(0o644)
    with pytest.raises(UserError, match=r"^\S*netrc is not a sign-in, or others may read or own the file;") as caught:
        read_address("http://host/clip.mp4")
    assert "s@cret" not in str(caught.value)


def test_a_netrc_that_cannot_be_used_is_one_sentence_without_a_password(home, monkeypatch):
    write_netrc(home / ".netrc", "machine host login me passwrd s@cret\n")
    with pytest.raises(UserError, match=r"line \d of .*netrc is not a sign-in") as caught:
        read_address("http://host/x")
    assert "s@cret" not in str(caught.value)
    monkeypatch.setenv("NETRC", str(home / "absent"))
    with pytest.raises(UserError, match=r"NETRC names .*absent, which cannot be read"):
        read_address("http://host/x")
    assert read_address("http://me:x@host").user == "me"  # which needs no file


def fetched(word: str, path: str = "") -> bytes:
    address = read_address(word)
    with open_address(address.plain + path, 20.0, site=Site(address)) as answer:
        return answer.read()


def test_it_signs_in_and_says_so_where_it_cannot():
    heard: list[str] = []
    with serving(guarded(b"clip", heard)) as (address, _):
        assert fetched(signed(address)) == b"clip"
        with pytest.raises(AddressError, match="it asks for a user and a password") as caught:
            fetched(signed(address, "me:wrong"))
        with pytest.raises(AddressError, match="netrc"):
            fetched(address)
    assert caught.value.code == 401
    assert heard[2] == ""


def test_the_sign_in_goes_along_at_its_own_host_and_nowhere_else():
    heard: list[str] = []
    elsewhere: list[str] = []
    with serving(guarded(b"other", elsewhere)) as (other, _):
        with serving(guarded(b"clip", heard, to=f"{other}/x")) as (address, _), pytest.raises(AddressError):
            fetched(f"{signed(address)}/away")  # another port is another server
        with serving(guarded(b"clip", heard, to="/x")) as (address, _):
            assert fetched(f"{signed(address)}/away") == b"clip"
    assert elsewhere == [""]
    assert heard == [BASIC] * 3


@pytest.mark.parametrize(
    ("named", "asked", "sent"),
    [
        ("http://host/a", "http://host/b", True),
        ("http://host/a", "https://host/a", True),
        ("http://host:80/a", "http://HOST/a", True),
        ("https://host/a", "http://host/a", False),
        ("http://host/a", "http://host:81/a", False),
        ("http://host:81/a", "https://host/a", False),
        ("http://host/a", "http://other.host/a", False),
    ],
)
def test_which_hosts_are_the_same(named, asked, sent):
    assert Site(Address(named, "me", "x")).covers(asked) == sent


def test_clips_behind_a_sign_in_are_judged_under_a_name_without_it(home):
    heard: list[str] = []
    with serving(guarded(b"clip", heard)) as (address, _):
        words = [f"{signed(address)}/x.mp4", f"{signed(address, 'me:wrong')}/y.mp4"]
        with open_clips(words, allow_url=True) as (clip, locked):
            assert (clip.name, clip.path.read_bytes(), clip.reason) == (f"{address}/x.mp4", b"clip", "")
            assert locked.name == f"{address}/y.mp4"
            assert "it asks for a user and a password" in locked.reason
        write_netrc(home / ".netrc", "machine 127.0.0.1 login me password s@cret/\n")
        with open_clips([f"{address}/x.mp4"], allow_url=True) as (clip,):
            assert clip.reason == ""


@pytest.mark.parametrize(
    "word", ["http://me:s%40cret@host/x.mp4", "rtsp://me:s%40cret@camera/1", "ftp://me:s%40cret@host/x"]
)
def test_what_is_refused_is_named_without_its_sign_in(word):
    with pytest.raises(UserError) as caught, open_clips([word]):
        pass
    assert "cret" not in str(caught.value)
    assert shown(word) in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_no_output_has_the_sign_in_and_results_are_continued_without_it(home, monkeypatch, capsys, suffix):
    monkeypatch.setattr(stage, "open_judge", lambda _: (detector(), JudgedBy(("run",), 0.5)))
    clip, heard = write_clip(home / "clip.mp4", counting_images(12)).read_bytes(), []
    out, page, sheet = home / f"out{suffix}", home / "page.html", home / "sheet.png"
    with serving(guarded(clip, heard)) as (address, _):
        for sign_in in ("me:s%40cret%2F", "me:other"):  # the second one is not needed any more
            words = [f"{signed(address, sign_in)}/x.mp4", "--allow-url", "--out", str(out)]
            main([*words, "--json", "--html", str(page), "--show", str(sheet)])
        failed = [f"{signed(address, 'me:secret')}/y.mp4", "--allow-url"]
        assert main(failed) == stage.NO_VERDICT
    said = "".join(capsys.readouterr())
    assert "1 of 1 clips are in" in said
    for text in (said, out.read_text(), page.read_text()):
        assert f"{address}/" in text
        assert not re.search("me:s|s@cret|s%40cret|me:other", text)
