"""The page on which people drop a clip or a picture, or film one, and read its verdict."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from base.files import scratch_folder
from base.machine.streams import OutputLost
from base.progress import show
from detect.web.config import SERVED, WebConfig, check, is_loopback


def serve_page(config: WebConfig) -> int:
    """Serves the page until Ctrl-C or SIGTERM, which then end the command with their status as any other."""
    check(config)
    from detect.detector.load import open_configured

    detector = open_configured(config)
    if not is_loopback(config.host):
        live = "" if config.live is None else " and sees the picture of the live source"
        show(
            f"warning: anyone who can reach {config.host} port {config.port} can use this page{live}; it has no "
            "password and is not encrypted.",
            beside=True,
        )
    try:
        with private_folder() as folder:
            from detect.web.app import PageDetector, open_page
            from detect.web.guards.logs import short_log

            with short_log(), open_page(PageDetector(detector), config, folder) as address:
                show(f"The page is at {address} until you press Ctrl-C.")
                threading.Event().wait()
    except KeyboardInterrupt:
        with contextlib.suppress(OutputLost):
            show("The page is closed, and all uploads are deleted.")
        raise
    return 0


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Gives a folder for uploads, and removes it afterwards; Gradio reads where its part is when it is imported."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with scratch_folder() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder / SERVED)
        try:
            yield folder
        finally:
            os.environ["GRADIO_TEMP_DIR"] = before or ""
