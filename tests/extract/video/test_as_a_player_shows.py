"""Every kind of clip gives the frames that a player shows: here against FFmpeg's own filters on all of its frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from extract.video.decode import play, read_times, sample_frames
from extract.video.display import one_size
from tests.clips import EXACT, HARD_CLIPS, HLG, PQ, WHITE, X265, high_range, turn_display, write_clip, write_streams

COUNT, HEIGHT, WIDTH = 36, 96, 128
EVENLY = tuple(range(1, COUNT, 3))
"""The frames in the middle of twelve equal spans of 36."""


def scenes(count: int = COUNT, height: int = HEIGHT, width: int = WIDTH, start: int = 0) -> list[np.ndarray]:
    """Returns frames that are 4 grey levels apart, with a colour of their own in each corner."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 90 / width, y * 90 / height, 90 - x * 60 / width], axis=2)
    return [np.clip(picture + 10 + 4 * (start + k), 0, 255).astype(np.uint8) for k in range(count)]


@dataclass(frozen=True)
class Kind:
    """A clip, what a player does to its frames (filters of FFmpeg), and the frames that are wanted."""

    make: Callable[[Path], object]
    filters: Sequence[tuple[str, str]] = ()
    wanted: Sequence[int] = EVENLY
    suffix: str = ".mp4"
    stream: int = 0
    after: Callable[[np.ndarray], np.ndarray] = field(default=lambda image: image)
    colours: str = ""
    """What a player takes the colours for; as tagged if empty."""


def played(path: Path, kind: Kind) -> list[np.ndarray]:
    """Returns all frames of the clip, decoded without skipping any, through the filters."""
    shown = []
    with av.open(str(path)) as container:
        stream = container.streams.video[kind.stream]
        for number, frame in enumerate(container.decode(stream)):
            graph: Any = av.filter.Graph()
            shape = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/25"
            colours = kind.colours or f"colorspace={frame.colorspace}:range={frame.color_range}"
            filters = [*kind.filters, ("format", "rgb24")]
            chain = [graph.add("buffer", f"{shape}:{colours}"), *(graph.add(*each) for each in filters)]
            graph.link_nodes(*chain, graph.add("buffersink")).configure()
            frame.pts = number
            graph.push(frame)
            graph.push(None)
            shown.append(kind.after(graph.pull().to_ndarray()))
    return shown


def encoded(codec: str = "libx264", pixels: str = "yuv420p", **options: Any) -> Callable[[Path], object]:
    """Returns what writes the scenes with `codec`."""
    defaults = {"libx264": EXACT, "libx265": X265}.get(codec, {})
    settings: dict[str, Any] = {"options": defaults} | options
    return lambda path: write_clip(path, scenes(), codec, pixels, **settings)


def turned(turns: int = 0, matrix: tuple[int, int, int, int] | None = None, codec: str = "libx264"):
    def make(path: Path) -> None:
        encoded(codec)(path)
        turn_display(path, turns, matrix)

    return make


def joined(*makers: Callable[[Path], object]) -> Callable[[Path], object]:
    """Returns what writes clips one after the other into one file, as `cat` does."""

    def make(path: Path) -> None:
        parts = [path.with_name(f"{number}-{path.name}") for number in range(len(makers))]
        for maker, part in zip(makers, parts, strict=True):
            maker(part)
        path.write_bytes(b"".join(part.read_bytes() for part in parts))

    return make


def half(first: bool, codec: str = "libx264") -> Callable[[Path], object]:
    images = scenes()[: COUNT // 2] if first else scenes()[COUNT // 2 :]
    return lambda path: write_clip(path, images, codec, options=EXACT if codec == "libx264" else {})


def tagged(codec: str, pixels: str, **tags: int) -> Callable[[Path], object]:
    """Returns what writes a clip whose stream says how its colours are meant."""

    def make(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(
                codec, rate=25, options={"libx264": EXACT, "libx265": X265}.get(codec, {})
            )
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
            for name, value in tags.items():
                setattr(stream.codec_context, name, value)
            for image in scenes():
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame = frame.reformat(
                    format=pixels,
                    dst_colorspace=tags.get("colorspace"),
                    dst_color_range=tags.get("color_range"),
                )
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    return make


def interlaced(codec: str, options: dict[str, str]) -> Callable[[Path], object]:
    """Returns what writes a moving picture whose frames hold two moments each, one in every other line."""

    def moment(k: int) -> np.ndarray:
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        channels = (60 + 60 * np.sin((x - 2 * k) / 20) + y / 2, 60 + 60 * np.cos((x - 2 * k) / 30), 90 + x / 4 + 0 * y)
        return np.clip(np.stack(channels, axis=2), 0, 255).astype(np.uint8)

    def make(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(codec, rate=25, options=options | {"flags": "+ilme+ildct"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for k in range(COUNT):
                woven = moment(2 * k)
                woven[1::2] = moment(2 * k + 1)[1::2]
                graph: Any = av.filter.Graph()
                chain = (("scale", "interl=1"), ("format", "yuv420p"), ("setfield", "tff"), ("buffersink", ""))
                source = graph.add("buffer", f"video_size={WIDTH}x{HEIGHT}:pix_fmt=rgb24:time_base=1/25")
                graph.link_nodes(source, *(graph.add(*each) for each in chain)).configure()
                frame = av.VideoFrame.from_ndarray(woven, format="rgb24")
                frame.pts = k
                graph.push(frame)
                container.mux(stream.encode(graph.pull()))
            container.mux(stream.encode())

    return make


def two_streams(sizes: Sequence[tuple[int, int]], default: int | None) -> Callable[[Path], object]:
    """Returns what writes a file with a stream of each size; one may be the default."""
    films = [
        [scenes(1, *size, start=k if size[0] == HEIGHT else 20 - k // 2)[0] for k in range(COUNT)] for size in sizes
    ]
    return lambda path: write_streams(path, films, default)


def with_cover(path: Path) -> None:
    """Writes a film whose first video stream is a large picture of one frame."""
    with av.open(str(path), "w") as container:
        cover: Any = container.add_stream("mjpeg", rate=25)
        film: Any = container.add_stream("libx264", rate=25, options=EXACT)
        cover.width, cover.height, cover.pix_fmt = 4 * WIDTH, 4 * HEIGHT, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture = scenes(1, 4 * HEIGHT, 4 * WIDTH)[0]
        container.mux(cover.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(cover.encode())
        for image in scenes():
            container.mux(film.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(film.encode())


def large(path: Path) -> None:
    """Writes frames of 720 lines that do not say how their colours are meant."""
    write_clip(path, scenes(COUNT, 720, 960), options={"crf": "8", "preset": "ultrafast"})


def see_through(codec: str, pixels: str) -> Callable[[Path], object]:
    """Returns what writes frames that are half transparent on the right."""

    def make(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
            for image in scenes():
                alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
                alpha[:, WIDTH // 2 :] = 128
                frame = av.VideoFrame.from_ndarray(np.concatenate([image, alpha], axis=2), format="rgba")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    return make


def over_black(image: np.ndarray) -> np.ndarray:
    shown = image.astype(float)
    shown[:, image.shape[1] // 2 :] *= 128 / 255
    return np.rint(shown).astype(np.uint8)


REFRESH = {"x264-params": "intra-refresh=1:keyint=12:bframes=0", **EXACT}
LONG = [*range(COUNT // 2), *(90_000 + k for k in range(COUNT // 2))]
LATE = [0, *(50_000 + k for k in range(COUNT - 1))]
VARIABLE = [*range(18), *range(18, 18 + 18 * 4, 4)]
OFFSET = [100_000 + k for k in range(COUNT)]
VARIABLE_WANTED = [3, 10, 18, 19, 21, 23, 25, 27, 28, 30, 32, 34]
"""The clip ends at 87, so a twelfth of it is 7.25 long: these are on display at 3.625, 10.875, ..."""

KINDS = {
    "turned once, mp4": Kind(turned(1), [("transpose", "clock")]),
    "turned twice, mov": Kind(turned(2, codec="mpeg4"), [("hflip", ""), ("vflip", "")], suffix=".mov"),
    "turned thrice, mp4 hevc": Kind(turned(3, codec="libx265"), [("transpose", "cclock")]),
    "mirrored, mp4": Kind(turned(matrix=(-1, 0, 0, 1)), [("hflip", "")]),
    "upside down, mov": Kind(turned(matrix=(1, 0, 0, -1)), [("vflip", "")], suffix=".mov"),
    "mirrored and turned, mp4": Kind(turned(matrix=(0, 1, 1, 0)), [("transpose", "cclock_flip")]),
    "wide pixels, mp4": Kind(encoded(aspect=Fraction(2)), [("scale", f"{2 * WIDTH}:{HEIGHT}:flags=bilinear")]),
    "wide pixels, ts": Kind(
        encoded("mpeg2video", aspect=Fraction(4, 3), options={"b": "20M"}),
        [("scale", f"{round(WIDTH * 4 / 3)}:{HEIGHT}:flags=bilinear")],
        suffix=".ts",
    ),
    "narrow pixels, mkv": Kind(
        encoded("mpeg4", aspect=Fraction(1, 2)), [("scale", f"{WIDTH}:{2 * HEIGHT}:flags=bilinear")], suffix=".mkv"
    ),
    "full range, mp4": Kind(tagged("libx264", "yuv420p", color_range=2)),
    "full range, mjpeg": Kind(encoded("mjpeg", "yuvj420p"), suffix=".avi"),
    "BT.709, mp4": Kind(tagged("libx264", "yuv420p", colorspace=1)),
    "BT.709, mkv hevc": Kind(tagged("libx265", "yuv420p", colorspace=1), suffix=".mkv"),
    "BT.601, webm": Kind(tagged("libvpx-vp9", "yuv420p", colorspace=5), suffix=".webm"),
    "BT.2020, ten bits, mkv": Kind(tagged("libx265", "yuv420p10le", colorspace=9), suffix=".mkv"),
    "ten bits, mov": Kind(encoded("prores_ks", "yuv422p10le"), suffix=".mov"),
    "ten bits, mkv": Kind(encoded("libx265", "yuv420p10le"), suffix=".mkv"),
    "interlaced, ts": Kind(interlaced("mpeg2video", {"b": "20M"}), [("bwdif", "mode=send_frame")], suffix=".ts"),
    "interlaced, mkv": Kind(
        interlaced("libx264", EXACT | {"x264-params": "tff=1"}), [("bwdif", "mode=send_frame")], suffix=".mkv"
    ),
    "large and untagged, mp4": Kind(large, colours="colorspace=bt709:range=tv"),
    "transparent, mov": Kind(see_through("qtrle", "argb"), suffix=".mov", after=over_black),
    "transparent, png in mov": Kind(see_through("png", "rgba"), suffix=".mov", after=over_black),
    "preview first, mp4": Kind(two_streams([(32, 48), (HEIGHT, WIDTH)], default=1), stream=1),
    "preview first, no default, ts": Kind(
        two_streams([(32, 48), (HEIGHT, WIDTH)], default=None), stream=1, suffix=".ts"
    ),
    "larger, not the default, mkv": Kind(
        two_streams([(HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH)], default=0), suffix=".mkv"
    ),
    "cover first, mp4": Kind(with_cover, stream=0),
    "two recordings, ts": Kind(joined(half(True), half(False)), suffix=".ts"),
    "two recordings, mpg": Kind(joined(half(True, "mpeg2video"), half(False, "mpeg2video")), suffix=".ts"),
    "the clock jumps, ts": Kind(encoded(times=LONG), suffix=".ts"),
    "the clock jumps, mkv": Kind(encoded("mpeg4", times=LONG), suffix=".mkv"),
    "first frame far before, mp4": Kind(encoded(times=LATE)),
    "first frame far before, mkv": Kind(encoded("mjpeg", "yuvj420p", times=LATE), suffix=".mkv"),
    "no times, h264": Kind(encoded(), suffix=".h264"),
    "no times, avi": Kind(encoded("mpeg4", options={"bf": "2", "q:v": "1"}), suffix=".avi"),
    "all intra, mov": Kind(encoded("mjpeg", "yuvj420p"), suffix=".mov"),
    "all intra, avi": Kind(encoded("ffv1"), suffix=".avi"),
    "intra refresh, mp4": Kind(encoded(options=REFRESH)),
    "intra refresh, ts": Kind(encoded(options=REFRESH), suffix=".ts"),
    "variable rate, mp4": Kind(encoded(times=VARIABLE), wanted=VARIABLE_WANTED),
    "variable rate, mkv": Kind(encoded("libvpx-vp9", times=VARIABLE), wanted=VARIABLE_WANTED, suffix=".mkv"),
    "late clock, ts": Kind(encoded(times=OFFSET), suffix=".ts"),
    "late clock, mp4": Kind(encoded(times=OFFSET)),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_frames_are_those_that_a_player_shows(tmp_path, kind):
    path = tmp_path / f"clip{kind.suffix}"
    kind.make(path)
    every = played(path, kind)
    assert len(every) == COUNT
    expected = [every[number] for number in kind.wanted]
    found = sample_frames(path).images
    assert [image.shape for image in found] == [image.shape for image in expected]
    for number, image, shown in zip(kind.wanted, found, expected, strict=True):
        assert np.abs(image.astype(int) - shown).mean() < 2, number
    # What is watched while it plays is the same.
    streamed = [picture() for _, picture in play(path)]
    assert len(streamed) == COUNT
    for number in kind.wanted:
        assert np.abs(streamed[number].astype(int) - every[number]).mean() < 2, number


def displayed_by_hand(frame: av.VideoFrame) -> np.ndarray:
    """Returns what a plain screen shows of a PQ or HLG frame no brighter than its white: ITU-R BT.2100 and BT.2408."""
    signal = frame.to_ndarray(format="rgb48le") / 65535
    if frame.color_trc == PQ:
        power = signal ** (1 / 78.84375)
        nits = 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    else:
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        nits = 1000 * scene * (scene @ np.array([0.2627, 0.6780, 0.0593]))[..., None] ** 0.2
    to_bt709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    light = np.clip((nits / WHITE) @ to_bt709.T, 0, 1)
    return np.rint(255 * light ** (1 / 2.4)).astype(np.uint8)


@pytest.mark.parametrize(("transfer", "suffix"), [(PQ, ".mp4"), (HLG, ".mkv")])
def test_high_dynamic_range_is_shown_as_on_a_plain_screen(tmp_path, transfer, suffix):
    path = tmp_path / f"clip{suffix}"
    high_range(path, scenes(), transfer)
    with av.open(str(path)) as container:
        every = list(container.decode(video=0))
    originals = scenes()
    for number, image in zip(EVENLY, sample_frames(path).images, strict=True):
        assert np.abs(image.astype(int) - displayed_by_hand(every[number])).mean() < 2, number
        assert np.abs(image.astype(int) - originals[number]).mean() < 4, number


HARD = {
    "D_hflip.mp4": Kind(lambda _: None, [("hflip", "")]),
    "f_rot90.mp4": Kind(lambda _: None, [("transpose", "clock")]),
    "J_sar.mp4": Kind(lambda _: None, [("scale", "320:240:flags=bilinear")]),
    "F_webrtc_up.webm": Kind(lambda _: None, [("scale", "320:240:flags=bilinear")]),
    "G_preview_first.mp4": Kind(lambda _: None, stream=1),
    "E_cat2.ts": Kind(lambda _: None),
    "L_jump.ts": Kind(lambda _: None),
}


@pytest.mark.skipif(not HARD_CLIPS.is_dir(), reason="the hard clips are not here")
@pytest.mark.parametrize("name", HARD)
def test_the_frames_of_clips_that_went_wrong(name):
    kind, path = HARD[name], HARD_CLIPS / name
    every = played(path, kind)
    found = one_size(sample_frames(path).images)
    # The frames in the middle of twelve equal spans; their rates are constant.
    for number, image in zip([(2 * k + 1) * len(every) // 24 for k in range(12)], found, strict=True):
        assert np.abs(image.astype(int) - every[number]).mean() < 2, number


@pytest.mark.parametrize("options", [EXACT, EXACT | {"bf": "2", "preset": "medium"}])
def test_a_still_screen_stays_in_the_clock_and_a_jump_of_hours_does_not(tmp_path, options):
    """In MP4 a frame says how long it is shown, whichever packet that is written in."""
    shown = [*range(18), *range(18 + 1000, 36 + 1000)]  # one frame stands for 40 s
    path = write_clip(tmp_path / "still.mp4", scenes(), times=shown, options=options)
    times, end, scale = read_times(path)
    assert [round(time * scale * 25) for time in times] == shown
    assert end * scale == pytest.approx(1036 / 25)
    path = write_clip(tmp_path / "jump.mp4", scenes(), times=LONG, options=options)
    times, end, scale = read_times(path)
    assert end * scale == pytest.approx(COUNT / 25)


@pytest.mark.skipif(not HARD_CLIPS.is_dir(), reason="the hard clips are not here")
@pytest.mark.parametrize(("name", "seconds"), [("idle.mp4", 50.0), ("L_jump.ts", 4.67), ("E_cat2.ts", 4.67)])
def test_real_clips_are_as_long_as_a_player_shows_them(name, seconds):
    _, end, scale = read_times(HARD_CLIPS / name)
    assert end * scale == pytest.approx(seconds, abs=0.01)
