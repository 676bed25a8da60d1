"""Text that came from elsewhere, as a terminal, a page or a spreadsheet may show it."""

import re
import unicodedata

_BREAKS = ("Cc", "Cs", "Zl", "Zp")
"""Categories of Unicode: controls, halves of pairs, and the ends of lines and paragraphs."""
_JOINERS = "\u200c\u200d"
"""They shape letters and emoji, and are harmless."""
FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBERS = re.compile(r"[-+][-+\d.,e \[\]]*")
"""Numbers and intervals with a sign, as tables have them: nothing in them can be a formula that does any harm."""


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
    hidden = {sign for sign in text if unicodedata.category(sign) == "Cf"} - set(_JOINERS)
    return "".join(_escape(sign) if sign in hidden else sign for sign in text)


def is_break(sign: str) -> bool:
    """Returns whether `sign` is a control character, ends a line, or is no Unicode: no name of a video has one."""
    return unicodedata.category(sign) in _BREAKS


def _escape(sign: str) -> str:
    return ascii(sign)[1:-1]


def harmless(cell: object) -> object:
    """Returns `cell` with an apostrophe in front, if it is a text that a spreadsheet would run as a formula.

    >>> harmless("=1+1.mp4"), harmless("-0.1 [-0.2, +0.1]"), harmless(-1)
    ("'=1+1.mp4", '-0.1 [-0.2, +0.1]', -1)
    """
    if not isinstance(cell, str) or not FORMULA.match(cell) or _NUMBERS.fullmatch(cell):
        return cell
    return f"'{cell}"
