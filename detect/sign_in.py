"""Addresses as users name them: what is shown of one, and apart from that its sign-in, which is used and never shown.

An address has its sign-in in it, as `http://user:password@host/clip.mp4` has, or gets it from the user's netrc file, as
curl and wget know it: ~/.netrc, or the file that the environment variable NETRC names.
"""

import base64
import contextlib
import os
import re
from dataclasses import dataclass, field
from netrc import NetrcParseError, netrc
from urllib.parse import quote, unquote, urlsplit

from base.errors import UserError

VARIABLE = "NETRC"
"""The environment variable that names the file with the sign-ins of hosts."""
_WORD = re.compile(r"([a-z][a-z0-9+.-]*://)([^/?#]*)@", re.IGNORECASE)
_IN_TEXT = re.compile(r"(?<=://)[^/?#\s]*@")


@dataclass(frozen=True)
class Address:
    """An address without its sign-in, `plain`, and with it what signs in there, "" where nothing does."""

    plain: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def full(self) -> str:
        """The address with the sign-in in it, for whoever opens it: never to be shown."""
        return self.sign(self.plain)

    def sign(self, plain: str) -> str:
        """Returns the address `plain` with this sign-in in it: never to be shown."""
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return plain.replace("://", f"://{who}", 1) if self.user or self.password else plain

    @property
    def basic(self) -> dict[str, str]:
        """The header of HTTP that signs in (RFC 7617), an empty dict without a sign-in."""
        text = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {text}"} if self.user or self.password else {}


def read_address(word: str) -> Address:
    """Returns the address that a user has typed; a UserError names a netrc file that cannot be used."""
    if not (found := _WORD.match(word)):
        return Address(word, *_from_netrc(word))
    user, _, password = found[2].partition(":")
    return Address(_WORD.sub(r"\1", word, count=1), unquote(user), unquote(password))


def shown(text: str) -> str:
    """Returns `text` without the sign-ins of the addresses in it.

    >>> shown("no answer from http://me:secret@example.org/clip.mp4")
    'no answer from http://example.org/clip.mp4'
    """
    # A word that is an address may have blanks in its password.
    return _IN_TEXT.sub("", _WORD.sub(r"\1", text, count=1) if _WORD.match(text) else text)


def _from_netrc(address: str) -> tuple[str, str]:
    """Returns the user and the password that the netrc file has for the host of `address`, "" where it has none."""
    file = os.environ.get(VARIABLE)
    host = ""
    with contextlib.suppress(ValueError):  # it is no address, as whoever opens it will say
        host = urlsplit(address).hostname or ""
    try:
        entry = netrc(file).hosts.get(host)
    except NetrcParseError as error:
        # Its own words may quote a password.
        place = error.filename or file or "~/.netrc"
        where = f"line {error.lineno} of {place}" if error.lineno else place
        raise UserError(
            f"{where} is not a sign-in, or others may read or own the file; mend it, or name another file in the "
            f"environment variable {VARIABLE}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        if not file:
            return "", ""
        raise UserError(f"{VARIABLE} names {file}, which cannot be read ({error}); mend or unset it.") from None
    return (entry[0], entry[2] or "") if entry else ("", "")
