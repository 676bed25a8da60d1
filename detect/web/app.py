"""The page in Gradio: its parts, its queue, and which requests it answers.

Nothing here contacts another machine, and the page's content policy forbids the browser to do so.
"""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.themes import Base
from starlette.middleware import Middleware
from starlette.routing import Mount

from base.commands import flag
from base.errors import UserError
from detect.detector.judge import DEFAULT_WINDOW, Detector, JudgeOptions
from detect.stream.frame_sources import open_source
from detect.web import page as web_page
from detect.web.config import WebConfig
from detect.web.frames import SIDE
from detect.web.guards.answers import OwnFiles, Policy, UsedPaths
from detect.web.guards.bodies import OwnClips, SmallBodies
from detect.web.guards.origins import Forwarded, OwnNames, SameOrigin
from detect.web.guards.turns import FairTurns
from detect.web.intake import UPLOAD, Tabs, tab_of, upload_routes
from detect.web.live import LAST_WORD, PICTURES, Latest, Live, shared
from detect.web.server import serve
from detect.web.uploads import (
    KEPT,
    MEGABYTE,
    Example,
    Uploads,
    clip_limits,
    copy_examples,
    draw_examples,
    refusal_of,
)
from evaluate.page.markup import Html
from extract.clips.thumbnails import Thumbnails
from extract.video.pictures import has_picture_name

NETWORK = "network"
"""The queue of everything that runs the detector, one call at a time."""
MOST_TABS = 1000
"""Open tabs whose state is kept; beyond that, the oldest are forgotten."""
HERE = Path(__file__).parent
BUSY = "Something went wrong on this page, not with your clip. Try again in a minute."

ShowProgress = Callable[[float, str], Any]
"""Shows a visitor the share of the work that is done, in [0, 1], and what is being done."""


@dataclass(frozen=True)
class Answer:
    """What the page says of a clip, and whether the clip `plays` beside it."""

    html: Html
    plays: bool = False


@dataclass(frozen=True)
class PageDetector:
    """The detector that the page judges with."""

    detector: Detector

    def answer(self, clip: Path | None, config: WebConfig, show: ShowProgress) -> Answer:
        """Returns the page's answer on `clip`. After a bug, it says so, and the terminal what it was."""
        if clip is None:
            return Answer(
                web_page.sentence_html("Nothing yet", "Drop a clip or a picture, or choose an example, first.")
            )
        try:
            return self._answer(clip, config, show)
        except Exception:  # noqa: BLE001 - visitors see neither paths nor tracebacks
            traceback.print_exc(file=sys.stderr)
            return Answer(web_page.sentence_html("Not judged", BUSY))

    def _answer(self, clip: Path, config: WebConfig, show: ShowProgress) -> Answer:
        end = time.monotonic() + config.most_work_seconds
        show(0.05, "checking the file")
        if reason := refusal_of(clip, config.most_megabytes * MEGABYTE, config.most_seconds, config.most_work_seconds):
            return Answer(web_page.refusal_html(reason))
        show(0.2, "finding faces and judging them")
        options = JudgeOptions(config.threshold, window=DEFAULT_WINDOW, thumbnails=SIDE)
        limits = clip_limits(config.most_seconds, max(0.0, end - time.monotonic()))
        frames: list[Thumbnails] = []
        (((verdict, row),),) = self.detector.judge([clip], options, limits, workers=1, show=frames.append)
        show(0.95, "drawing the answer")
        if verdict.outcome == "timeout":
            return Answer(web_page.slow_html(config.most_work_seconds))
        if verdict.verdict == "Failed" or row is None or row.array is None:
            return Answer(web_page.failure_html(verdict))
        plays = not has_picture_name(clip)
        return Answer(web_page.verdict_html(verdict, row.array, frames[0], clip if plays else None), plays)


@contextmanager
def open_page(judge: PageDetector, config: WebConfig, folder: Path) -> Iterator[str]:
    """Serves the page until the block ends, and gives its address; all files, Gradio's too, are in `folder`.

    A UserError says why the page cannot be served.
    """
    most_bytes = config.most_megabytes * MEGABYTE
    uploads = Uploads(folder, config.most_waiting * most_bytes, config.most_each * most_bytes)
    examples = copy_examples(config.examples, uploads.examples) if config.examples else draw_examples(uploads.examples)
    live, networks = None, threading.Lock()
    judge = replace(judge, detector=shared(judge.detector, networks))
    if config.live is not None:
        source = open_source(config.live, DEFAULT_WINDOW)
        live = Live(source, judge.detector, config.threshold)
    page = make_page(judge, config, uploads, examples, live and live.latest)
    app = _mounted(page, config, uploads)
    with ExitStack() as stack:
        # Last of all, no batch is under way and none begins: a network that comes back while Python ends, aborts it.
        stack.callback(networks.acquire, timeout=LAST_WORD)
        try:
            stack.enter_context(serve(app, config.host, config.port, config.proxy))
        except OSError:
            raise UserError(
                f"port {config.port} of {config.host} is taken or closed to you; end the program there, or choose "
                f"another {flag('port')}."
            ) from None
        stack.callback(page.close, verbose=False)  # before the server, whose open answers would else keep it waiting
        stack.enter_context(live or nullcontext())
        stack.enter_context(uploads.swept())
        name = "localhost" if config.host == "0.0.0.0" else _server_name(config.host)
        yield f"http://{name}:{config.port}/"


def _mounted(page: gr.Blocks, config: WebConfig, uploads: Uploads) -> FastAPI:
    """Returns the application that is served: the guards, the route of uploads, and Gradio's `page` for all else."""
    most_bytes = config.most_megabytes * MEGABYTE
    app = FastAPI(
        openapi_url=None, middleware=_guards(page, config, uploads), routes=upload_routes(uploads, most_bytes)
    )
    page.state_session_capacity = MOST_TABS
    gr.mount_gradio_app(
        app,
        page,
        path="",
        server_name=config.host,
        server_port=config.port,
        show_error=False,
        max_file_size=most_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        theme=Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css_paths=HERE / "app.css",
        js=(HERE / "page.js").read_text(encoding="utf-8").replace("MOST_BYTES", str(most_bytes)),
    )
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)
    page.app = mounted.app  # as `launch` leaves the page; else it would end another application, and not check paths
    page.has_launched = True
    return app


def make_page(
    judge: PageDetector, config: WebConfig, uploads: Uploads, examples: list[Example], latest: Latest | None = None
) -> gr.Blocks:
    """Returns the page; with `latest`, it has a second tab that shows the live source."""
    with gr.Blocks(title="Reelcheck", analytics_enabled=False) as page:
        gr.HTML(web_page.header_html(judge.detector.about))
        if latest is None:
            _add_clips(judge, config, uploads, examples)
        else:
            with gr.Tabs():
                with gr.Tab("Clips") as clips:
                    _add_clips(judge, config, uploads, examples)
                with gr.Tab("Live") as live:
                    _add_live(latest, live, clips)
        gr.HTML(web_page.limits_html())

        def leave(request: gr.Request) -> None:
            uploads.leave(*tab_of(request))

        page.unload(leave)
    return page.queue(max_size=config.most_waiting, default_concurrency_limit=1, api_open=False)


def _add_clips(judge: PageDetector, config: WebConfig, uploads: Uploads, examples: list[Example]) -> None:
    """Adds the part that judges a clip or a picture."""

    def answer(
        held: Path | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[None, Path | None, Any, Html, None, None]:
        """Judges what is held; it is shown from now on."""
        with tabs.judging(request):
            said = judge.answer(held, config, lambda share, step: progress(share, desc=step))
            (uploads.keep_on if said.plays else uploads.release)(held)
        return None, held if said.plays else None, gr.update(interactive=False), said.html, None, None

    tabs, held, shown = Tabs(uploads), gr.State(None), gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            with gr.Tabs():
                with gr.Tab("A clip"):
                    video = gr.Video(label="Your clip", sources=["upload", "webcam"], height=340, buttons=[])
                    names, clips = zip(*examples, strict=True)
                    gr.Examples(
                        [[str(clip)] for clip in clips], video, label="Or try one of these", example_labels=list(names),
                        api_visibility="private",
                    )  # fmt: skip
                with gr.Tab("A picture"):
                    picture = gr.Image(label="Your picture", sources=["upload"], height=340, buttons=[])
            gr.HTML(web_page.caps_html(config.most_megabytes, config.most_seconds, KEPT / 60))
            gr.HTML(web_page.too_large_html(config.most_megabytes))
            button = gr.Button("Judge", variant="primary", interactive=False)
        with gr.Column(scale=3, min_width=300):
            verdict = gr.HTML(web_page.welcome_html(), elem_id="verdict")
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    state = [held, shown, button, verdict]
    for component, other in ((video, picture), (picture, video)):
        # Gradio would decode a picture in this process.
        component.change(tabs.hold, [component, held, shown], [*state, other], preprocess=False, **quiet)
        component.clear(tabs.let_go, held, [held, button], **quiet)
    button.click(
        answer, held, [*state, video, picture], concurrency_id=NETWORK, concurrency_limit=1,
        show_progress_on=verdict, scroll_to_output=True, api_visibility="private",
    )  # fmt: skip


def _add_live(latest: Latest, here: gr.Tab, elsewhere: gr.Tab) -> None:
    """Adds the part that shows the live source; browsers poll it while that tab is open, without queueing."""

    async def look(seen: tuple[int, int]) -> tuple[Any, Any, tuple[int, int]]:
        current = latest.picture, latest.words()
        marks = hash(current[0]), hash(current[1])
        picture, words = (
            gr.skip() if new == old else html for html, new, old in zip(current, marks, seen, strict=True)
        )
        return picture, words, marks

    seen, timer = gr.State((0, 0)), gr.Timer(1 / PICTURES, active=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            picture = gr.HTML(latest.picture, elem_id="live")
        with gr.Column(scale=2, min_width=300):
            words = gr.HTML(latest.words())
            gr.HTML(web_page.about_live_html())
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    timer.tick(look, seen, [picture, words, seen], **quiet)
    here.select(lambda: gr.Timer(active=True), None, timer, **quiet)
    elsewhere.select(lambda: gr.Timer(active=False), None, timer, **quiet)


def _guards(page: gr.Blocks, config: WebConfig, uploads: Uploads) -> list[Middleware]:
    """Returns what every request passes, in that order."""
    return [
        Middleware(Policy),
        Middleware(Forwarded, config.proxy),
        Middleware(OwnNames, config.host, config.names),
        Middleware(SameOrigin),
        Middleware(UsedPaths, UPLOAD),
        Middleware(OwnFiles, uploads),
        Middleware(SmallBodies, UPLOAD),
        Middleware(OwnClips, uploads, UPLOAD),
        Middleware(FairTurns, page, config.most_each),
    ]


def _server_name(host: str) -> str:
    """Returns `host` as addresses have it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
