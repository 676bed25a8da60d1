"""The page on which people drop a clip or a picture, or film one, and read its verdict."""

import contextlib
import threading

from base.machine.streams import OutputLost
from base.progress import show
from base.temporary import scratch_folder
from detect.web.config import WebConfig, check, is_loopback


def serve_page(config: WebConfig) -> int:
    """Serves the page until Ctrl-C or SIGTERM, which then end the command with their status as any other."""
    check(config)
    from detect.detector.load import open_configured

    detector = open_configured(config)
    for warning in (detector.about.warning, exposed(config)):
        if warning:
            show(warning, beside=True)
    try:
        with scratch_folder() as folder:
            from detect.web.app import open_page
            from detect.web.guards.logs import short_log

            with short_log(), open_page(detector, config, folder) as address:
                show(detector.about.sentence)
                show(f"The page is at {address} until you press Ctrl-C.")
                threading.Event().wait()
    except KeyboardInterrupt:
        with contextlib.suppress(OutputLost):
            show("The page is closed, and all uploads are deleted.")
        raise
    return 0


def exposed(config: WebConfig) -> str:
    """Returns the sentence on who can use the page, "" where that is whoever uses this machine."""
    if is_loopback(config.host):
        return ""
    live = "" if config.live is None else " and sees the picture of the live source"
    who = "with its token " if config.token_file else ""
    password = "" if config.token_file else "has no password and "
    return f"warning: anyone {who}who can reach {config.host} can use this page{live}; it {password}is not encrypted."
