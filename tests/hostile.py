"""A corpus of files that nobody would call a clip, and calls that kill or hold up the worker they run in.

A few tiny clips are encoded; the rest is surgery on their bytes. Everything is seeded, so a file that fails has a name
that can be made again.
"""

import ctypes
import os
import random
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np

from cache.profile import CropProfile
from extract.clips.crops import CroppedClip, crop_clip
from extract.video.containers import Limits
from tests.clips import counting_images, turn_display, write_clip, write_sound

COUNT = 14
SIZE, TURNED = (32, 48), (48, 32)  # height, width
HUGE = (16384, 8640)  # width, height

X265 = {"x265-params": "log-level=none:pools=none"}

CONTAINERS: dict[str, dict[str, Any]] = {
    "mp4": {"codec": "libx264", "options": {"g": "5", "bf": "2"}},
    "mkv": {"codec": "mpeg4"},
    "webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "ts": {"codec": "libx264", "options": {"g": "5", "bf": "2"}},
    "gif": {"codec": "gif", "pixels": "rgb8"},
    "mov": {"codec": "libx264", "options": {"movflags": "faststart"}},
    "flv": {"codec": "flv"},
}
CODECS: dict[str, dict[str, Any]] = {
    "ten bits.mp4": {"codec": "libx264", "pixels": "yuv420p10le"},
    # x265 writes past its buffers when a frame is lower than a block of 64 pixels.
    "hevc.mp4": {"codec": "libx265", "size": (64, 96), "options": X265},
    "hevc ten bits.mkv": {"codec": "libx265", "size": (64, 96), "pixels": "yuv420p10le", "options": X265},
    "av1.mp4": {"codec": "libsvtav1", "size": (64, 64), "options": {"preset": "12"}},
    "grey.mp4": {"codec": "libx264", "pixels": "gray"},
    "rgb.mp4": {"codec": "libx264rgb", "pixels": "rgb24"},
    "alpha.mov": {"codec": "png", "pixels": "rgba"},
    "alpha.webm": {"codec": "libvpx-vp9", "pixels": "yuva420p", "options": {"deadline": "realtime"}},
    "sixteen bits.mkv": {"codec": "ffv1", "pixels": "gray16le"},
    "raw.avi": {"codec": "rawvideo", "pixels": "bgr24"},
    "raw.y4m": {"codec": "wrapped_avframe"},
    "interlaced.mpg": {"codec": "mpeg2video", "options": {"flags": "+ildct+ilme"}},
    "no times.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "no times.h264": {"codec": "libx264"},
    "no times.mjpeg": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "no container.m4v": {"codec": "mpeg4"},
    "one frame.mp4": {"codec": "libx264", "count": 1},
    "one frame.gif": {"codec": "gif", "pixels": "rgb8", "count": 1},
    "variable rate.mkv": {"codec": "mpeg4", "times": [*range(7), *range(100, 800, 100)]},
    "late start.mp4": {"codec": "libx264", "times": list(range(100_000, 100_000 + COUNT))},
    "negative times.mkv": {"codec": "libx264", "times": list(range(-7, -7 + COUNT))},
    "negative times.mp4": {"codec": "libx264", "times": list(range(-7, -7 + COUNT))},
    "ages between frames.mkv": {"codec": "mpeg4", "times": [10**5 * i for i in range(COUNT)]},
}
SIZES = [(1, 1), (2, 2), (1, 64), (64, 1), (17, 33), (1, 15), (15, 1), (3, 5), (7, 2), (2, 4000)]  # height, width


def make_corpus(folder: Path) -> list[Path]:
    """Writes the whole corpus into `folder`; returns its paths, more than 300, sorted."""
    clips = {kind: write_clip(folder / f"whole.{kind}", images(), **how) for kind, how in CONTAINERS.items()}
    for kind, path in clips.items():
        for name, content in damaged(path.read_bytes(), random.Random(kind)):
            (folder / f"{name}.{kind}").write_bytes(content)
    makers = (make_codecs, make_sizes, make_times, make_headers, make_foreign, make_lists, make_odd, make_names)
    for make in makers:
        make(folder, clips)
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def images(count: int = COUNT, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Frames with a number each and some noise, so that there is something to compress."""
    noise = np.random.default_rng(0).integers(0, 60, (count, *size, 3), np.uint8)
    return [image // 2 + add for image, add in zip(counting_images(count, size), noise, strict=True)]


def damaged(content: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yields a name and the bytes of a clip cut at every twentieth, with flipped bits, and otherwise mishandled."""
    size = len(content)
    for part in range(1, 20):
        yield f"cut at {part} twentieths", content[: size * part // 20]
    for number in range(12):
        ranges = [(0, 64), (0, size // 8), (0, size)]
        yield f"flipped {number}", flipped(content, chance, 1 + number, *ranges[number % 3])
    third = size // 3
    yield "zeroed", content[:third] + bytes(third) + content[2 * third :]
    yield "zeroed start", bytes(32) + content[32:]
    yield "appended", content + chance.randbytes(5000)
    yield "doubled", content + content
    yield "repeated middle", content[: 2 * third] + content[third:]
    yield "swapped", content[:third] + content[2 * third :] + content[third : 2 * third]
    yield "missing middle", content[:third] + content[2 * third :]
    yield "late", chance.randbytes(100) + content


def flipped(content: bytes, chance: random.Random, bits: int, start: int, end: int) -> bytes:
    """Returns `content` with `bits` of the bits between bytes `start` and `end` flipped."""
    changed = bytearray(content)
    for _ in range(bits):
        changed[chance.randrange(start, min(end, len(changed)))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def make_codecs(folder: Path, clips: dict[str, Path]) -> None:
    """Codecs, depths and clocks that a decoder meets in the wild."""
    for name, how in CODECS.items():
        how = dict(how)
        frames = images(how.pop("count", COUNT), how.pop("size", SIZE))
        write_clip(folder / name, frames, **how)


def make_sizes(folder: Path, clips: dict[str, Path]) -> None:
    """Frames of one pixel, of one row, of odd sides; a clip whose size changes; frames too large to decode."""
    for height, width in SIZES:
        frames = [np.full((height, width, 3), 16 * i, np.uint8) for i in range(COUNT)]
        write_clip(folder / f"{width}x{height}.mov", frames, "png", "rgb24")
        write_clip(folder / f"{width}x{height}.gif", frames, "gif", "rgb8")
    tall = write_clip(folder / "tall.ts", images(size=TURNED), **CONTAINERS["ts"])
    (folder / "size changes.ts").write_bytes(clips["ts"].read_bytes() + tall.read_bytes())
    write_pictures(folder / "16k really.mov", [bit_picture(*HUGE)], HUGE)
    write_pictures(folder / "16k later.mov", [bit_picture(*TURNED), bit_picture(*HUGE)] * 7, TURNED)
    write_pictures(folder / "pixels without end.mov", [bit_picture(2**31 - 1, 2**31 - 1, rows=1)], TURNED)
    gif = clips["gif"].read_bytes()
    (folder / "16k in the header.gif").write_bytes(gif[:6] + struct.pack("<HH", *HUGE) + gif[10:])
    jpeg = struct.pack(">HH", *SIZE)
    for kind in ("avi", "mjpeg"):
        content = (folder / f"{'whole' if kind == 'avi' else 'no times'}.{kind}").read_bytes()
        (folder / f"16k in the frames.{kind}").write_bytes(content.replace(jpeg, struct.pack(">HH", *HUGE[::-1])))


def bit_picture(width: int, height: int, rows: int | None = None) -> bytes:
    """Returns a PNG of one bit a pixel, black; `rows` of it are really there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compress(bytes(1 + min(width // 8, 10**6)) * (height if rows is None else rows), 1)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def write_pictures(path: Path, pictures: list[bytes], size: tuple[int, int]) -> None:
    """Writes PNG `pictures` as the frames of a clip that says it is of the `size` width, height."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("png", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "monob"
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = True
            container.mux(packet)


FLV_TIMES = {
    "same times": [0] * COUNT,
    "pairs of times": [40 * (i // 2) for i in range(COUNT)],
    "times backwards": [40 * (COUNT - i) for i in range(COUNT)],
    "times at random": random.Random(0).sample(range(10_000), COUNT),
    "times below zero": [40 * i - 1000 for i in range(COUNT)],
    "times without end": [(2**31 - 1) * (i % 2) for i in range(COUNT)],
    "times that leap back": [i * 40 if i < 7 else -(2**31) + i for i in range(COUNT)],
}


def make_times(folder: Path, clips: dict[str, Path]) -> None:
    """Timestamps that repeat, go back, lie below zero or run away."""
    for name, times in FLV_TIMES.items():
        (folder / f"{name}.flv").write_bytes(with_flv_times(clips["flv"].read_bytes(), times))
    for name, delta in (("same", 0), ("negative", 2**32 - 5), ("endless", 2**31 - 1)):
        (folder / f"{name} steps of time.mp4").write_bytes(with_box(clips["mp4"], b"stts", 12, delta))


def with_flv_times(content: bytes, times: list[int]) -> bytes:
    """Returns an FLV file whose video tags are shown at `times`, in milliseconds."""
    changed, at, left = bytearray(content), 13, list(times)
    while at + 11 < len(changed):
        if changed[at] == 9 and left:
            stamp = struct.pack(">i", left.pop(0))
            changed[at + 4 : at + 8] = stamp[1:] + stamp[:1]
        at += 11 + int.from_bytes(changed[at + 1 : at + 4]) + 4
    return bytes(changed)


HEADERS = {
    "samples without end": (b"stts", 8, 2**32 - 1),
    "entries without end": (b"stts", 4, 2**32 - 1),
    "sizes without end": (b"stsz", 8, 2**32 - 1),
    "one size of 4 GB": (b"stsz", 4, 2**32 - 1),
    "frames far away": (b"stco", 8, 2**32 - 16),
    "chunks without end": (b"stco", 4, 2**32 - 1),
    "no key frame": (b"stss", 4, 0),
    "key frames without end": (b"stss", 4, 2**32 - 1),
    "no time scale": (b"mdhd", 12, 0),
    "time scale without end": (b"mdhd", 12, 2**32 - 1),
    "a year long": (b"mdhd", 16, 2**32 - 1),
    "a box without end": (b"stbl", -4, 2**32 - 1),
    "an unknown codec": (b"stsd", 12, 0x7A7A7A7A),
}


def make_headers(folder: Path, clips: dict[str, Path]) -> None:
    """Mp4 headers that claim what is not there."""
    for name, (box, offset, value) in HEADERS.items():
        (folder / f"{name}.mp4").write_bytes(with_box(clips["mp4"], box, offset, value))
    for turns in (1, 2, 3):
        path = folder / f"turned by {turns}.mp4"
        path.write_bytes(clips["mp4"].read_bytes())
        turn_display(path, turns)
    (folder / "turned into nothing.mp4").write_bytes(with_box(clips["mp4"], b"tkhd", 40, 0))


def with_box(path: Path, box: bytes, offset: int, value: int) -> bytes:
    """Returns the mp4 at `path` with 32 bits replaced, `offset` bytes after the name of the first such box."""
    content = bytearray(path.read_bytes())
    start = content.index(box) + 4 + offset
    content[start : start + 4] = struct.pack(">I", value)
    return bytes(content)


def make_foreign(folder: Path, clips: dict[str, Path]) -> None:
    """What is no video at all, and videos under another suffix."""
    chance = random.Random(1)
    html = "<!doctype html><title>404</title><p>The file has moved.\n" * 9
    texts = {"text": "no video\n" * 500, "json": '{"frames": [1, 2]}', "html": html, "csv": "a,b\n1,2\n" * 50,
             "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nhello\n", "lyrics": "[00:01.00]la\n" * 9,
             "tags": ";FFMETADATA1\ntitle=x\n", "script": "#!/bin/sh\nexit 1\n"}  # fmt: skip
    for name, text in texts.items():
        (folder / f"{name}.mp4").write_text(text)
    for name, content in {"empty": b"", "one byte": b"\0", "zeros": bytes(10**6), "ones": b"\xff" * 10**5}.items():
        (folder / f"{name}.mp4").write_bytes(content)
    for kind in ("mp4", "avi", "gif", "ts", "mkv"):
        (folder / f"random.{kind}").write_bytes(chance.randbytes(20_000))
    for kind, other in (("mp4", "avi"), ("mp4", "gif"), ("gif", "mp4"), ("ts", "mp4"), ("avi", "webm"), ("mkv", "mp4")):
        (folder / f"really {kind}.{other}").write_bytes(clips[kind].read_bytes())
    (folder / "picture.mp4").write_bytes(bit_picture(*SIZE))
    with zipfile.ZipFile(folder / "zip.mp4", "w") as archive:
        archive.write(clips["mp4"], "clip.mp4")
    with h5py.File(folder / "shard.mp4", "w") as file:
        file["array"] = np.zeros(100)
    write_sound(folder / "sound only.mp4")
    write_sound(folder / "sound only.mkv")


def make_lists(folder: Path, clips: dict[str, Path]) -> None:
    """Texts that ask the reader to open something else: another clip, /etc/passwd, an address."""
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5555 RTP/AVP 96\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        'mimeType="video/mp4"><Representation id="0"><BaseURL>{}</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>"
    )
    texts = {"hls": hls, "concat": "ffconcat version 1.0\nfile '{}'\n", "dash": dash, "asx": "[Reference]\nRef1={}\n"}
    targets = {"clip": "whole.ts", "path": str(clips["ts"]), "passwd": "/etc/passwd", "address": "http://127.0.0.1:9/x"}
    for kind, text in texts.items():
        for name, target in targets.items():
            for suffix in ("mp4", {"hls": "m3u8", "dash": "mpd", "concat": "ffconcat", "asx": "asx"}[kind]):
                (folder / f"list {kind} of {name}.{suffix}").write_text(text.format(target))
    (folder / "list rtp.mp4").write_text(sdp)
    (folder / "list rtp.sdp").write_text(sdp)
    (folder / "list of itself.mp4").write_text(texts["concat"].format("list of itself.mp4"))
    (folder / "list picture%d.jpg").write_bytes(b"\xff\xd8\xff")


def make_odd(folder: Path, clips: dict[str, Path]) -> None:
    """Several streams, and what a folder may hold that is no file."""
    write_streams(folder / "two streams.mkv", cover=False)
    write_streams(folder / "cover.mp4", cover=True)
    (folder / "cover first.mp4").write_bytes(with_cover_first((folder / "cover.mp4").read_bytes()))
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "loop there.mp4").symlink_to("loop back.mp4")
    (folder / "loop back.mp4").symlink_to("loop there.mp4")
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    (folder / "endless.mp4").symlink_to("/dev/zero")
    (folder / "link.mp4").symlink_to(clips["mp4"].name)
    locked = folder / "locked.mp4"
    locked.write_bytes(clips["mp4"].read_bytes())
    locked.chmod(0)


def write_streams(path: Path, cover: bool) -> None:
    """Writes a clip with two video streams; with `cover`, the first is a picture of one frame for the shelf."""
    with av.open(str(path), "w") as container:
        first: Any = container.add_stream("mjpeg", rate=25)
        second: Any = container.add_stream("mpeg4", rate=25)
        first.pix_fmt, second.pix_fmt = "yuvj420p", "yuv420p"
        for stream in (first, second):
            stream.height, stream.width = SIZE
        if cover:
            first.disposition = av.stream.Disposition.attached_pic
        for stream, count in ((first, 1 if cover else 5), (second, COUNT)):
            for i, image in enumerate(images(count)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = i
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def with_cover_first(content: bytes) -> bytes:
    """Returns an mp4, its `moov` at the end, with the tags (and the cover in them) before the tracks."""
    at = content.index(b"moov") - 4
    tags = content.index(b"udta", at) - 4
    tracks = content.index(b"trak", at) - 4
    return content[:tracks] + content[tags:] + content[tracks:tags]


NAMES = ["two words", "'single'", '"double"', "new\nline", "tab\tand\rreturn", "\x1b[31mred", "-rf", "--help", "%d%s%%",
         "concat:whole.ts|x", "http:x", "file:x", "名前", "ü" * 100, "n" * 251, "$(reboot)", "`id`", "a;b|c&d",
         "..hidden", "*?[x]", "\u202egnp", "trailing "]  # fmt: skip


def make_names(folder: Path, clips: dict[str, Path]) -> None:
    """A whole clip, and a text, under every name that some program trips over."""
    whole = clips["mp4"].read_bytes()
    for number, name in enumerate(NAMES):
        (folder / f"{name}.mp4").write_bytes(whole if number % 2 else b"no video")
    for name in (b"no \xff\xfe unicode.mp4", b"no \xff\xfe unicode text.mp4"):
        try:
            Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"" if b"text" in name else whole)
        except OSError:  # a file system that keeps names in Unicode
            continue


def crop_or_misbehave(path: Path, profile: CropProfile, limits: Limits) -> tuple[int, CroppedClip]:
    """Returns the worker's process id and the crops, except where the name makes it do what a broken decoder can do."""
    if "kills" in path.name:
        ctypes.string_at(0)
    if "sleeps" in path.name:
        time.sleep(600)
    return os.getpid(), crop_clip(path, profile, limits)
