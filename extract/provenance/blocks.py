"""The blocks of a file that may say how it was made: C2PA manifests, XMP packets and the texts of a PNG.

Only their headers are read on the way to them, and of a block no more than `MOST` bytes.
"""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Literal

MOST = 2**22
"""Bytes of a block that are read; a manifest with pictures in it has some hundred thousand."""
MOST_BLOCKS = 4096
"""Blocks of a file that are looked at; a fragmented MP4 has one or two for each second, the manifest before them."""
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_TEXT = b"XML:com.adobe.xmp"
_APP1, _APP11, _SCAN = 0xE1, 0xEB, 0xDA


@dataclass(frozen=True)
class Block:
    """A C2PA manifest store (JUMBF), an XMP packet, or a text with its `name`."""

    kind: Literal["c2pa", "xmp", "text"]
    content: bytes
    name: str = ""


def blocks_of(file: BufferedReader) -> Iterator[Block]:
    """Yields the blocks of a JPEG, PNG, WebP, MP4, MOV, HEIC or AVIF file, as far as it is whole; else nothing."""
    start = file.read(12)
    for sign, place, read in _FORMATS:
        if start[place : place + len(sign)] == sign:
            try:
                yield from read(file)
            except (struct.error, OSError, ValueError):
                return


def _size(file: BufferedReader) -> int:
    return os.fstat(file.fileno()).st_size


def _boxes(file: BufferedReader) -> Iterator[Block]:
    """Yields the blocks of a file of ISO's base media format, from its boxes at the top."""
    place, end = 0, _size(file)
    for _ in range(MOST_BLOCKS):
        if place + 8 > end:
            return
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        size = size or end - place
        if size < 8:
            return
        inside = min(MOST, place + size - file.tell())
        if kind == b"uuid":
            content = file.read(max(0, inside))
            if content[:16] == _C2PA_BOX:
                yield Block("c2pa", content[16:])
            elif content[:16] == _XMP_BOX:
                yield Block("xmp", content[16:])
        elif kind in (b"moov", b"meta", b"mdat"):
            # XMP is an item of a HEIC or AVIF picture, and a box deep in a MOV; a picture is small.
            yield from _packets(file.read(max(0, inside)) if kind != b"mdat" or end <= MOST else b"")
        place += size


def _packets(content: bytes) -> Iterator[Block]:
    start = content.find(b"<x:xmpmeta")
    if start >= 0:
        end = content.find(b"</x:xmpmeta>", start)
        yield Block("xmp", content[start : end if end >= 0 else None])


def _segments(file: BufferedReader) -> Iterator[Block]:
    """Yields the blocks of a JPEG file; a manifest may lie in several segments, which repeat the start of its box."""
    file.seek(2)
    manifest = b""
    for _ in range(MOST_BLOCKS):
        marker = file.read(2)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] == _SCAN:
            break
        (size,) = struct.unpack(">H", file.read(2))
        content = file.read(max(0, size - 2))
        if marker[1] == _APP1 and content.startswith(_XMP_SEGMENT):
            yield Block("xmp", content[len(_XMP_SEGMENT) :])
        elif marker[1] == _APP11 and content[:2] == b"JP" and len(manifest) < MOST:
            manifest += content[16:] if manifest else content[8:]
    if manifest:
        yield Block("c2pa", manifest)


def _chunks(file: BufferedReader) -> Iterator[Block]:
    """Yields the blocks of a PNG file; compressed texts are left out."""
    place = 8
    for _ in range(MOST_BLOCKS):
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind in (b"caBX", b"tEXt", b"iTXt"):
            content = file.read(min(size, MOST))
            name, _, text = content.partition(b"\0")
            if kind == b"iTXt":  # whether it is compressed, how, and its language, before the text
                text = b"" if text[:1] != b"\0" else text[2:].split(b"\0", 2)[-1]
            if kind == b"caBX":
                yield Block("c2pa", content)
            else:
                yield Block("xmp", text) if name == _XMP_TEXT else Block("text", text, name.decode("latin-1"))
        place += size + 12


def _riff(file: BufferedReader) -> Iterator[Block]:
    """Yields the blocks of a WebP file."""
    place, kinds = 12, {b"C2PA": "c2pa", b"XMP ": "xmp"}
    for _ in range(MOST_BLOCKS):
        file.seek(place)
        kind, size = struct.unpack("<4sI", file.read(8))
        if kind in kinds:
            yield Block(kinds[kind], file.read(min(size, MOST)))  # pyright: ignore[reportArgumentType]
        place += 8 + size + size % 2


_FORMATS: tuple[tuple[bytes, int, Callable[[BufferedReader], Iterator[Block]]], ...] = (
    (b"\xff\xd8\xff", 0, _segments),
    (b"\x89PNG", 0, _chunks),
    (b"WEBP", 8, _riff),
    (b"ftyp", 4, _boxes),
)
