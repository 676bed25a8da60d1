"""The page itself, in Gradio: its parts, who waits for whom, and what may come in and go out.

Nothing here asks anything of another machine, and the page's own policy forbids the browser to.
"""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes import Base
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.schema import UserError
from detect.clips.stage import WINDOW
from detect.detector.verdict import Ask, Detector
from detect.stream.frame_sources import open_source
from detect.stream.stage import StreamConfig
from detect.web import page as web_page
from detect.web.config import WebConfig, is_loopback
from detect.web.live import PICTURES, Latest, Live, shared
from detect.web.uploads import (
    KEPT,
    MEGABYTE,
    Example,
    Uploads,
    clip_limits,
    copy_examples,
    draw_examples,
    what_is_too_much,
)
from evaluate.page.markup import Html

NETWORK = "network"
"""The queue of all that runs the detector: whatever else is put on the page waits in it, too."""
SWEEP_SECONDS = 60
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
USED = ("upload", "queue/", "run/", "heartbeat/", "file=/", "startup-events", "reset", "cancel")
"""What the page needs of Gradio's interface; the rest, which fetches addresses or edits videos, is closed."""
SCRIPT = """() => {
  const note = document.getElementById('too-large');
  document.querySelector('#verdict .html-container').setAttribute('aria-live', 'polite');
  const refuse = (event) => {
    const files = [...(event.target.files ?? event.dataTransfer?.files ?? [])];
    const tooLarge = files.some((file) => file.size > %d);
    if (files.length) note.hidden = !tooLarge;
    if (!tooLarge) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (event.target.files) event.target.value = '';
  };
  document.addEventListener('click', () => { note.hidden = true; });
  document.addEventListener('change', refuse, true);
  document.addEventListener('drop', refuse, true);
}"""
"""Reads verdicts aloud to whom the page is read, and says of a file that is too large so before it is sent."""
BUSY = "Something went wrong here, not with your clip. Try again in a minute."

Say = Callable[[float, str], Any]
"""Tells a visitor how far it is, in [0, 1], and with what."""


@dataclass(frozen=True)
class Judge:
    """A detector, and the name its run goes by."""

    detector: Detector
    name: str

    def answer(self, clip: Path | None, config: WebConfig, say: Say) -> Html:
        """Returns what the page says of `clip`: always a sentence, whatever happens; the terminal gets the rest."""
        if clip is None:
            return web_page.sentence_html("No clip yet", "Drop a clip, film one, or choose an example first.")
        try:
            return self._answer(clip, config, say)
        except Exception:  # noqa: BLE001 - a visitor shall see neither a path nor a traceback
            traceback.print_exc(file=sys.stderr)
            return web_page.sentence_html("Not judged", BUSY)

    def _answer(self, clip: Path, config: WebConfig, say: Say) -> Html:
        say(0.05, "looking at the file")
        if reason := what_is_too_much(clip, config.most_megabytes * MEGABYTE, config.most_seconds):
            return web_page.refusal_html(reason)
        say(0.2, "finding faces and judging them")
        ask = Ask(config.threshold, window=WINDOW)
        (((verdict, crops),),) = self.detector.judge([clip], ask, clip_limits(config.most_seconds), workers=1)
        say(0.95, "writing it down")
        return web_page.verdict_html(verdict, crops, config.threshold, self.name)


@contextmanager
def open_page(judge: Judge, config: WebConfig, folder: Path) -> Iterator[str]:
    """Serves the page until the block ends, and gives its address; all its files are in `folder`, Gradio's too.

    A UserError says why it cannot be served.
    """
    uploads = Uploads(folder)
    examples = copy_examples(config.examples, uploads.examples) if config.examples else draw_examples(uploads.examples)
    live = None
    if config.live is not None:
        judge = replace(judge, detector=shared(judge.detector))
        source = open_source(config.live, StreamConfig.window)
        live = Live(source, judge.detector, config.threshold, judge.name)
    page = make_page(judge, config, uploads, examples, live and live.latest)
    try:
        _, address, _ = page.launch(
            server_name=config.host,
            server_port=config.port,
            max_file_size=config.most_megabytes * MEGABYTE,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            show_error=False,
            ssr_mode=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            theme=Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            css_paths=Path(__file__).with_name("app.css"),
            js=SCRIPT % (config.most_megabytes * MEGABYTE),
            app_kwargs={"middleware": _middleware(config)},
        )
    except OSError:
        raise UserError(
            f"{config.host} port {config.port} cannot be listened on; end what is there, or choose another --port."
        ) from None
    try:
        with live or nullcontext():
            yield address
    finally:
        page.close(verbose=False)


def make_page(
    judge: Judge, config: WebConfig, uploads: Uploads, examples: list[Example], latest: Latest | None = None
) -> gr.Blocks:
    """Returns the page, with a second part where there is something live to show."""
    with gr.Blocks(title="Reelcheck", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEPT)) as page:
        gr.HTML(web_page.header_html())
        if latest is None:
            _add_clips(judge, config, uploads, examples)
        else:
            with gr.Tabs():
                with gr.Tab("Clips") as clips:
                    _add_clips(judge, config, uploads, examples)
                with gr.Tab("Live") as live:
                    _add_live(latest, live, clips)
        gr.HTML(web_page.limits_html())
    return page.queue(max_size=config.most_waiting, default_concurrency_limit=1, api_open=False)


def _add_clips(judge: Judge, config: WebConfig, uploads: Uploads, examples: list[Example]) -> None:
    """Adds the part that judges one clip after another."""

    def hold(upload: str | None, held: Path | None) -> tuple[Path | None, Any]:
        uploads.release(held)
        held = uploads.hold(Path(upload)) if upload else None
        return held, gr.update(interactive=held is not None)

    def answer(held: Path | None, progress: gr.Progress = gr.Progress()) -> tuple[Html, None, None]:  # noqa: B008
        try:
            return judge.answer(held, config, lambda share, what: progress(share, desc=what)), None, None
        finally:
            uploads.release(held)

    held = gr.State(None, time_to_live=KEPT, delete_callback=uploads.release)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            video = gr.Video(label="Your clip", sources=["upload", "webcam"], height=340, buttons=[])
            _refuse_addresses(video)
            gr.HTML(web_page.caps_html(config.most_megabytes, config.most_seconds))
            gr.HTML(web_page.too_large_html(config.most_megabytes))
            button = gr.Button("Judge this clip", variant="primary", interactive=False)
            names, clips = zip(*examples, strict=True)
            gr.Examples(
                [[str(clip)] for clip in clips], video, label="Or try one of these", example_labels=list(names),
                api_visibility="private",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=300):
            said = gr.HTML(web_page.welcome_html(), elem_id="verdict")
    video.change(hold, [video, held], [held, button], queue=False, show_progress="hidden", api_visibility="private")
    button.click(
        answer, held, [said, held, video], concurrency_id=NETWORK, concurrency_limit=1, show_progress_on=said,
        scroll_to_output=True, api_visibility="private",
    )  # fmt: skip


def _add_live(latest: Latest, here: gr.Tab, elsewhere: gr.Tab) -> None:
    """Adds the part that shows what is live; a browser asks for it while it is `here`, past the queue."""

    async def look(seen: tuple[int, int]) -> tuple[Any, Any, tuple[int, int]]:
        shown = latest.picture, latest.words()
        marks = hash(shown[0]), hash(shown[1])
        picture, words = (gr.skip() if now == old else html for html, now, old in zip(shown, marks, seen, strict=True))
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


def _refuse_addresses(video: gr.Video) -> None:
    """Keeps the server from fetching what is named by an address in place of a clip: Gradio would."""
    take = video.async_move_resource_to_block_cache

    async def checked(path: str | Path | None) -> str | None:
        if "://" in str(path):
            raise ValueError("an address in place of a clip")
        return await take(path)

    video.async_move_resource_to_block_cache = checked  # not a subclass, whose stub Gradio would write beside this file


def _middleware(config: WebConfig) -> list[Middleware]:
    """What every request passes: on this machine only under its own names, so that no other site can pose as it."""
    guards = [Middleware(_Guard)]
    if is_loopback(config.host):
        guards.append(Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", config.host]))
    return guards


class _Guard:
    """Closes what the page does not use, and sends the policy that keeps browsers from asking elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _, inside, asked = scope["path"].partition("/gradio_api/")
        if inside and not asked.startswith(USED):
            await PlainTextResponse("closed", 404)(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, receive, send_with_policy)
