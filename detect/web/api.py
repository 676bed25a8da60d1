"""The HTTP API: a clip in, its verdict out, as JSON. The page uses it too."""

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from detect.web.guards.refusals import Refused
from detect.web.openapi import describe
from detect.web.service import Service, asked_in

VERDICTS = "/api/verdicts"
HEALTH = "/health"


class Api:
    """The answers of the API. `openapi.py` describes them."""

    def __init__(self, service: Service) -> None:
        self._service, self._cases = service, service.cases
        self._root = service.config.root_path

    def routes(self) -> list[BaseRoute]:
        """Returns the paths and what answers there."""
        one = f"{VERDICTS}/{{id}}"
        return [
            Route(VERDICTS, self._create, methods=["POST"]),
            Route(one, self._read),
            Route(one, self._delete, methods=["DELETE"]),
            Route(f"{one}/clip", self._clip),
            Route(f"{one}/frames/{{number:int}}", self._frame),
            Route(f"{one}/crops/{{number:int}}", self._crop),
            Route("/api/run", self._run),
            Route(HEALTH, self._health),
            Route("/openapi.json", self._description),
        ]

    async def _create(self, request: Request) -> Response:
        case, _ = await self._service.take(request)
        await self._service.wait_for(case, asked_in(request.query_params).wait)
        place = {"location": f"{self._root}{VERDICTS}/{case.id}"}
        return JSONResponse(self._service.values(case), 200 if case.judged else 202, place)

    async def _read(self, request: Request) -> Response:
        await self._service.wait_for(self._service.case(request), asked_in(request.query_params).wait)
        return JSONResponse(self._service.values(self._service.case(request)))

    async def _delete(self, request: Request) -> Response:
        self._cases.release(self._service.case(request))
        return Response(status_code=204)

    async def _clip(self, request: Request) -> Response:
        clip = self._service.case(request).clip
        if clip.is_dir():
            raise Refused(404, "A clip of numbered pictures has no file to play.")
        return FileResponse(clip, headers={"cache-control": "no-store"})

    async def _frame(self, request: Request) -> Response:
        judged = self._service.case(request).judged
        return _picture(judged.frames if judged else (), request)

    async def _crop(self, request: Request) -> Response:
        judged, face = self._service.case(request).judged, request.query_params.get("face", "1")
        crops = dict(enumerate(judged.crops if judged else (), start=1))
        return _picture(crops.get(int(face) if face.isdecimal() else 0, ()), request)

    async def _run(self, _: Request) -> Response:
        return JSONResponse(self._service.about())

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "waiting": self._cases.waiting})

    async def _description(self, _: Request) -> Response:
        return JSONResponse(describe(self._service.config))


def _picture(pictures: tuple[bytes, ...], request: Request) -> Response:
    number = request.path_params["number"]
    if not 0 < number <= len(pictures):
        raise Refused(404, "There is no such picture.")
    return Response(pictures[number - 1], media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})
