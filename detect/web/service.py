"""What stands behind the page and its API: how a clip is taken from a request, and what is answered of it."""

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from base.commands import flag
from base.errors import UserError
from base.outside.content import WrongContent
from base.outside.kept import kept
from base.outside.values import WrongValue, parse, parse_json, refuse_unknown
from base.text import printable
from detect.clips.inputs import download
from detect.clips.judged_by import JudgedBy
from detect.clips.verdict_lines import json_values
from detect.detector.judge import Detector, JudgeOptions
from detect.sign_in import Address
from detect.web.cases import MEGABYTE, Arrival, Case, Cases
from detect.web.config import WebConfig
from detect.web.guards.bodies import limited
from detect.web.guards.forms import AROUND, read_form
from detect.web.guards.refusals import Refused
from detect.web.guards.uploads import clip_of
from detect.web.guards.visitors import visitor_of
from detect.web.live import Latest
from extract.drawn.clip import Capture, Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from extract.readers.found import is_video
from extract.video.numbered import FASTEST, FPS

MOST_WAIT = 60
"""Seconds for which an answer may be waited for."""
LOOK_SECONDS = 0.5
"""Seconds between two looks at whether the page ends."""
MOST_FACES, MOST_EXAMPLES = 5, 12
DRAWN = {"1.mp4": "A drawn face", "2.mp4": "A room without a face"}
"""The default examples, as files and as they are called."""
DRAWING = 1
"""Rises when what draws them changes: they are drawn once, and kept."""
Example = tuple[str, Path]
"""The label of an example, and its clip."""


@dataclass(frozen=True)
class Asked:
    """How a clip is to be judged, as the flags of `detect` say it, and for how many seconds its verdict is awaited."""

    faces: Annotated[int, Meta(ge=1, le=MOST_FACES)] = 1
    timeline: Annotated[float, Meta(ge=0.1, le=3600)] | None = None
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    wait: Annotated[float, Meta(ge=0, le=MOST_WAIT)] = 0


@dataclass(frozen=True)
class Shown:
    """How fast the frames of a clip that is sent as numbered pictures are shown, in numbers a second."""

    fps: Annotated[float, Meta(gt=0, le=FASTEST)] = FPS


@dataclass(frozen=True)
class Named:
    """A clip that is named by an address."""

    url: Annotated[str, Meta(max_length=2048, pattern="^https?://")]


def read(kind: type, values: Any, strict: bool = True) -> Any:
    """Returns what a request says, as `kind`; refuses anything else."""
    try:
        asked = parse(kind, values, strict=strict)
        refuse_unknown(asked, values)
    except WrongValue as error:
        raise Refused(400, f"The request {error}.") from None
    return asked


def asked_in(query: Mapping[str, str]) -> Asked:
    """Returns what the `query` of a request asks for."""
    return read(Asked, dict(query), strict=False)


@dataclass(frozen=True)
class Service:
    """The detector, its settings, the cases of all visitors, the examples that are offered, and the live source.

    `closing` is set when the page ends.
    """

    detector: Detector
    config: WebConfig
    cases: Cases
    examples: list[Example]
    live: Latest | None = None
    closing: threading.Event = field(default_factory=threading.Event)

    def case(self, request: Request, key: str = "") -> Case:
        """Returns the case with the id `key`, or the one that the path of `request` names, if it is its visitor's."""
        return self.cases.find(key or request.path_params["id"], visitor_of(request))

    async def take(self, request: Request) -> tuple[Case, Mapping[str, str]]:
        """Takes a clip: a file or numbered pictures in a form, an example that the form names, or an address in JSON.

        Returns its case, and the fields of the form.
        """
        asked, visitor = asked_in(request.query_params), visitor_of(request)
        threshold = self.config.threshold if asked.threshold is None else asked.threshold
        options = JudgeOptions(threshold, asked.faces, asked.timeline)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        with self.cases.arriving(visitor) as arrival:
            if kind == "multipart/form-data":
                return await self._take_form(request, arrival, options)
            if kind == "application/json":
                return await self._take_address(request, arrival, options), {}
            raise Refused(415, "Send a form with one clip, or JSON with the address of one.")

    async def _take_form(
        self, request: Request, arrival: Arrival, options: JudgeOptions
    ) -> tuple[Case, Mapping[str, str]]:
        most = self.config.most_megabytes * MEGABYTE + AROUND
        body = Request(request.scope, limited(request.scope, request.receive, most, arrival.count))
        form = await read_form(body, arrival.folder)
        shown = read(Shown, {"fps": form.fields.get("fps") or FPS}, strict=False)
        files, folder = form.files, arrival.folder
        if number := form.fields.get("example"):
            example = self.example(number)
            files = [(example.name, Path(await run_in_threadpool(shutil.copyfile, example, folder / "example")))]
        name, clip = await run_in_threadpool(clip_of, files, folder)
        return self.cases.add(arrival, name, clip, replace(options, fps=shown.fps)), form.fields

    async def _take_address(self, request: Request, arrival: Arrival, options: JudgeOptions) -> Case:
        if not self.config.allow_url:
            raise Refused(403, "Addresses are not downloaded here; send the file itself.")
        try:
            body = Request(request.scope, limited(request.scope, request.receive, AROUND))
            url = read(Named, parse_json((await body.body()).decode())).url
        except (WrongContent, UnicodeDecodeError) as error:
            raise Refused(400, f"The request is not JSON ({error}).") from None
        most, seconds = self.config.most_megabytes * MEGABYTE, self.config.most_work_seconds
        arrival.count(most)
        found = await run_in_threadpool(download, Address(url), seconds, arrival.folder, most, only_public=True)
        if found.reason:
            raise Refused(422, f"{url}: {found.reason}.")
        name, clip = clip_of([(PurePosixPath(urlsplit(url).path).name, found.path)], arrival.folder)
        return self.cases.add(arrival, name, clip, options)

    def example(self, number: str) -> Path:
        """Returns the example that is offered as `number`, from 1."""
        clips = {str(place): clip for place, (_, clip) in enumerate(self.examples, start=1)}
        if number not in clips:
            raise Refused(404, "There is no such example.")
        return clips[number]

    async def wait_for(self, case: Case, seconds: float) -> None:
        """Waits until `case` is judged or gone, or the page is closed, for at most so many `seconds`."""
        end = time.monotonic() + seconds
        while not (case.ended.is_set() or self.closing.is_set()) and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(case.ended.wait(), min(left, LOOK_SECONDS))

    def about(self) -> dict[str, Any]:
        """Returns what the API says of whoever judges, and of what is taken."""
        run, config, reference = self.detector.about, self.config, self.detector.reference
        return {
            **asdict(run),
            "sentence": run.sentence,
            "warning": run.warning,
            "band": asdict(self.detector.band(config.threshold)),
            "reference": reference and reference.sentence,
            "most_megabytes": config.most_megabytes,
            "most_seconds": config.most_seconds,
        }

    def values(self, case: Case) -> dict[str, Any]:
        """Returns what the API says of a case."""
        kept = None if case.judged is None else max(0, round(case.due - time.monotonic()))
        values = {"id": case.id, "clip": case.name, "state": case.state, "ahead": self.cases.ahead(case)}
        return values | {"seconds_kept": kept, "verdicts": self.verdicts(case)}

    def verdicts(self, case: Case) -> list[dict[str, Any]]:
        """Returns the verdicts on a case as `detect --json` prints them, none before it is judged."""
        people, options = case.judged.people if case.judged else (), case.options
        beside = self.detector.reference.settings if self.detector.reference else ""
        by = JudgedBy(self.detector.about.names, options.threshold, options.faces, options.window, beside)
        return [json_values(verdict, len(people), by) for verdict in people]


def draw_examples(folder: Path) -> list[Example]:
    """Draws the default examples, a person who talks for 8 seconds and an empty room, or copies them into `folder`."""
    with kept({"examples": DRAWING}, _draw_into) as drawn:
        return [(label, Path(shutil.copyfile(drawn / name, folder / name))) for name, label in DRAWN.items()]


def _draw_into(folder: Path) -> None:
    talking, empty = (folder / name for name in DRAWN)
    draw_clip(talking, Scene(make_look(7, 1), (7,)), Capture(frames=200))
    draw_empty_clip(empty, seed=7)


def copy_examples(source: Path, folder: Path) -> list[Example]:
    """Copies the first clips of `source` into `folder` under new names; a UserError if there is none."""
    if not source.is_dir():
        raise UserError(f"{flag('examples', source)} is not a folder; give one with clips in it.")
    clips: Sequence[Path] = sorted(filter(is_video, source.iterdir()))[:MOST_EXAMPLES]
    if not clips:
        raise UserError(f"{flag('examples', source)} holds no clip; give a folder with clips, or leave it out.")
    targets = [folder / f"{number}{path.suffix.lower()}" for number, path in enumerate(clips, start=1)]
    return [(printable(path.stem), Path(shutil.copyfile(path, to))) for path, to in zip(clips, targets, strict=True)]
