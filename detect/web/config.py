"""The settings of the page, and what about them is refused before any work."""

import importlib.util
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.cli import option
from cache.schema import UserError
from detect.detector.verdict import require_threshold
from evaluate.stats.metrics import THRESHOLD

SERVED = "served"
"""The part of the private folder that Gradio writes to, and sends files from."""


@dataclass(frozen=True)
class WebConfig:
    """What judges, what a visitor may ask of it, and where the page is."""

    run: Path | None = option(None, "the run folder, or an exported one, to judge with; else the newest below runs/")
    engine: Literal["keras", "onnx", "litert", "openvino"] = option("keras", "what runs it; others need make export")
    weights: str | None = option(None, "the backbone's weights, if they have moved since the features were made")
    detector_file: Path | None = option(None, "yunet's ONNX file, if it has moved since then")
    threshold: float = option(THRESHOLD, "probability from which a clip is called fake")
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 lets the network in")
    port: int = option(7860, "port to listen on")
    examples: Path | None = option(None, "folder with clips to offer; else two are drawn")
    live: str | None = option(None, "a camera's number on this machine, an address or a file to show live as well")
    most_megabytes: int = option(100, "size of the largest clip taken, in MB")
    most_seconds: float = option(120.0, "length of the longest clip taken, in seconds")
    most_waiting: int = option(20, "visitors in the queue, after whom others are asked to come back")


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
        from detect.stream.frame_sources import open_source
        from detect.stream.stage import StreamConfig

        open_source(config.live, StreamConfig.window)


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
