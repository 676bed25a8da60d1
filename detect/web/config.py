"""The settings of the page, and which of them are refused before any work is done."""

import importlib.util
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from base.commands import flag
from base.errors import UserError
from base.flags import option
from base.outside.content import NO_FILE, read_text
from detect.detector.config import DEFAULT_WINDOW, DetectorConfig, require_threshold

NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*")
ORIGIN = re.compile(r"https?://[\w.-]+(:\d{1,5})?")
ROOT_PATH = re.compile(r"(/[\w.~-]+)*")
PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "jinja2": "jinja2", "python_multipart": "python-multipart"}
"""What the page needs, as modules and as pip knows them."""
LEAST_TOKEN, MOST_TOKEN = 16, 4096
"""Characters of a token, and bytes of its file."""


@dataclass(frozen=True)
class WebConfig(DetectorConfig):
    """How large a clip may be, and where the page is served."""

    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 opens the page to the network")
    port: int = option(7860, "port to listen on; 0 takes one that is free")
    examples: Path | None = option(None, "folder with clips to offer as examples (default: two drawn ones)")
    live: str | None = option(None, "also show this live: a camera's number on this machine, an address or a file")
    most_megabytes: int = option(100, "largest clip accepted, in MB")
    most_seconds: float = option(120.0, "longest clip accepted, in seconds")
    most_work_seconds: float = option(60.0, "longest time that judging a clip may take, in seconds; others wait for it")
    most_waiting: int = option(20, "clips that may wait in the queue; further ones are asked to come back later")
    most_each: int = option(5, "clips that one visitor, who is known by the address, may have waiting")
    names: tuple[str, ...] = option((), "names under which the page is reached, beside this machine's own")
    proxy: str | None = option(
        None, "address or network of the proxy before the page, the only one whose x-forwarded headers are believed"
    )
    root_path: str = option("", "path under which the proxy serves the page, such as /check")
    token_file: Path | None = option(None, "file with a token that whoever asks has to send, as a bearer or a password")
    allow_origin: tuple[str, ...] = option((), "other sites whose pages may use the API, such as https://a.example")
    allow_url: bool = option(False, "judge clips that are named by a public http(s) address; they are downloaded")


def check(config: WebConfig) -> None:
    """Raises a UserError for settings that cannot be served."""
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        packages = " ".join(missing)
        raise UserError(f"the page needs packages that are not installed; pip install {packages} brings them.")
    require_threshold(config.threshold)
    if not 0 <= config.port < 65536:
        raise UserError(f"{flag('port', config.port)} is no port; give a number from 1 to 65535, or 0 for a free one.")
    for name in ("most_megabytes", "most_seconds", "most_work_seconds", "most_waiting", "most_each"):
        if not getattr(config, name) > 0:
            raise UserError(f"{flag(name)} must be above 0 (got {getattr(config, name):g}).")
    for name in config.names:
        _require_form("names", name, NAME, "a host name", "check.example.org, or *.example.org for all below it")
    for origin in config.allow_origin:
        _require_form("allow_origin", origin, ORIGIN, "the address of a site", "https://a.example, without a path")
    _require_form("root_path", config.root_path, ROOT_PATH, "a path of a page", "/check")
    read_token(config.token_file)
    if config.proxy is not None:
        require_network(config.proxy)
    if config.live is not None:
        from detect.stream.frame_sources import open_source

        open_source(config.live, DEFAULT_WINDOW)


def _require_form(name: str, value: str, form: re.Pattern[str], what: str, example: str) -> None:
    if not form.fullmatch(value):
        raise UserError(f"{flag(name, value)} is not {what}; give one such as {example}.")


def read_token(path: Path | None) -> str:
    """Returns the token in the file `path`, "" without one; a UserError says what is wrong with the file."""
    if path is None:
        return ""
    remedy = f"give {flag('token_file')} a file with a random word of {LEAST_TOKEN} letters or more"
    try:
        token = read_text(path, MOST_TOKEN).strip()
    except (*NO_FILE, ValueError) as error:
        raise UserError(f"{path} has no token ({error}); {remedy}.") from None
    if len(token) < LEAST_TOKEN or not token.isascii() or len(token.split()) > 1:
        raise UserError(f"{path} has no token of {LEAST_TOKEN} letters or more in one word; {remedy}.")
    return token


def require_network(proxy: str) -> None:
    """Raises a UserError unless `proxy` is an address or a network."""
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        raise UserError(
            f"{flag('proxy', proxy)} is not an address; give the one from which the proxy connects, such as 127.0.0.1, "
            "or its network, such as 10.0.0.0/8."
        ) from None


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
