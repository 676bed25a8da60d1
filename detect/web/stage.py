"""python -m detect web: a page on which people drop a clip, or film one, and read a verdict.

Only this machine reaches it, unless --host says otherwise. One clip is judged after another; what visitors give is
deleted once it is judged.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from cache.cli import parse_flags
from detect.web.config import SERVED, WebConfig, check, is_loopback


def main(argv: Sequence[str]) -> int:
    """Serves the page until Ctrl-C; returns the exit status."""
    config = parse_flags("python -m detect web", __doc__ or "", WebConfig, argv)
    check(config)
    from detect.detector.load import newest, open_detector

    run = config.run or newest()
    detector = open_detector(run, config.weights, config.detector_file, config.engine)
    if not is_loopback(config.host):
        shown = "" if config.live is None else " and is shown the picture of the live source"
        print(
            f"warning: whoever reaches {config.host} port {config.port} can use this page{shown}; it asks for no "
            "password and is not encrypted.",
            file=sys.stderr,
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was uploaded is deleted then, too
    try:
        with private_folder() as folder:
            from detect.web.app import Judge, open_page

            with open_page(Judge(detector, run.resolve().name), config, folder) as address:
                print(f"The page is at {address} until you press Ctrl-C.", flush=True)
                threading.Event().wait()
    except KeyboardInterrupt:
        print("The page is closed; nothing that was uploaded is left.", flush=True)
    return 0


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Gives a folder for what visitors send, and removes it afterwards; Gradio looks for its part as it is imported."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="reelcheck-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / SERVED)
        try:
            yield Path(folder)
        finally:
            os.environ["GRADIO_TEMP_DIR"] = before or ""
