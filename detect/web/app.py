"""The page and its API as one application: its answers behind its guards, and what runs beside them.

Nothing here contacts another machine, unless a visitor may name an address, and the page's content policy forbids the
browser to do so.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Mount

from base.commands import flag
from base.errors import UserError
from base.progress import doing
from detect.detector.config import DEFAULT_WINDOW
from detect.detector.judge import Detector
from detect.stream.frame_sources import open_source
from detect.web.api import HEALTH, Api
from detect.web.cases import LEAST, MEGABYTE, Cases, Room
from detect.web.config import WebConfig, read_token
from detect.web.guards.connections import Connections, Patience
from detect.web.guards.origins import Forwarded, OwnNames, Policy, SameOrigin, Token
from detect.web.judging import judge_case
from detect.web.live import LAST_WORD, Live, shared
from detect.web.pages import Pages
from detect.web.server import serve
from detect.web.service import Service, copy_examples, draw_examples

SWEEP_SECONDS = 1.0
"""Seconds between two looks at what is due."""


@contextmanager
def open_page(detector: Detector, config: WebConfig, folder: Path) -> Iterator[str]:
    """Serves the page until the block ends, and gives its address; all files are in `folder`.

    A UserError says why the page cannot be served.
    """
    (clips := folder / "clips").mkdir()
    (offered := folder / "examples").mkdir()
    with doing("preparing the examples"):
        examples = copy_examples(config.examples, offered) if config.examples else draw_examples(offered)
    native, connections = threading.Lock(), Connections(config.proxy)
    detector = shared(detector, native)
    live = None
    if config.live is not None:
        live = Live(open_source(config.live, DEFAULT_WINDOW), detector, config.threshold)
    service = Service(detector, config, Cases(clips, room_of(config)), examples, live and live.latest)
    with ExitStack() as stack:
        # Last of all, no batch is under way and none begins: a network that comes back while Python ends, aborts it.
        stack.callback(native.acquire, timeout=LAST_WORD)
        try:
            app = make_app(service, connections, native)
            port = stack.enter_context(serve(app, config.host, config.port, connections, config.root_path))
        except OSError:
            raise UserError(
                f"port {config.port} of {config.host} is taken or closed to you; end the program there, or choose "
                f"another {flag('port')}."
            ) from None
        stack.callback(service.closing.set)  # before the server, whose open answers would else keep it waiting
        stack.enter_context(live or contextlib.nullcontext())
        name = "localhost" if config.host == "0.0.0.0" else config.host
        name = f"[{name}]" if ":" in name else name  # as addresses have IPv6
        yield f"http://{name}:{port}/"


def make_app(service: Service, connections: Connections, native: threading.Lock) -> Starlette:
    """Returns the application that answers for `service`; see `judge_case` for `native`."""
    pages, config = Pages(service), service.config
    routes = [*Api(service).routes(), *pages.routes()]
    # A proxy may take its own path off what it passes on, or not.
    behind = [Mount(config.root_path, routes=routes)] if config.root_path else []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        judge = partial(judge_case, service.detector, config, native)
        tasks = [
            asyncio.create_task(service.cases.judge_with(judge)),
            asyncio.create_task(_sweep(service, connections)),
        ]
        yield
        for task in tasks:
            task.cancel()

    return Starlette(
        routes=[*routes, *behind],
        middleware=_guards(config, connections),
        exception_handlers={HTTPException: pages.refused, ClientDisconnect: pages.gone},
        lifespan=lifespan,
    )


def room_of(config: WebConfig) -> Room:
    """Returns how much room there is for clips."""
    most_bytes = config.most_megabytes * MEGABYTE + LEAST
    waiting, each = config.most_waiting, config.most_each
    return Room(waiting * most_bytes, each * most_bytes, waiting, each)


def _guards(config: WebConfig, connections: Connections) -> list[Middleware]:
    """Returns what every request passes, in that order."""
    token = read_token(config.token_file)
    others = {"allow_origins": config.allow_origin, "allow_methods": ("GET", "POST", "DELETE")}
    return [
        Middleware(Patience, connections),
        Middleware(Policy),
        Middleware(Forwarded, config.proxy),
        Middleware(OwnNames, config.host, config.names),
        *([Middleware(CORSMiddleware, **others, allow_headers=("authorization",))] if config.allow_origin else []),
        Middleware(SameOrigin, config.allow_origin),
        *([Middleware(Token, token, [f"{config.root_path * times}{HEALTH}" for times in (1, 2)])] if token else []),
    ]


async def _sweep(service: Service, connections: Connections) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        service.cases.sweep()
        connections.end_late()
