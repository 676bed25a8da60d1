"""HLS (RFC 8216): a playlist names segments of a film or of a live source, which are fetched and joined to one stream.

FFmpeg would open whatever a playlist names. Here each segment, key and nested playlist is fetched by the rules for
addresses instead, and the decoder is given bytes alone.
"""

import io
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urljoin

import av

from base.temporary import scratch_folder
from detect.addresses import TIMEOUT, AddressError, Site, open_address
from detect.sign_in import shown

START = b"#EXTM3U"
"""How a playlist begins."""
FORMATS = "mpegts,mov"
"""The containers of segments: MPEG transport streams and fragmented MP4."""
BOXES = (b"ftyp", b"styp", b"moof", b"moov", b"mdat", b"sidx", b"emsg", b"prft", b"free")
"""What a segment of MP4 begins with, after four bytes; one of a transport stream begins with a G."""
MOST_TEXT, MOST_BYTES = 4_000_000, 256_000_000
"""Bytes of a playlist, and of a segment, at most."""
LONGEST = 60.0
"""Seconds that one segment may take."""
BEHIND = 3
"""Segments before the end of a live playlist at which it is joined, as RFC 8216 advises."""
STALLED = 30.0
"""Seconds without a new segment after which a live source is given up; of long segments, three must be missing."""
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=(?:"([^"]*)"|([^",]*))')


@dataclass(frozen=True)
class Part:
    """The bytes at an address: all of them, or `length` from `start` on."""

    address: str
    start: int = 0
    length: int | None = None


@dataclass(frozen=True)
class Key:
    """What a segment is encrypted with, AES of 128 bits in CBC: where the key is, and the first block's vector."""

    address: str
    vector: bytes | None


@dataclass(frozen=True)
class Segment:
    """A few seconds of the film. `header` is what its container needs first, None in an MPEG transport stream."""

    number: int
    seconds: float
    part: Part
    header: Part | None
    key: Key | None


@dataclass(eq=False)
class Listing:
    """What a playlist says at the moment: `segments`, or the `variants` of a film by their bits a second.

    `ends` tells whether no segment will be added; until then it is read again, every `pause` seconds.
    """

    segments: list[Segment] = field(default_factory=list)
    variants: list[tuple[int, str]] = field(default_factory=list)
    ends: bool = False
    pause: float = 5.0


def parse(text: str, address: str) -> Listing:
    """Returns what the playlist `text`, which was found at `address`, says; an AddressError if it cannot be played."""
    lines = [line.strip() for line in text.splitlines()]
    if lines[:1] != [START.decode()]:
        raise _unplayable(f"what is there does not begin with {START.decode()}")
    reader = _Reader(address)
    for line in filter(None, lines[1:]):
        try:
            reader.take(line)
        except (ValueError, OverflowError):
            raise _unplayable(f"its line {line[:80]!r} is damaged") from None
    return reader.listing


class _Reader:
    """Reads a playlist line by line; what a tag says holds for the addresses below it."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._number, self._seconds, self._span = 0, 0.0, ""
        self._header: Part | None = None
        self._key: Key | None = None
        self._bits: int | None = None
        self.listing = Listing()

    def take(self, line: str) -> None:
        """Takes one line, a tag or an address; raises a ValueError for one that cannot be read."""
        tag, _, value = line.partition(":")
        if not line.startswith("#"):
            self._take_address(self._joined(line))
        elif tag == "#EXTINF":
            self._seconds = _finite(value.partition(",")[0])
        elif tag == "#EXT-X-BYTERANGE":
            self._span = value
        elif tag == "#EXT-X-MEDIA-SEQUENCE":
            self._number = int(value)
            self._number.to_bytes(8, "big")  # an OverflowError for what is no segment's number (RFC 8216)
        elif tag == "#EXT-X-TARGETDURATION":
            self.listing.pause = min(max(_finite(value), 0.4), 20.0) / 2
        elif tag == "#EXT-X-ENDLIST":
            self.listing.ends = True
        elif tag in ("#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-STREAM-INF"):
            self._take_attributes(tag, {name: quoted or plain for name, quoted, plain in _ATTRIBUTE.findall(value)})

    def _take_attributes(self, tag: str, values: dict[str, str]) -> None:
        if tag == "#EXT-X-STREAM-INF":
            self._bits = int(values.get("BANDWIDTH", "0"))
        elif tag == "#EXT-X-MAP":
            self._header = self._part(self._joined(values.get("URI", "")), values.get("BYTERANGE", ""))
        elif (method := values.get("METHOD")) == "NONE":
            self._key = None
        elif method == "AES-128" and values.get("KEYFORMAT", "identity") == "identity":
            vector = bytes.fromhex(values["IV"][2:].zfill(32)) if "IV" in values else None
            self._key = Key(self._joined(values.get("URI", "")), vector)
        else:
            raise _unplayable(f"its segments are encrypted by {method}, and not by AES-128")

    def _take_address(self, address: str) -> None:
        if self._bits is not None:
            self.listing.variants.append((self._bits, address))
            self._bits = None
            return
        part = self._part(address, self._span)
        self.listing.segments.append(Segment(self._number, self._seconds, part, self._header, self._key))
        self._number, self._seconds, self._span = self._number + 1, 0.0, ""

    def _joined(self, address: str) -> str:
        return shown(urljoin(self._base, address))  # a sign-in comes from the user, not from a playlist

    def _part(self, address: str, span: str) -> Part:
        """Returns the bytes that `span`, "length@start", says; without a start, those after the segment before."""
        if not span:
            return Part(address)
        length, _, start = span.partition("@")
        before = self.listing.segments[-1].part if self.listing.segments else Part(address)
        return Part(address, int(start) if start else before.start + (before.length or 0), int(length))


class Playlist:
    """The stream that the playlist at an address names, as a file that is read once, from its start to its end.

    `ends` tells a film, of `length` seconds, from a live source, which is joined near its end. `site` is what led here.
    Raises an AddressError, also while it is read, if nothing comes for `timeout` seconds or it has not ended after
    `seconds`; one that is `final` if the playlist cannot be played.
    """

    def __init__(self, address: str, site: Site, timeout: float = TIMEOUT, seconds: float = math.inf) -> None:
        self._site, self._timeout, self._seconds = site, timeout, seconds
        self._start, self._keys = time.monotonic(), dict[str, bytes]()
        self._address, self._piece = address, io.BytesIO()
        listing = self._list()
        if listing.variants:  # the best one
            self._address = max(listing.variants)[1]
            listing = self._list()
        if listing.variants or not listing.segments:
            raise _unplayable("it names no segment of a video")
        self.ends, self.length = listing.ends, sum(segment.seconds for segment in listing.segments)
        self._pieces = self._fetched(listing)

    def read(self, size: int = -1) -> bytes:
        """Returns at most `size` bytes, b"" at the end; waits for more where a live source has none yet."""
        while not (data := self._piece.read(size)):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece = io.BytesIO(piece)
        return data

    def _list(self) -> Listing:
        text, address = self._fetch(Part(self._address), MOST_TEXT, self._timeout)
        return parse(text.decode(errors="replace"), address)

    def _fetched(self, listing: Listing) -> Iterator[bytes]:
        """Yields the segments, as soon as they are named, each after its header if that is another one."""
        last, header, came = -1, None, time.monotonic()
        segments = listing.segments if listing.ends else listing.segments[-BEHIND:]
        while True:
            for segment in segments:
                if segment.header and segment.header != header:
                    yield self._fetch(segment.header)[0]
                yield self._segment(segment)
                last, header, came = segment.number, segment.header, time.monotonic()
            if listing.ends:
                return
            if time.monotonic() - came > max(STALLED, 6 * listing.pause):
                raise AddressError(f"its playlist has named nothing new for {time.monotonic() - came:.0f} s")
            time.sleep(listing.pause)
            listing = self._list()
            segments = [segment for segment in listing.segments if segment.number > last]

    def _segment(self, segment: Segment) -> bytes:
        content, _ = self._fetch(segment.part)
        content = content if segment.key is None else self._decrypted(content, segment, segment.key)
        if not (content.startswith(b"G") or content[4:8] in BOXES):
            raise AddressError(f"{segment.part.address} is no segment of a video that is read here")
        return content

    def _decrypted(self, content: bytes, segment: Segment, key: Key) -> bytes:
        address, vector = key.address, key.vector or segment.number.to_bytes(16, "big")
        if address not in self._keys:
            self._keys = {address: self._fetch(Part(address), MOST_TEXT, self._timeout)[0]}
        if len(self._keys[address]) != len(vector):
            raise _unplayable(f"its key at {address} is not one of {len(vector)} bytes")
        return decrypt(content, self._keys[address], vector)

    def _fetch(self, part: Part, most: int = MOST_BYTES, seconds: float = LONGEST) -> tuple[bytes, str]:
        """Returns the bytes of `part`, and the address at the end of all redirects."""
        end = None if part.length is None else part.start + part.length
        headers = {} if end is None else {"Range": f"bytes={part.start}-{end - 1}"}
        seconds = min(seconds, self._start + self._seconds - time.monotonic())
        if seconds <= 0:
            raise AddressError(f"it has not ended after {self._seconds:g} s")
        with open_address(part.address, seconds, self._timeout, self._site, headers) as answer:
            content, url, is_part = answer.read(most + 1), answer.url, answer.status == 206
            if len(content) > most:
                raise _unplayable(f"{part.address} is larger than {most // 10**6} MB")
            if answer.length:
                raise AddressError(f"{part.address} broke off {answer.length} bytes before its end")
        # A server need not know of ranges.
        return (content if is_part else content[part.start : end]), url


def decrypt(content: bytes, key: bytes, vector: bytes) -> bytes:
    """Returns `content` without its encryption, AES-128 in CBC with padding; FFmpeg, which has it, reads files."""
    options = {"decryption_key": key.hex(), "decryption_iv": vector.hex(), "protocol_whitelist": "crypto,file"}
    with scratch_folder() as folder:
        path = folder / "segment"
        path.write_bytes(content)
        try:
            with av.open(f"crypto:{path}", format="data", options=options) as file:
                return b"".join(bytes(packet) for packet in file.demux())
        except av.error.FFmpegError:
            raise AddressError("one of its segments cannot be decrypted") from None


def _unplayable(reason: str) -> AddressError:
    return AddressError(f"its playlist cannot be played: {reason}", final=True)


def _finite(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e6:
        raise ValueError(text)
    return seconds
