"""A form as strangers send it: each file in it goes to the disk as it comes, one after another.

So many small files neither fill the memory nor use up what the process may have open.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from detect.web.guards.refusals import Refused

MOST_FILES, MOST_FIELDS = 1000, 4
AROUND = 16 << 10
"""Bytes that a request has around its files, or in a field."""
FILE = "file"
"""What the fields with files are called; files in others are not kept."""


@dataclass(frozen=True)
class Form:
    """The `fields` of a form by name, and its `files`: what the sender calls each, and where it lies."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, Path]] = field(default_factory=list)


async def read_form(request: Request, folder: Path) -> Form:
    """Returns the form that a request brings, with its files in `folder`; refuses what is none, or has too many parts.

    A file that a browser sends without a name, because none was chosen, is left out.
    """
    _, options = parse_options_header(request.headers["content-type"])
    reader = _Reader(folder)
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks)  # pyright: ignore[reportArgumentType]
        async for chunk in request.stream():
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except (FormParserError, KeyError) as error:
        why = "it does not say how its parts are divided" if isinstance(error, KeyError) else str(error)
        raise Refused(400, f"The request is no form ({why}).") from None
    finally:
        reader.close()
    return reader.form


class _Reader:
    """Takes the parts of a form from a parser, in the order in which they come."""

    def __init__(self, folder: Path) -> None:
        self.form = Form()
        self._folder, self._files, self._fields = folder, 0, 0
        self._header, self._headers = [b"", b""], dict[bytes, bytes]()
        self._name, self._text = "", b""
        self._file: IO[bytes] | None = None
        self._is_text = False

    @property
    def callbacks(self) -> dict[str, Any]:
        """What the parser calls."""
        header = {f"on_header_{what}": getattr(self, f"_on_header_{what}") for what in ("field", "value", "end")}
        part = {f"on_part_{what}": getattr(self, f"_on_part_{what}") for what in ("begin", "data", "end")}
        return header | part | {"on_headers_finished": self._on_headers_finished}

    def close(self) -> None:
        """Closes the file that was coming."""
        if self._file:
            self._file.close()
            self._file = None

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self._header = [b"", b""]

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name, self._text = options.get(b"name", b"").decode("utf-8", "replace"), b""
        self._is_text = b"filename" not in options
        self._fields, self._files = self._fields + self._is_text, self._files + (not self._is_text)
        if self._fields > MOST_FIELDS:
            raise Refused(400, f"The form has more than {MOST_FIELDS} fields, the most that are taken.")
        if self._files > MOST_FILES:
            raise Refused(413, f"The form has more than {MOST_FILES:,} files, the most that are taken.")
        if self._is_text:
            return
        if self._name == FILE and (named := options[b"filename"].decode("utf-8", "replace")):
            path = self._folder / str(self._files)
            self._file = path.open("wb")
            self.form.files.append((named, path))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._file.write(data[start:end])
        elif self._is_text:
            self._text += data[start:end]
            if len(self._text) > AROUND:
                raise Refused(400, f"A field of the form has more than {AROUND:,} bytes.")

    def _on_part_end(self) -> None:
        self.close()
        if self._is_text:
            self.form.fields[self._name] = self._text.decode("utf-8", "replace")
