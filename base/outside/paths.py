"""Paths as people write them in lists and on command lines: as addresses, and in either form of Unicode."""

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit


def plain_path(text: str) -> str:
    """Returns the path that `text` names, which may be an address such as file:///clips/a%20b.mp4."""
    if text[:5].lower() != "file:":
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    return unquote(parts.path) if parts.netloc in ("", "localhost") else text


def existing(path: Path) -> Path:
    """Returns `path`, its names in the form of Unicode that the disk has; as it is if there is no such thing.

    macOS writes an accent as a sign of its own (NFD), most others write it as one with its letter (NFC), and a list
    made on one system names the files of the other.
    """
    if path.as_posix().isascii() or os.path.lexists(path):
        return path
    there = Path(path.anchor)
    for name in path.parts[len(there.parts) :]:
        forms = (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
        there /= next((one for one in forms if os.path.lexists(there / one)), name)
    return there if os.path.lexists(there) else path
