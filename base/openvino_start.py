"""Importing OpenVINO without its telemetry, which would tell its makers of each import and each network converted."""

import sys
from typing import Any

from base.machine.memory import no_garbage_collection


def start_openvino() -> Any:
    """Imports OpenVINO and returns the package; raises ImportError if it is not installed.

    It has a stub for where its package of telemetry is missing. With that package, a thread of each process starts
    processes that look for a server, for three seconds each where nothing answers, and writes into the home folder.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType] - so its import fails
    with no_garbage_collection():
        import openvino  # noqa: TID251 - here alone

    return openvino
