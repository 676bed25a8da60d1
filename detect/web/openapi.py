"""The description of the HTTP API, in OpenAPI 3.1. What a verdict says is taken from its class."""

import dataclasses
import functools
import typing
from typing import Any

import msgspec

from detect.clips.judged_by import WrittenVerdict
from detect.detector.verdict import Verdict
from detect.web.config import WebConfig
from detect.web.guards.forms import MOST_FILES
from detect.web.guards.refusals import PROBLEM
from detect.web.service import Asked, Named, Shown

VERSION = "1"
ABOUT = (
    "A clip, a picture or a clip's frames in, a verdict on each face out, as `reelcheck detect --json` prints it. A "
    "clip is kept for ten minutes after its verdict, or until it is deleted, and only the address that sent it has it. "
    "Whatever is refused is answered by a problem of RFC 9457, whose `detail` is a sentence."
)
PROBLEMS = {
    400: "The request is not understood.",
    401: "The token is missing or wrong.",
    403: "Another site's page asks, or addresses are not taken here.",
    404: "There is no such thing, or it is somebody else's.",
    408: "The request came too slowly.",
    410: "It was here, and is no longer kept.",
    413: "The file is too large, or there are too many.",
    415: "The request is neither a form nor JSON.",
    422: "What is at the address cannot be had.",
    429: "The visitor's other clips still wait.",
    503: "Too many clips wait, or there is no room left.",
}
FIELDS = {
    "faces": "judge up to so many people, the largest face first",
    "timeline": "also judge a longer clip in windows of so many seconds",
    "threshold": "call a clip fake from this probability on",
    "wait": "answer once the clip is judged, or after so many seconds",
}


def describe(config: WebConfig) -> dict[str, Any]:
    """Returns the description as JSON has it."""
    wait, judged = _asked("wait"), _json("The verdict, or how far the clip is", "Case")
    key, number = _parameter("id", "path", {"type": "string"}), _parameter("number", "path", {"type": "integer"})
    face = _parameter("face", "query", {"type": "integer", "default": 1}, "of which person, the largest is 1")
    bodies = {"multipart/form-data": {"schema": _form()}, "application/json": {"schema": _ref("Named")}}
    jpeg = {"description": "A JPEG", "content": {"image/jpeg": {}}}
    paths = {
        "/api/verdicts": {
            "post": _operation(
                "Give a clip, a picture or the frames of a clip",
                {200: judged, 202: _json("It waits; ask at `Location`", "Case")},
                (400, 403, 408, 413, 415, 422, 429, 503),
                *map(_asked, FIELDS),
                requestBody={"required": True, "content": bodies},
            )
        },
        "/api/verdicts/{id}": {
            "get": _operation("Its verdict, or how far it is", {200: judged}, (400, 404, 410), key, wait),
            "delete": _operation("Delete it", {204: {"description": "It is deleted"}}, (404, 410), key),
        },
        "/api/verdicts/{id}/clip": {
            "get": _operation("The clip itself", {200: {"description": "The file, or a range of it"}}, (404, 410), key)
        },
        "/api/verdicts/{id}/frames/{number}": {
            "get": _operation("A frame that was looked at, small", {200: jpeg}, (404, 410), key, number)
        },
        "/api/verdicts/{id}/crops/{number}": {
            "get": _operation("What the network saw of it", {200: jpeg}, (404, 410), key, number, face)
        },
        "/api/run": {"get": _operation("What judges, how good it is, and what is taken", {200: _json("The run")}, ())},
        "/health": {"get": _operation("Whether the server answers", {200: _json("It does")}, (), security=[])},
    }
    token = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if config.token_file else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Reelcheck", "version": VERSION, "description": ABOUT},
        "servers": [{"url": f"{config.root_path}/"}],
        "paths": paths,
        "components": {"schemas": _schemas(), "responses": _problems()} | token,
        **({"security": [{"token": []}]} if token else {}),
    }


def _form() -> dict[str, Any]:
    """Returns the schema of the form in which a clip comes."""
    file = {"type": "string", "format": "binary"}
    frames = {"type": "array", "items": file, "minItems": 2, "maxItems": MOST_FILES}
    about = "a video or a picture; or the pictures of one clip, numbered by their names, such as 000.png, one a part"
    fps = _schemas()["Shown"]["properties"]["fps"] | {"description": "how many of the numbers are shown a second"}
    properties = {"file": {"anyOf": [file, frames], "description": about}, "fps": fps}
    return {"type": "object", "properties": properties, "required": ["file"]}


def _operation(
    summary: str, answers: dict[int, Any], problems: tuple[int, ...], *parameters: Any, **more: Any
) -> dict[str, Any]:
    refused = {str(code): {"$ref": f"#/components/responses/{code}"} for code in (401, *problems)}
    responses = {str(code): answer for code, answer in answers.items()} | refused
    return {"summary": summary, "parameters": list(parameters), "responses": responses} | more


def _parameter(name: str, place: str, schema: Any, text: str = "") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": text}


def _asked(name: str) -> dict[str, Any]:
    return _parameter(name, "query", _schemas()["Asked"]["properties"][name], FIELDS[name])


def _json(text: str, schema: str = "") -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(schema) if schema else {}}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _problems() -> dict[str, Any]:
    fields = {"type": "string", "title": "string", "status": "integer", "detail": "string"}
    schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in fields.items()}}
    return {
        str(code): {"description": text, "content": {PROBLEM: {"schema": schema}}} for code, text in PROBLEMS.items()
    }


@functools.cache
def _schemas() -> dict[str, Any]:
    """Returns the schemas of what is sent, by the classes that hold it."""
    said = typing.get_type_hints(Verdict) | typing.get_type_hints(WrittenVerdict, include_extras=True) | {"note": str}
    del said["point"]  # which no result shows
    line = dataclasses.make_dataclass("Line", said.items())
    case = dataclasses.make_dataclass(
        "Case",
        {"id": str, "clip": str, "state": typing.Literal["waiting", "being judged", "judged"], "ahead": int,
         "seconds_kept": int | None, "verdicts": list[line]}.items(),
    )  # fmt: skip
    _, schemas = msgspec.json.schema_components([case, Asked, Named, Shown], ref_template="#/components/schemas/{name}")
    return schemas
