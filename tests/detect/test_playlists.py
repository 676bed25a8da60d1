"""Playlists: read as RFC 8216 has it, and never a way to where the address itself must not lead."""

import pytest

from detect import addresses
from detect.addresses import AddressError, Site
from detect.playlists import Key, Part, Playlist, parse
from detect.sign_in import Address
from tests.clips import counting_images
from tests.detect.hls import encrypt, playlist, write_segments
from tests.detect.test_addresses import INSIDE, content, drips, redirects, serving

BASE = "http://example.org/a/list.m3u8"


def opened(address: str, **options) -> Playlist:
    return Playlist(address, Site(Address(address)), **options)


def files(folder):
    """Answers with the files of a folder."""

    def answer(handler, path):
        body = (folder / path.lstrip("/")).read_bytes()
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


def texts(**bodies: bytes):
    """Answers /name with the body called name."""

    def answer(handler, path):
        body = bodies[path.lstrip("/")]
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


def test_what_a_playlist_says():
    text = """#EXTM3U
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="head.mp4",BYTERANGE="10@2"
#EXTINF:5.5,a title, with a comma
one.m4s
#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example.org/k?a=1,2",IV=0x0f
#EXT-X-BYTERANGE:100@50
#EXTINF:6
/two.m4s
#EXT-X-BYTERANGE:30
#EXTINF:6
/two.m4s
#EXT-X-KEY:METHOD=NONE
#EXTINF:1
http://me:secret@other.example.org/three.m4s
#EXT-X-ENDLIST
"""
    listing = parse(text, BASE)
    one, two, more, three = listing.segments
    assert (listing.ends, listing.pause, listing.variants) == (True, 3.0, [])
    assert [segment.number for segment in listing.segments] == [7, 8, 9, 10]
    assert (one.part, one.header, one.key) == (
        Part("http://example.org/a/one.m4s"),
        Part("http://example.org/a/head.mp4", 2, 10),
        None,
    )
    assert (two.part, more.part) == (Part("http://example.org/two.m4s", 50, 100), Part(two.part.address, 150, 30))
    assert two.key == Key("https://keys.example.org/k?a=1,2", b"\0" * 15 + b"\x0f")
    assert (three.part.address, three.key) == ("http://other.example.org/three.m4s", None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<html>", "does not begin with #EXTM3U"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x", "its line '#EXT-X-MEDIA-SEQUENCE:x' is damaged"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:-5", "its line '#EXT-X-MEDIA-SEQUENCE:-5' is damaged"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:18446744073709551616", "is damaged"),
        ("#EXTM3U\n#EXTINF:nan\nx.ts", "its line '#EXTINF:nan' is damaged"),
        ("#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=k", "encrypted by SAMPLE-AES, and not by AES-128"),
    ],
)
def test_what_is_no_playlist_to_play_is_one_sentence(text, what):
    with pytest.raises(AddressError, match=what) as caught:
        parse(text, BASE)
    assert caught.value.final


@pytest.mark.parametrize("vector", ["", "000102030405060708090a0b0c0d0e0f"])
def test_encrypted_segments_are_those_that_were_encrypted(tmp_path, vector):
    (tmp_path / "plain").mkdir()
    write_segments(tmp_path / "plain", counting_images(60))
    encrypt(tmp_path, counting_images(60), "key", vector)
    with serving(files(tmp_path)) as (address, asked):
        plain, film = opened(f"{address}/plain/film.m3u8"), opened(f"{address}/film.m3u8")
        assert b"".join(iter(film.read, b"")) == b"".join(iter(plain.read, b""))
        assert asked.count("/key") == 1
    assert film.length == pytest.approx(60 / 25)


def test_the_best_variant_is_read_and_ranges_are_cut_out_where_a_server_knows_none():
    best = b'#EXTM3U\n#EXT-X-MAP:URI="data",BYTERANGE="2@0"\n#EXT-X-BYTERANGE:3@4\n#EXTINF:1,\ndata\n#EXT-X-ENDLIST\n'
    bits = [(800, "poor"), (3000, "best"), (90, "absent")]
    lines = [line for bit, name in bits for line in (f'#EXT-X-STREAM-INF:BANDWIDTH={bit},CODECS="a,b"', name)]
    with serving(texts(all="\n".join(["#EXTM3U", *lines]).encode(), best=best, data=b"0123G56789")) as (address, asked):
        film = opened(f"{address}/all")
        assert b"".join(iter(film.read, b"")) == b"01G56"
    assert asked == ["/all", "/best", "/data", "/data"]


@pytest.fixture
def public(monkeypatch):
    """Has all addresses but `INSIDE` count as public."""
    monkeypatch.setattr(addresses, "_is_inside", lambda host: str(host) == INSIDE)


NAMES = {
    "segment": ["{}/x"],
    "key": ['#EXT-X-KEY:METHOD=AES-128,URI="{}/x"', "film"],
    "key over https": ['#EXT-X-KEY:METHOD=AES-128,URI="https://127.0.0.2/x"', "film"],
    "header": ['#EXT-X-MAP:URI="{}/x"', "film"],
    "variant": ["#EXT-X-STREAM-INF:BANDWIDTH=1\n{}/x"],
    "segment by a redirect": ["away"],
    "segment by another name": ["http://0x7f000002:{port}/x"],
}


@pytest.mark.parametrize("lines", NAMES.values(), ids=NAMES)
def test_what_a_public_playlist_names_in_this_network_is_not_opened(public, lines):
    with serving(content, INSIDE) as (inside, asked):
        named = [line.format(inside, port=inside.rpartition(":")[2]) for line in lines]

        def answer(handler, path):
            if path == "/away":
                redirects(inside)(handler, path)
            else:
                texts(list=playlist(*named, "#EXT-X-ENDLIST"), film=b"G")(handler, path)

        with (
            serving(answer) as (address, _),
            pytest.raises(AddressError, match="in this machine's own network") as caught,
        ):
            opened(f"{address}/list").read()
        assert (asked, caught.value.final) == ([], True)


def test_a_playlist_of_this_network_may_name_its_neighbours(public):
    with serving(content, INSIDE) as (inside, _):
        answer = texts(list=playlist(f'#EXT-X-MAP:URI="{inside}/x"', "film", "#EXT-X-ENDLIST"), film=b"G")
        with serving(answer, INSIDE) as (address, _):
            assert opened(f"{address}/list").read() == b"clip"


@pytest.mark.parametrize(
    "name", ["file:///etc/passwd", "data:video/mp2t;base64,R0dHRw==", "concat:a|b", "ftp://127.0.0.1/x"]
)
def test_a_playlist_names_web_addresses_only(name):
    with serving(texts(list=playlist(name, "#EXT-X-ENDLIST"))) as (address, _):
        film = opened(f"{address}/list")
        with pytest.raises(AddressError, match="which is neither http nor https") as caught:
            film.read()
        assert caught.value.final


def test_a_playlist_without_end_is_refused_and_one_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr("detect.playlists.MOST_TEXT", 100_000)

    def answer(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n")
        while True:
            handler.wfile.write(b"x" * 999 + b"\n")

    with serving(answer) as (address, _), pytest.raises(AddressError, match="is larger than 0 MB") as caught:
        opened(f"{address}/list")
    assert caught.value.final
    slow = drips(b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n", b"#")
    with serving(slow) as (address, _), pytest.raises(AddressError, match=r"has not ended after 0\.3 s"):
        opened(f"{address}/list", timeout=0.3)


def test_a_download_of_segments_takes_no_longer_than_it_may(monkeypatch):
    with serving(texts(list=playlist("a", "b", "#EXT-X-ENDLIST"), a=b"Ga", b=b"Gb")) as (address, asked):
        film = opened(f"{address}/list", seconds=60.0)
        assert film.read() == b"Ga"
        monkeypatch.setattr("detect.playlists.time.monotonic", lambda: film._start + 61)
        with pytest.raises(AddressError, match="has not ended after 60 s"):
            film.read()
        assert asked == ["/list", "/a"]


def test_a_live_source_is_joined_near_its_end_and_goes_on_as_its_playlist_grows(monkeypatch):
    monkeypatch.setattr("detect.playlists.time.sleep", lambda _: None)
    numbers = {f"s{number}": f"G{number}".encode() for number in range(12)}
    lists = [(0, 6, ""), (0, 6, ""), (2, 8, ""), (9, 11, "#EXT-X-ENDLIST")]  # segment 8 was missed
    answers = iter(lists)

    def answer(handler, path):
        low, high, end = next(answers) if path == "/list" else (0, 0, "")
        listing = playlist(*(f"s{number}" for number in range(low, high)), end or "#", tags={"MEDIA-SEQUENCE": low})
        texts(list=listing, **numbers)(handler, path)

    with serving(answer) as (address, _):
        source = opened(f"{address}/list")
        assert not source.ends
        assert list(iter(source.read, b"")) == [f"G{number}".encode() for number in (3, 4, 5, 6, 7, 9, 10)]


def test_a_live_source_whose_playlist_stands_still_is_given_up(monkeypatch):
    monkeypatch.setattr("detect.playlists.STALLED", 0.0)
    with serving(texts(list=playlist("#EXT-X-TARGETDURATION:0", "a"), a=b"Ga")) as (address, _):
        source = opened(f"{address}/list")
        assert source.read() == b"Ga"
        with pytest.raises(AddressError, match="has named nothing new for") as caught:
            source.read()
        assert not caught.value.final
