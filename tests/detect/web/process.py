"""The page served by the command in a process of its own, for tests of its end and of what attacks it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests import ROOT
from tests.detect.web.serving import client

PROGRAM = """
import resource, signal, sys, time
from pathlib import Path
from unittest import mock

from base.ending import run
from reelcheck.cli import dispatch
from tests.detect.web import serving

class Slow(serving.Brightness):
    def score(self, *arrays):
        (Path(sys.argv[1]) / "judging").touch()
        time.sleep(float(sys.argv[2]))
        return super().score(*arrays)

def serve():
    import absl.logging  # as TensorFlow does: its handler holds standard error

    return dispatch(["web", *sys.argv[3:]])

serving.Brightness = Slow
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))  # as usual
signal.signal(signal.SIGINT, signal.default_int_handler)  # also as a shell's background job
with (
    mock.patch("detect.detector.load.newest_evaluated", lambda: Path("drawn")),
    mock.patch("detect.detector.load.open_detector", lambda *arguments: serving.detector()),
):
    run(serve)
"""


@dataclass
class Page:
    """A page that is served by the command. Its temporary files are in `folder`, its standard error may go to `log`."""

    port: int
    process: subprocess.Popen
    folder: Path
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, visitor: str = "127.0.0.1") -> httpx.Client:
        return client(self.address, visitor)

    def memory(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def end(self, number: signal.Signals) -> int:
        """Sends a signal; returns the status with which the page ends."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def standard_error(kind: str, log: Path) -> Iterator[int]:
    """A descriptor of each kind that a page is started with: under nohup, by a service manager, at a terminal."""
    opened = []
    if kind == "a pipe without a reader":
        reader, number = os.pipe()
        os.close(reader)
    elif kind == "a terminal":
        reader, number = os.openpty()
        opened.append(reader)
    else:
        number = os.open(log if kind == "a file" else os.devnull, os.O_WRONLY | os.O_CREAT)
    try:
        yield number
    finally:
        for one in (*opened, number):
            os.close(one)


@contextlib.contextmanager
def started(folder: Path, *flags: str, kind: str = "a file", seconds: float = 1) -> Iterator[Page]:
    """Starts the page, which takes so many `seconds` to judge a clip; all of it lies in `folder`."""
    log, temporary = folder / "log", folder / "temporary"
    temporary.mkdir()
    log.touch()
    words = [str(folder), str(seconds), "--port", "0", *flags]
    environment = os.environ | {"TMPDIR": str(temporary), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        standard_error(kind, log) as error,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=error
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"Judged by an unnamed run: not evaluated"), log.read_text()
        told = re.fullmatch(
            rb"The page is at http://127.0.0.1:(\d+)/ until you press Ctrl-C.\n", process.stdout.readline()
        )
        assert told
        if kind == "a pipe without a reader":
            process.stdout.close()  # nobody reads this one either
        try:
            yield Page(int(told[1]), process, temporary, log)
        finally:
            process.kill()
