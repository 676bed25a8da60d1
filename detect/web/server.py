"""The web server below the page: what it listens to, and how it starts and ends."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from base.machine.system import allow_open_files
from detect.web.guards.connections import Connections, Listener

ACCEPTED_AT_ONCE = 100
"""Connections that are taken up before the next of them is looked at."""
LARGEST_HEAD = 32 << 10
"""Bytes of a request's first line and headers."""
IDLE_SECONDS, LAST_SECONDS = 15, 3
"""How long a connection may be idle between two requests, and how long answers may take once the page is closed."""
MOST_FILES = 1024
"""Files and connections that the server may hold open at once: what Linux usually allows, and macOS if asked."""


@contextlib.contextmanager
def serve(app: ASGIApp, host: str, port: int, connections: Connections, root_path: str = "") -> Iterator[int]:
    """Serves `app` in a thread of its own until the block ends, and gives the port: a free one where `port` is 0.

    An OSError says why it cannot be listened to.
    """
    allow_open_files(MOST_FILES)
    listener = Listener(connections, _listen(host, port))
    config = uvicorn.Config(
        app,
        root_path=root_path,
        loop="asyncio",  # others would not ask the listener for connections
        http="h11",
        h11_max_incomplete_event_size=LARGEST_HEAD,
        ws="none",
        lifespan="on",
        log_config=None,  # uvicorn's own would close the handlers of other libraries, and with absl's standard error
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # uvicorn would believe everyone on this machine
        server_header=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=LAST_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="web server", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the web server did not start")
            time.sleep(0.01)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(addresses)  # of a name's addresses, that of IPv4
    return socket.create_server(address[:2], family=family, backlog=ACCEPTED_AT_ONCE)
