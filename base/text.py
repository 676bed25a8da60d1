"""Text that came from elsewhere, as a terminal or a page may show it."""

import unicodedata

_BREAKS = ("Cc", "Cs", "Zl", "Zp")
"""Categories of Unicode: controls, halves of pairs, and the ends of lines and paragraphs."""
_JOINERS = "\u200c\u200d"
"""They shape letters and emoji, and are harmless."""


def printable(text: str) -> str:
    """Returns `text` on one line, with what cannot be seen or turns the order of letters written as escapes.

    >>> printable("a\u202egpj.mp4")
    'a\\u202egpj.mp4'
    """
    return "".join(_escape(sign) if is_break(sign) else sign for sign in visible(text))


def printable_lines(text: str) -> str:
    """Returns `text` with each of its lines `printable`: a name in it may hold what a terminal takes for a command."""
    return "\n".join(map(printable, text.split("\n")))


def visible(text: str) -> str:
    """Returns `text` with what cannot be seen, such as marks of the direction of writing, written as escapes."""
    return "".join(_escape(sign) if _is_hidden(sign) else sign for sign in text)


def is_break(sign: str) -> bool:
    """Returns whether `sign` is a control character, ends a line, or is no Unicode: no name of a video has one."""
    return unicodedata.category(sign) in _BREAKS


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) == "Cf" and sign not in _JOINERS


def _escape(sign: str) -> str:
    return ascii(sign)[1:-1]
