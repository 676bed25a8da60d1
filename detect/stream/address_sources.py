"""Frames from an address: a live source, a file on a web server, or what an HLS playlist names."""

import errno
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import av

from base.errors import UserError
from cache.schema import FRAMES
from detect.addresses import SIGN_IN, AddressError, Site, open_address
from detect.playlists import FORMATS as SEGMENTS
from detect.playlists import START, Playlist
from detect.sign_in import Address
from detect.stream.frames import TIMEOUT, Frame, FrameSource, Lost, SourceError, paced
from extract.video.containers import CONTAINERS, ClipError, main_stream, open_input
from extract.video.decode import play_stream
from extract.video.display import pixel_aspect, upright

FORMATS = f"{CONTAINERS},rtsp,mpjpeg"
_HTTP = "http,https,tcp,tls,httpproxy"
PROTOCOLS = {
    "file": "file",
    "http": _HTTP,
    "https": _HTTP,
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tcp,tls",
    "rtp": "rtp,udp",
    "rtsp": "rtsp,tcp",
    "rtsps": "rtsps,tcp,tls",
    "srt": "srt",
    "tcp": "tcp",
    "udp": "udp",
}
"""Which of FFmpeg's protocols each kind of address may use: none leads from one kind to another, such as files."""
FINAL = (301, 302, 303, 307, 308, 404, 410)
"""Answers of a server that stay the same if it is asked again: refused redirects, and files that are not there."""
NO_VIDEO = "what it sends is not a readable video, or is damaged"
BROKEN_OFF = "its connection has broken off"

Pace = Callable[[Iterator[Frame]], Iterator[Frame]]


class NoVideo(Lost):
    """What a source sends is no video; a live one may be mended."""


def open_address_source(address: Address, window: float) -> FrameSource:
    """Returns the source at `address`: live, unless a server that can be reached now has a file or a whole film there.

    Raises a UserError for an address of another kind, and a SourceError for what cannot be watched.
    """
    if _protocol(address) not in PROTOCOLS:
        raise UserError(f"cannot watch {address.plain}: the scheme must be one of {', '.join(PROTOCOLS)}.")
    try:
        seconds = _seconds(address)
    except ClipError as error:
        raise SourceError(f"{address.plain} cannot be watched ({error.reason}); give another source.") from None
    if seconds is None:
        return FrameSource(address.plain, True, lambda: _frames(address, paced))
    moments = [(2 * k + 1) * seconds / (2 * FRAMES) for k in range(FRAMES)] if 0 < seconds <= window else None
    return FrameSource(address.plain, False, lambda: _frames(address, iter), moments)


def _seconds(address: Address) -> float | None:
    """Returns how long the file or film at `address` is, 0 if that is unknown; None for a live source, or no answer.

    Raises a ClipError for what cannot be watched.
    """
    answer = _ask(address)
    if not (answer.has_end or answer.is_playlist):
        return None
    try:
        with _opened(answer) as video:
            return video.seconds if video.ends else None
    except Lost as lost:
        if answer.is_playlist or isinstance(lost, NoVideo):
            raise ClipError("unreadable", str(lost)) from None
        return None


@dataclass(frozen=True)
class _Answer:
    """What is at an address: where that has led, whether it has an end, and whether it is a playlist.

    `full` is where FFmpeg finds it, with the sign-in in it: never to be shown.
    """

    full: str
    has_end: bool = False
    is_playlist: bool = False
    address: str = ""
    site: Site | None = None


@dataclass(frozen=True, eq=False)
class _Video:
    """An open video. One that `ends` is so many `seconds` long, 0 if that is unknown.

    With a `clock` its own times say when its frames are shown, else the time of their arrival does.
    """

    stream: av.VideoStream
    ends: bool
    seconds: float
    clock: bool


def _frames(address: Address, pace: Pace) -> Iterator[Frame]:
    """Yields the frames of a live source with their time of arrival, those of a file with their own times by `pace`.

    A live sender's clock may start again at any moment. The segments of a live playlist come at once, so they go at
    their own times.
    """
    ends = False
    try:
        with _opened(_ask(address)) as video:
            ends, aspect = video.ends, pixel_aspect(video.stream)
            shown = (Frame(at, functools.partial(upright, frame, aspect)) for at, frame in _timed(video))
            yield from (pace if ends else paced)(shown) if video.clock else shown
            if video.clock:
                return
    except Lost as lost:
        if ends:  # opened again, it would begin anew
            raise ClipError("unreadable", f"it broke off before its end: {lost}") from None
        raise
    raise Lost("it has ended")


def _timed(video: _Video) -> Iterator[tuple[float, av.VideoFrame]]:
    if video.clock:
        return play_stream(video.stream)
    start = monotonic()
    return ((monotonic() - start, frame) for frame in video.stream.container.decode(video.stream))


@contextmanager
def _opened(answer: _Answer) -> Iterator[_Video]:
    """Opens what is at an address; raises Lost, or a ClipError where another try is of no use."""
    try:
        if answer.is_playlist:
            with _opened_playlist(answer) as video:
                yield video
            return
        options = {
            "rtsp_transport": "tcp",
            "format_whitelist": FORMATS,
            "protocol_whitelist": PROTOCOLS[answer.full.partition("://")[0].lower()],
            "max_redirects": "0",  # `_ask` has followed them
            "rw_timeout": str(int(TIMEOUT * 1e6)),
        }
        with open_input(answer.full, options, TIMEOUT) as container:
            seconds = (container.duration or 0) / av.time_base if (container.size or 0) > 0 else 0.0
            ends = answer.has_end or seconds > 0
            yield _Video(_stream(container), ends, seconds, clock=ends)
    except AddressError as error:
        raise _failure(error) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _lost(error) from None


@contextmanager
def _opened_playlist(answer: _Answer) -> Iterator[_Video]:
    """Opens the video that a playlist names: the decoder is given its bytes, and opens nothing itself."""
    assert answer.site is not None
    try:
        playlist = Playlist(answer.address, answer.site, TIMEOUT)
    except AddressError as error:
        raise _failure(error, FINAL) from None
    options = {"format_whitelist": SEGMENTS, "protocol_whitelist": "none"}
    with open_input(playlist, options) as container:
        yield _Video(_stream(container), playlist.ends, playlist.length, clock=True)


def _stream(container: av.container.InputContainer) -> av.VideoStream:
    if stream := main_stream(container):
        return stream
    raise NoVideo("it has no video")


def _ask(address: Address) -> _Answer:
    """Returns what is at the end of all redirects from an http(s) `address`; of others, nothing is known.

    FFmpeg would follow redirects to any host. Where a server does not answer, it is left to FFmpeg to say why, or to
    sign in by other means. Raises a ClipError where another try is of no use.
    """
    if _protocol(address) not in ("http", "https"):
        return _Answer(address.full)
    site = Site(address)
    try:
        with open_address(address.plain, TIMEOUT, TIMEOUT, site) as answer:
            has_end, is_playlist = answer.length is not None, answer.read(len(START)) == START
            return _Answer(site.full(answer.url), has_end, is_playlist, answer.url, site)
    except AddressError as error:
        failure = _failure(error, FINAL)
        if isinstance(failure, ClipError):
            raise failure from None
        return _Answer(address.full)


def _failure(error: AddressError, final: tuple[int, ...] = ()) -> Lost | ClipError:
    """Returns what `error` means: the end, if it is final or has one of the `final` codes, else a loss."""
    if error.final or error.code in final:
        return ClipError("unreadable", f"{error}, {error.code}" if error.code else str(error))
    return Lost(str(error))


def _lost(error: Exception) -> Lost:
    """Returns in plain words what FFmpeg's `error` means; its own may quote the sign-in."""
    if isinstance(error, av.error.ExitError):
        return Lost(f"it has sent nothing for {TIMEOUT:g} s")
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return Lost(SIGN_IN)
    if isinstance(error, EOFError) or getattr(error, "errno", None) == errno.EIO:  # its word for many things
        return Lost(BROKEN_OFF)
    if isinstance(error, OSError | av.error.HTTPError | av.error.HTTPClientError) and error.errno != errno.EAGAIN:
        return Lost(error.strerror or BROKEN_OFF)
    return NoVideo(NO_VIDEO)


def _protocol(address: Address) -> str:
    return address.plain.partition("://")[0].lower()
