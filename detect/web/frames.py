"""The frames that a verdict rests on: each with the face's box, and the crop that the network sees."""

from collections.abc import Sequence

import numpy as np

from detect.clips.sheet import CAPTIONS, COLOURS
from detect.detector.verdict import SeenFrame
from detect.web.texts import MEANINGS
from evaluate.page import figures
from evaluate.page.markup import Html, details, element, items
from extract.clips.thumbnails import Thumbnails

SIDE = 320
"""Longer side of a frame on the page, in pixels."""
LOST_GREY = 225
"""What is shown in place of a crop that is not judged."""


def frames_html(frames: Sequence[SeenFrame], thumbnails: Thumbnails, crops: np.ndarray) -> Html:
    """Returns the `frames`, small, with the face's box in each, and folded away their `crops` uint8 (12, H, W, 3)."""
    shown = [
        _figure(number, frame, _framed(frame, picture, thumbnails.scale))
        for number, (frame, picture) in enumerate(zip(frames, thumbnails.pictures, strict=True), start=1)
    ]
    kinds = [kind for kind in CAPTIONS if any(frame.status == kind for frame in frames)]
    legend = [f"{CAPTIONS[kind]}: {MEANINGS[kind]}" for kind in kinds]
    if kinds != ["full_frame"]:
        legend.append("the box in a frame: the face that was followed; dashed where it is that of a frame nearby")
    cropped = [_figure(number, frame, _crop(frame, crops[number - 1])) for number, frame in enumerate(frames, start=1)]
    return element(
        "section",
        element("h3", "What it looked at"),
        element("div", *shown, class_="frames"),
        details("What the words below the frames mean", items(legend)),
        details("What the network saw of each frame", element("div", *cropped, class_="frames crops")),
    )


def _figure(number: int, frame: SeenFrame, picture: Html) -> Html:
    """A picture with its caption. As on a sheet, its edge marks what is not simply a face."""
    time, caption = f"{frame.seconds:.2f} s", CAPTIONS[frame.status]
    edge = {} if frame.status == "face" else {"style": f"border-color:{COLOURS[frame.status]}"}
    label = {"role": "img", "aria-label": f"Frame {number}, {time}: {caption}"}
    place = element("div", picture, class_=f"picture {frame.status}", **edge, **label)
    return element("figure", place, element("figcaption", element("b", time), " ", element("span", caption)))


def _framed(frame: SeenFrame, picture: np.ndarray, scale: float) -> Html:
    """A frame, and the box of the face in it."""
    height, width = picture.shape[:2]
    image = _image(picture)
    if frame.box is None:
        return image
    left, top, across, down = (100 * scale * side / of for side, of in zip(frame.box, (width, height) * 2, strict=True))
    box = element("i", class_="box", style=f"left:{left:.1f}%;top:{top:.1f}%;width:{across:.1f}%;height:{down:.1f}%")
    return Html(image + box)


def _crop(frame: SeenFrame, crop: np.ndarray) -> Html:
    return _image(np.full_like(crop, LOST_GREY) if frame.status == "lost" else crop)


def _image(picture: np.ndarray) -> Html:
    height, width = picture.shape[:2]
    return Html(f'<img src="{figures.inline_jpeg(picture)}" width="{width}" height="{height}" alt="" loading="lazy">')
