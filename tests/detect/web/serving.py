"""What the tests of the page share: a detector without a network, the page served, and visitors who ask it."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from base.temporary import scratch_folder
from detect.detector.judge import Detector
from detect.detector.networks import Scores
from detect.web.app import open_page
from detect.web.config import WebConfig
from evaluate.stats.calibration import Temperature
from extract.backbones.engines import Engine
from extract.config import ExtractConfig
from train.data.neighbours import Neighbours

CALLED = "(The face looks (real|fake)|Too close to call)"
EXAMPLES = ["1.mp4", "2.mp4"]


class Brightness:
    """Judges crops by how bright they are, so that no network has to be trained."""

    input_kind = "crops"
    engine: Engine | None = None
    neighbours: Neighbours | None = None

    def score(self, arrays, regions, masks):
        return Scores(arrays.mean(axis=(1, 2, 3, 4)) / 255)


def detector() -> Detector:
    return Detector(ExtractConfig(Path()).crop_profile, Brightness(), Temperature(1.5, 40), None)


@contextmanager
def served(judge: Detector | None = None, **values: Any) -> Iterator[tuple[str, Path]]:
    """Gives the address of a page and the folder with its files."""
    config = WebConfig(port=0, **values)
    with scratch_folder() as folder, open_page(judge or detector(), config, folder) as address:
        yield address.rstrip("/"), folder


def client(address: str, visitor: str = "127.0.0.1", **headers: str) -> httpx.Client:
    """A visitor, who comes from an address of this machine; Linux has 127.0.0.2 too."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.HTTPTransport(local_address=visitor, limits=httpx.Limits(max_keepalive_connections=0))
    return httpx.Client(base_url=address, headers=named, transport=transport, timeout=30)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def wait_for(happens: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def judge(visitor: httpx.Client, clip: Path, **query: Any) -> dict[str, Any]:
    """What the API says of `clip` once it is judged."""
    with clip.open("rb") as file:
        answer = visitor.post("/api/verdicts", files={"file": (clip.name, file)}, params={"wait": 60} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()
