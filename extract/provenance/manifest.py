"""C2PA manifest stores: which program made the newest manifest, and of what source it says the content is.

JUMBF boxes (ISO 19566-5) that hold CBOR (RFC 8949), as the C2PA specification 2.1 lays them out. The signature is not
checked: anybody can write a manifest.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_DEPTH = 16
"""Boxes in boxes, and values in values."""
MOST_VALUES = 100_000
"""Values of a store that are read."""


@dataclass(frozen=True)
class Manifest:
    """What a manifest says: the program that made it, and its sources by the last word of their address."""

    generator: str
    sources: tuple[str, ...]


def read_manifest_store(content: bytes) -> Manifest:
    """Returns the newest manifest, the last one in the store `content`; its words are "" where it cannot be read."""
    start = content.find(b"jumb")
    boxes = _boxes(content[max(0, start - 4) :], ()) if start >= 4 else iter(())
    manifests: dict[str, dict[str, Any]] = {}
    try:
        for labels, cbor in boxes:
            if len(labels) >= 3:  # the store, the manifest, and what is in it
                manifests.setdefault(labels[1], {})[labels[-1]] = _Cbor(cbor).value()
    except (ValueError, IndexError, struct.error, OverflowError):
        pass  # what was read so far still counts
    if not manifests:
        return Manifest("", ())
    entries = list(manifests.values())[-1]
    claims = [value for label, value in entries.items() if label.startswith("c2pa.claim") and isinstance(value, dict)]
    actions = [value for label, value in entries.items() if label.startswith("c2pa.actions")]
    return Manifest(next(map(_generator, claims), ""), tuple(dict.fromkeys(_sources(actions))))


def _generator(claim: dict[Any, Any]) -> str:
    """Returns the name of the program in a claim of either version."""
    info = claim.get("claim_generator_info")
    info = info[0] if isinstance(info, list) and info else info
    if isinstance(info, dict) and isinstance(info.get("name"), str):
        version = info.get("version")
        return f"{info['name']} {version}" if isinstance(version, str) else info["name"]
    name = claim.get("claim_generator")
    return name if isinstance(name, str) else ""


def _sources(value: Any) -> Iterator[str]:
    """Yields the last word of each digital source type in `value`."""
    if isinstance(value, list):
        for inner in value:
            yield from _sources(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == "digitalSourceType" and isinstance(inner, str):
                yield inner.rpartition("/")[2]
            yield from _sources(inner)


def _boxes(content: bytes, labels: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Yields each box of CBOR in the superboxes of `content`, with the labels of those around it."""
    place = 0
    while place + 8 <= len(content) and len(labels) < MOST_DEPTH:
        size, kind = struct.unpack_from(">I4s", content, place)
        inside = content[place + 8 : place + size if size else None]
        if size == 1 or (size and size < 8):
            return
        if kind == b"jumb":
            described, _ = struct.unpack_from(">I4s", inside)
            # A description: 16 bytes of type, one of flags, and the label up to a NUL.
            label = inside[25:described].partition(b"\0")[0].decode("utf-8", "replace")
            yield from _boxes(inside[max(8, described) :], (*labels, label))
        elif kind == b"cbor":
            yield labels, inside
        place += size or len(content)


class _Cbor:
    """Reads one value; raises ValueError, IndexError or struct.error for what is none, or too deep."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place, self._left = content, 0, MOST_VALUES

    def value(self, depth: int = 0) -> Any:
        self._left -= 1
        if depth > MOST_DEPTH or self._left < 0:
            raise ValueError("too deep or too many values")
        kind, number = self._head()
        if kind in (2, 3):
            text = self._take(number)
            return text.decode("utf-8", "replace") if kind == 3 else text
        if kind == 4:
            return [self.value(depth + 1) for _ in range(number)]
        if kind == 5:
            pairs = ((self.value(depth + 1), self.value(depth + 1)) for _ in range(number))
            return {key: value for key, value in pairs if isinstance(key, str | int)}
        if kind == 6:  # a tag before a value
            return self.value(depth + 1)
        return -1 - number if kind == 1 else number

    def _head(self) -> tuple[int, int]:
        """Returns the kind of the next value, 0 to 7, and its number: its length, count or content."""
        first = self._take(1)[0]
        kind, number = first >> 5, first & 31
        if 24 <= number <= 27:
            number = int.from_bytes(self._take(2 ** (number - 24)), "big")
        elif number > 27:
            raise ValueError("of unknown length")
        return kind, number

    def _take(self, count: int) -> bytes:
        taken = self._content[self._place : self._place + count]
        if len(taken) < count:
            raise ValueError("breaks off")
        self._place += count
        return taken
