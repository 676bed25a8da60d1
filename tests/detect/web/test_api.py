"""The HTTP API, asked as programs ask it."""

import json
import re
import shutil
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import validate

from detect.detector.judge import Detector
from detect.web.api import Api
from detect.web.cases import Cases, Room
from detect.web.config import WebConfig
from detect.web.guards.refusals import PROBLEM
from detect.web.openapi import PROBLEMS, describe
from detect.web.service import Service
from reelcheck.cli import dispatch
from tests import ROOT
from tests.clips import counting_images, write_clip
from tests.detect.web import serving
from tests.detect.web.serving import Brightness, client, detector, files, judge, served, wait_for

TOKEN = "a-token-of-many-letters"
FORM = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def visitor(site):
    with client(site[0]) as one:
        yield one


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    """Checks that an answer is a problem of RFC 9457 with a sentence."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["detail"]
    for word in words:
        assert word in problem["detail"]


def form(content: bytes = b"clip", name: str = "x.mp4", field: str = "file") -> dict:
    return {"files": {field: (name, content)}}


@pytest.fixture
def as_drawn(monkeypatch):
    """Has commands judge with the detector of these tests."""
    monkeypatch.setattr("detect.detector.load.newest_evaluated", lambda: Path("drawn"))
    monkeypatch.setattr("detect.detector.load.open_detector", lambda *arguments: detector())


@pytest.mark.parametrize("flags", [{}, {"faces": 2, "timeline": 0.5, "threshold": 0.9}])
def test_a_verdict_is_that_of_detect_number_for_number(visitor, face, as_drawn, capsys, flags):
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    dispatch(["detect", str(face), "--json", *words])
    (printed,) = map(json.loads, capsys.readouterr().out.splitlines())
    (verdict,) = judge(visitor, face, **flags)["verdicts"]
    assert verdict == printed | {"clip": face.name}
    assert bool(verdict["timeline"]) == ("timeline" in flags)


def test_the_client_in_the_docs_reads_that_verdict(site, visitor, face, tmp_path, monkeypatch, capsys):
    (client_of_ten_lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/serving.md").read_text(), re.DOTALL)
    shutil.copy(face, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    before = files(site[1])
    exec(client_of_ten_lines.replace("http://127.0.0.1:7860", site[0]), {})
    assert files(site[1]) == before
    (verdict,) = judge(visitor, face)["verdicts"]
    assert capsys.readouterr().out == f"{verdict['verdict']} {verdict['probability']}\n"


def test_a_clip_waits_is_judged_and_gone(visitor, face):
    answer = visitor.post("/api/verdicts", **form(face.read_bytes(), face.name))
    assert answer.status_code == 202
    place, state = answer.headers["location"], answer.json()
    assert place == f"/api/verdicts/{state['id']}"
    assert (state["state"], state["verdicts"], state["seconds_kept"]) in [
        (name, [], None) for name in ("waiting", "being judged")
    ]
    state = visitor.get(place, params={"wait": 60}).json()
    assert (state["state"], state["ahead"], len(state["verdicts"])) == ("judged", 0, 1)
    assert 590 < state["seconds_kept"] <= 600
    for path in ("frames/1", "frames/12", "crops/1", "crops/12"):
        picture = visitor.get(f"{place}/{path}")
        assert (picture.headers["content-type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")
    for path in ("frames/0", "frames/13", "crops/1?face=2", "crops/1?face=x", "crops/x"):
        assert visitor.get(f"{place}/{path}").status_code == 404
    piece = visitor.get(f"{place}/clip", headers={"range": "bytes=10-19"})
    assert (piece.status_code, piece.content) == (206, face.read_bytes()[10:20])
    assert visitor.delete(place).status_code == 204
    for path in (place, f"{place}/clip", f"{place}/crops/1"):
        refused(visitor.get(path), 410, "no longer kept")
    refused(visitor.delete(place), 410)
    refused(visitor.get("/api/verdicts/absent"), 404)


def test_a_clip_that_cannot_be_judged_has_a_verdict_that_says_why(visitor, site, tmp_path, capfd):
    for name, content, words in (
        ("x.mp4", b"no video", "the clip cannot be decoded"),
        ("x.jpg", b"\xff\xd8", "picture"),
    ):
        answer = visitor.post("/api/verdicts?wait=60", **form(content, name))
        (verdict,) = answer.json()["verdicts"]
        assert (verdict["verdict"], verdict["clip"], verdict["probability"]) == ("Failed", name, None)
        assert words in verdict["reason"]
        assert str(site[1]) not in answer.text
    slow = write_clip(tmp_path / "slow.mp4", counting_images(5), times=[0, 1000, 2000, 3000, 7500])
    (verdict,) = judge(visitor, slow)["verdicts"]
    assert (verdict["outcome"], verdict["reason"][:21]) == ("refused", "It plays for 300 s; t")
    assert capfd.readouterr().err == ""


def test_a_clip_that_takes_too_long_makes_way(face):
    with served(most_work_seconds=0.05) as (address, _), client(address) as visitor:
        (verdict,) = judge(visitor, face)["verdicts"]
    assert (verdict["verdict"], verdict["outcome"]) == ("Failed", "timeout")
    assert "It was not judged within 0.05 s" in verdict["reason"]


def test_a_bug_is_told_to_the_terminal_and_not_to_the_visitor(visitor, face, monkeypatch, caplog):
    def fail(*arguments, **named):
        raise RuntimeError(f"in {face}")

    monkeypatch.setattr(Detector, "judge", fail)
    (verdict,) = judge(visitor, face)["verdicts"]
    assert "Try again in a minute" in verdict["reason"]
    assert str(face) not in verdict["reason"]
    assert f"in {face}" in caplog.text


@pytest.mark.parametrize(
    ("query", "words"),
    [("faces=0", "faces"), ("faces=x", "faces"), ("wait=61", "wait"), ("threshold=2", "threshold"), ("wat=1", "wat"),
     ("timeline=0", "timeline"), ("timeline=nan", "timeline")],
)  # fmt: skip
def test_a_wrong_question_is_refused_before_the_clip_is_taken(visitor, site, query, words):
    before = files(site[1])
    refused(visitor.post(f"/api/verdicts?{query}", **form()), 400, words)
    assert files(site[1]) == before


def test_an_upload_is_one_file_and_nothing_else(visitor, site):
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\nclip\r\n'
    field, end, before = part.replace(b'; filename="x.mp4"', b""), b"--b--\r\n", files(site[1])
    for body, kind, status in (
        (part + part + end, FORM, 400),
        (field + end, FORM, 400),
        (end, FORM, 400),
        (b"no parts", FORM, 400),
        (part + end, "multipart/form-data", 400),
        (field * 9 + end, FORM, 400),
        (part + end, "application/octet-stream", 415),
        (b"", "", 415),
        (b'{"url": "http://192.0.2.1/x.mp4"}', "application/json", 403),
    ):
        refused(visitor.post("/api/verdicts", content=body, headers={"content-type": kind}), status)
    refused(visitor.post("/api/verdicts", **form(field="clip")), 400, "Choose a clip")
    refused(visitor.put("/api/verdicts"), 405)
    assert files(site[1]) == before


def test_what_is_too_large_is_refused(site):
    with served(most_megabytes=1) as (address, folder), client(address) as visitor:
        refused(visitor.post("/api/verdicts", **form(bytes(2 << 20))), 413, "larger than")
        assert files(folder) == serving.EXAMPLES


@contextmanager
def stopped(monkeypatch):
    """Has judging stop until the block ends."""
    over, score = threading.Event(), Brightness.score

    def wait(*arguments):
        assert over.wait(60)
        return score(*arguments)

    monkeypatch.setattr(Brightness, "score", wait)
    try:
        yield
    finally:
        over.set()


def test_busy_has_a_status_for_one_visitor_and_for_all(face, monkeypatch):
    whole = form(face.read_bytes(), face.name)
    for limit, status in (("most_each", 429), ("most_waiting", 503)):
        with served(None, **{limit: 1}) as (address, _), client(address) as visitor, stopped(monkeypatch):
            place = visitor.post("/api/verdicts", **whole).headers["location"]
            answer = visitor.post("/api/verdicts", **whole)
            refused(answer, status, "come back")
            assert int(answer.headers["retry-after"]) > 0
            assert visitor.get("/health").json()["status"] == "ok"  # which never waits
            assert visitor.get(place, params={"wait": 0.1}).json()["state"] != "judged"
            visitor.delete(place)
            assert visitor.post("/api/verdicts", **whole).status_code == 202


def test_the_token_is_a_bearer_or_a_password(tmp_path, face):
    (tmp_path / "token").write_text(TOKEN + "\n")
    with served(token_file=tmp_path / "token") as (address, _), client(address) as visitor:
        for header in ("", "Bearer wrong", "Basic !", f"Basic {TOKEN}", f"Digest {TOKEN}"):
            for path in ("/", "/api/run", "/docs", "/static/page.css"):
                answer = visitor.get(path, headers={"authorization": header})
                refused(answer, 401, "token")
                assert "Basic" in answer.headers["www-authenticate"]
        assert visitor.get("/health").status_code == 200
        assert visitor.get("/", auth=("anybody", TOKEN)).status_code == 200
        visitor.headers["authorization"] = f"Bearer {TOKEN}"
        assert judge(visitor, face)["state"] == "judged"
        assert visitor.get("/openapi.json").json()["security"] == [{"token": []}]


def test_other_sites_may_ask_where_they_are_allowed_to(visitor):
    site, other = "https://a.example", "https://b.example"
    refused(visitor.post("/api/verdicts", **form(), headers={"origin": site}), 403)
    with served(allow_origin=(site,)) as (address, _), client(address) as asking:
        preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        for origin, status in ((site, 200), (other, 400)):
            assert asking.options("/api/verdicts", headers=preflight | {"origin": origin}).status_code == status
        answer = asking.get("/api/run", headers={"origin": site})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, site)
        refused(asking.get("/api/run", headers={"origin": other}), 403)


@pytest.mark.parametrize("stripped", [True, False])
def test_behind_a_proxy_the_page_has_a_path_of_its_own(face, stripped, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    with served(root_path="/check", token_file=tmp_path / "token") as (address, _), client(address) as visitor:
        at = "" if stripped else "/check"
        assert visitor.get(f"{at}/health").status_code == 200
        visitor.auth = ("anybody", TOKEN)
        assert '<base href="/check/">' in visitor.get(f"{at}/").text
        answer = visitor.post(f"{at}/api/verdicts?wait=60", **form(face.read_bytes(), face.name))
        place = answer.headers["location"]
        assert place == f"/check/api/verdicts/{answer.json()['id']}"
        assert visitor.get(place.removeprefix("/check" if stripped else "")).json()["state"] == "judged"
        assert visitor.get(f"{at}/static/page.js").status_code == 200
        assert visitor.get(f"{at}/openapi.json").json()["servers"] == [{"url": "/check/"}]


def test_addresses_are_downloaded_only_from_the_public_network(tmp_path):
    with served(allow_url=True) as (address, folder), client(address) as visitor:
        for url in (
            f"{address}/examples/1",
            "http://localhost/x.mp4",
            "http://[::1]/",
            "http://169.254.169.254/latest",
        ):
            answer = visitor.post("/api/verdicts", json={"url": url})
            refused(answer, 422, "it is in the network of the machine that judges")
        for body in (b"{", b"[]", b'{"url": 1}', b'{"url": "file:///etc/passwd"}', b'{"url": "http://x", "more": 1}',
                     b"\xff", b"[" * 10_000):  # fmt: skip
            answer = visitor.post("/api/verdicts", content=body, headers={"content-type": "application/json"})
            refused(answer, 400)
        assert files(folder) == serving.EXAMPLES


def test_a_clip_at_a_public_address_is_judged(face, monkeypatch):
    monkeypatch.setattr("detect.addresses._is_inside", lambda host: False)  # this machine is the public network
    with served(examples=face.parent, allow_url=True) as (address, _), client(address) as visitor:
        answer = visitor.post("/api/verdicts?wait=60", json={"url": f"{address}/examples/1"})
        assert answer.json()["verdicts"][0]["verdict"] in ("Real", "Unsure", "Fake")
        refused(visitor.post("/api/verdicts", json={"url": f"{address}/examples/9"}), 422, "Not Found")


def test_what_judges_is_said(visitor):
    about = visitor.get("/api/run").json()
    assert about["sentence"].startswith("Judged by an unnamed run: not evaluated")
    assert (about["most_megabytes"], about["most_seconds"], about["reference"]) == (100, 120, None)
    assert about["band"]["threshold"] == 0.5


def test_the_description_is_valid_and_names_every_path(site, visitor):
    api = visitor.get("/openapi.json").json()
    validate(api)
    service = Service(detector(), WebConfig(), Cases(site[1] / "x", Room(1, 1, 1, 1)), [])
    routes = [route for route in Api(service).routes() if route.path != "/openapi.json"]
    paths = {(re.sub(r":int", "", route.path), method) for route in routes for method in route.methods - {"HEAD"}}
    assert paths == {(path, method.upper()) for path, methods in api["paths"].items() for method in methods}
    used = {status for path in api["paths"].values() for one in path.values() for status in one["responses"]}
    assert {str(status) for status in PROBLEMS} <= used
    assert describe(WebConfig())["servers"] == [{"url": "/"}]


def test_the_description_says_what_a_verdict_holds(visitor, face):
    schemas = visitor.get("/openapi.json").json()["components"]["schemas"]
    said = judge(visitor, face)
    assert said.keys() == schemas["Case"]["properties"].keys()
    assert said["verdicts"][0].keys() == schemas["Line"]["properties"].keys()


def test_an_upload_that_breaks_off_leaves_nothing(site):
    address, folder = site
    before = sorted(folder.rglob("*"))
    head = f"POST /api/verdicts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\nContent-Type: {FORM}\r\n\r\n"
    begun = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + bytes(2 << 20)
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode() + begun)
    wait_for(lambda: sorted(folder.rglob("*")) == before)
