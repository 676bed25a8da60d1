"""python -m detect web: a page on which people drop a clip, or film one, and read a verdict.

Only this machine reaches it, unless --host says otherwise. One clip is judged after another; what visitors give is
deleted once it is judged.
"""

import contextlib
import importlib.util
import ipaddress
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.command import option, parse_flags
from cache.schema import UserError
from detect.detector import require_threshold

SERVED = "served"
"""The part of the private folder that Gradio writes to, and sends files from."""


@dataclass(frozen=True)
class WebConfig:
    """What judges, what a visitor may ask of it, and where the page is."""

    run: Path | None = option(None, "the run folder, or an exported one, to judge with; else the newest below runs/")
    engine: Literal["keras", "onnx", "litert", "openvino"] = option("keras", "what runs it; others need make export")
    weights: str | None = option(None, "the backbone's weights, if they have moved since the features were made")
    detector_file: Path | None = option(None, "yunet's ONNX file, if it has moved since then")
    threshold: float = option(0.5, "probability from which a clip is called fake")
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 lets the network in")
    port: int = option(7860, "port to listen on")
    examples: Path | None = option(None, "folder with clips to offer; else two are drawn")
    live: str | None = option(None, "a camera's number on this machine, an address or a file to show live as well")
    most_megabytes: int = option(100, "size of the largest clip taken, in MB")
    most_seconds: float = option(120.0, "length of the longest clip taken, in seconds")
    most_waiting: int = option(20, "visitors in the queue, after whom others are asked to come back")


def main(argv: Sequence[str]) -> int:
    """Serves the page until Ctrl-C; returns the exit status."""
    config = parse_flags("python -m detect web", __doc__ or "", WebConfig, argv)
    check(config)
    from detect.life import newest, open_detector

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
            from detect.web_app import Judge, open_page

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


def check(config: WebConfig) -> None:
    """Refuses what could not be served, before any work is."""
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the page needs gradio, which is not installed; pip install reelcheck[web] brings it.")
    require_threshold(config.threshold)
    if not 0 < config.port < 65536:
        raise UserError(f"--port {config.port} is no port; give a number from 1 to 65535.")
    for name in ("most_megabytes", "most_seconds", "most_waiting"):
        if not getattr(config, name) > 0:
            raise UserError(f"--{name.replace('_', '-')} {getattr(config, name):g} lets nothing in; give more than 0.")
    if config.live is not None:
        from detect.live import open_source
        from detect.stream import StreamConfig

        open_source(config.live, StreamConfig.window)


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
