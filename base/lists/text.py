"""Reading a text that somebody else wrote: UTF-8, UTF-16 or UTF-32, with a byte order mark or, but UTF-32, without."""

import codecs
from pathlib import Path

from base.outside.content import MOST_TABLE, WrongContent, read_regular, require_text

_MARKS = {
    # UTF-32's little-endian mark begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
HEAD = 40
"""Bytes of which every second one is zero at the start of UTF-16 without a mark: lists begin with plain letters."""


def read_text(path: Path) -> str:
    """Returns the text in `path`, its line ends as they are; raises what `open_regular` does."""
    content = read_regular(path, MOST_TABLE)
    coding = _coding(content)
    try:
        return require_text(content.decode(coding))
    except UnicodeDecodeError as error:
        if coding == "utf-8":
            line = content.count(b"\n", 0, error.start) + 1
            found = f"byte 0x{content[error.start]:02x} in line {line} is not UTF-8, but perhaps Windows-1252"
        else:
            found = f"it begins as {coding.upper()} and does not go on like that"
        raise WrongContent(f"{found}: save it as UTF-8") from None


def _coding(content: bytes) -> str:
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            return name
    head = content[:HEAD]
    if len(head) >= 4 and not any(head[1::2]):
        return "utf-16-le"
    if len(head) >= 4 and not any(head[::2]):
        return "utf-16-be"
    return "utf-8"
