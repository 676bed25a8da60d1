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
            Route(VERDICTS, self.create, methods=["POST"]),
            Route(one, self.read),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/clip", self.clip),
            Route(f"{one}/frames/{{number:int}}", self.frame),
            Route(f"{one}/crops/{{number:int}}", self.crop),
            Route("/api/run", self.run),
            Route(HEALTH, self.health),
            Route("/openapi.json", self.description),
        ]

    async def create(self, request: Request) -> Response:
        """Takes a clip."""
        case, _ = await self._service.take(request)
        await self._service.wait_for(case, asked_in(request.query_params).wait)
        place = {"location": f"{self._root}{VERDICTS}/{case.id}"}
        return JSONResponse(self._service.values(case), 200 if case.judged else 202, place)

    async def read(self, request: Request) -> Response:
        """Says how far a clip is, and what its verdict is."""
        await self._service.wait_for(self._service.case(request), asked_in(request.query_params).wait)
        return JSONResponse(self._service.values(self._service.case(request)))

    async def delete(self, request: Request) -> Response:
        """Deletes a clip and its verdict."""
        self._cases.release(self._service.case(request))
        return Response(status_code=204)

    async def clip(self, request: Request) -> Response:
        """Gives the clip back, as a player asks for it."""
        return FileResponse(self._service.case(request).clip, headers={"cache-control": "no-store"})

    async def frame(self, request: Request) -> Response:
        """Gives one of the frames that were looked at."""
        judged = self._service.case(request).judged
        return _picture(judged.frames if judged else (), request)

    async def crop(self, request: Request) -> Response:
        """Gives one of the crops that a person was judged by."""
        judged, face = self._service.case(request).judged, request.query_params.get("face", "1")
        crops = dict(enumerate(judged.crops if judged else (), start=1))
        return _picture(crops.get(int(face) if face.isdecimal() else 0, ()), request)

    async def run(self, _: Request) -> Response:
        """Says what judges."""
        return JSONResponse(self._service.about())

    async def health(self, _: Request) -> Response:
        """Says that the server answers."""
        return JSONResponse({"status": "ok", "waiting": self._cases.waiting})

    async def description(self, _: Request) -> Response:
        """Gives the description of this API."""
        return JSONResponse(describe(self._service.config))


def _picture(pictures: tuple[bytes, ...], request: Request) -> Response:
    number = request.path_params["number"]
    if not 0 < number <= len(pictures):
        raise Refused(404, "There is no such picture.")
    return Response(pictures[number - 1], media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})
