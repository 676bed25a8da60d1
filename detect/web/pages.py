"""The page as HTML, for people: it works without a script, and better with `static/page.js`."""

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from detect.clips.sheet import CAPTIONS, COLOURS
from detect.web import texts
from detect.web.cases import KEPT, MEGABYTE, Case
from detect.web.guards.forms import MOST_FILES
from detect.web.guards.refusals import Refused, problem
from detect.web.live import PICTURES
from detect.web.openapi import describe
from detect.web.service import Service
from extract.video.numbered import FASTEST, FPS
from extract.video.pictures import has_picture_name

HERE = Path(__file__).parent
PEOPLE = 3
"""People who are judged in a clip of the page."""
FRESH = {"cache-control": "no-store"}
QUERY = f"?faces={PEOPLE}&timeline={texts.DEFAULT_WINDOW:g}"
"""How the page asks the API for a verdict."""


class Pages:
    """The pages. What a visitor gives is a case of the API, whose pictures and player the page shows."""

    def __init__(self, service: Service) -> None:
        self._service, self._root = service, service.config.root_path
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        config, detector = service.config, service.detector
        self._templates.globals |= {
            "texts": texts, "captions": CAPTIONS, "colours": COLOURS, "run": detector.about, "root": f"{self._root}/",
            "reference": detector.reference, "examples": [name for name, _ in service.examples], "query": QUERY,
            "most_megabytes": config.most_megabytes, "most_seconds": config.most_seconds, "kept_minutes": KEPT // 60,
            "most_bytes": config.most_megabytes * MEGABYTE, "live": service.live, "pictures": PICTURES,
            "plays": lambda case: not (case.clip.is_dir() or has_picture_name(case.clip)), "address": _address,
            "fps": FPS, "fastest": FASTEST, "most_files": MOST_FILES,
        }  # fmt: skip

    def routes(self) -> list[BaseRoute]:
        """Returns the paths and what answers there."""
        routes: list[BaseRoute] = [
            Route("/", self._start),
            Route("/", self._give, methods=["POST"]),
            Route("/verdicts/{id}", self._verdict),
            Route("/verdicts/{id}/report", self._report),
            Route("/examples/{number}", self._example),
            Route("/docs", self._docs),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]
        live = [Route("/live", self._live), Route("/live/picture", self._live_picture)]
        return routes + (live if self._service.live else [])

    async def _start(self, request: Request) -> Response:
        return self._page(self._beside(request), "beside")

    async def _give(self, request: Request) -> Response:
        case, form = await self._service.take(request)
        place = URL(f"{self._root}/verdicts/{case.id}")
        if beside := form.get("beside"):
            place = place.include_query_params(beside=beside)
        if instead := form.get("instead"):
            with contextlib.suppress(Refused):  # it is gone already
                self._service.cases.release(self._service.case(request, instead))
        return RedirectResponse(str(place), 303)

    async def _verdict(self, request: Request) -> Response:
        cases = [self._service.case(request)]
        with contextlib.suppress(Refused):  # the other is gone already
            cases = [*self._beside(request), *cases]
        return self._page(cases, "instead")

    async def _report(self, request: Request) -> Response:
        case = self._service.case(request)
        if case.judged is None:
            raise Refused(404, "There is no verdict on this clip yet.")
        style = (HERE / "static" / "page.css").read_text(encoding="utf-8")
        html = self._html("report.html", case=case, style=style, picture=_inline(case))
        return HTMLResponse(html, headers={"content-disposition": 'attachment; filename="verdict.html"'})

    async def _example(self, request: Request) -> Response:
        return FileResponse(self._service.example(request.path_params["number"]))

    async def _docs(self, _: Request) -> Response:
        return HTMLResponse(self._html("docs.html", api=describe(self._service.config)))

    async def _live(self, _: Request) -> Response:
        assert self._service.live
        words = self._html("live.html", **self._service.live.words())
        return JSONResponse({"picture": self._service.live.number, "words": words}, headers=FRESH)

    async def _live_picture(self, _: Request) -> Response:
        assert self._service.live
        if not self._service.live.picture:
            raise Refused(404, "The first picture is on its way.")
        return Response(self._service.live.picture, media_type="image/jpeg", headers=FRESH)

    async def refused(self, request: Request, error: Exception) -> Response:
        """Answers what was refused: a browser by the page, with the reason, and a program by a problem."""
        assert isinstance(error, HTTPException)
        if "text/html" not in request.headers.get("accept", "") or error.status_code < 400:
            return problem(error)
        page = self._html("page.html", cases=[], before="", refusal=error.detail)
        return HTMLResponse(page, error.status_code, {"connection": "close", **(error.headers or {})})

    async def gone(self, _: Request, error: Exception) -> Response:
        """Answers a visitor who is gone, which nobody reads."""
        assert isinstance(error, ClientDisconnect)
        return Response(status_code=400)

    def _beside(self, request: Request) -> list[Case]:
        key = request.query_params.get("beside", "")
        return [self._service.case(request, key)] if key else []

    def _page(self, cases: list[Case], before: str) -> Response:
        """Returns the page with `cases`; `before` says what the last of them is to the next clip that is given."""
        waits = any(case.judged is None for case in cases)
        html = self._html("page.html", cases=cases, before=before if cases else "", refusal="")
        return HTMLResponse(html, headers=FRESH | ({"refresh": "2"} if waits else {}))

    def _html(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)


Picture = Callable[..., str]
"""Gives the address of a picture, by its kind, its number and the number of the person."""


def _address(case: Case) -> Picture:
    """Returns what gives the pictures of `case` as addresses of the API."""

    def picture(kind: str, number: int, face: int = 1) -> str:
        return f"api/verdicts/{case.id}/{kind}/{number}" + (f"?face={face}" if face > 1 else "")

    return picture


def _inline(case: Case) -> Picture:
    """Returns what gives the pictures of `case` as addresses that hold them."""
    judged = case.judged
    assert judged

    def picture(kind: str, number: int, face: int = 1) -> str:
        pictures = judged.frames if kind == "frames" else judged.crops[face - 1]
        return f"data:image/jpeg;base64,{base64.b64encode(pictures[number - 1]).decode()}"

    return picture
