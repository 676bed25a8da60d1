"""Nobody is told that a network is converted or run."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests import ROOT

PROGRAM = """
import atexit, os, sys

asked, told = [], ("socket.getaddrinfo", "socket.connect", "os.fork", "urllib.Request")
sys.addaudithook(lambda event, args: asked.append(event) if event in told else None)
atexit.register(lambda: os._exit(bool(asked)))  # once its threads have ended
IMPORT
"""
QUIET = "from base.openvino_start import start_openvino; start_openvino()"


@pytest.mark.skipif(not importlib.util.find_spec("openvino_telemetry"), reason="OpenVINO's telemetry is not installed")
@pytest.mark.parametrize(("how", "tells"), [(QUIET, False), ("import openvino", True)])
def test_openvino_asks_no_other_machine(how, tells, tmp_path):
    # Where these are set OpenVINO is quiet by itself.
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", PROGRAM.replace("IMPORT", how)]
    found = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (tmp_path / "intel").exists() == tells, found.stderr
    assert tells or found.returncode == 0, found.stderr  # a process that ends may be too late to tell
