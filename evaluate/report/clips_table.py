"""The table of the test clips in a report: what the head says of each, and its crops behind a thumbnail."""

from collections.abc import Iterator

import numpy as np

from cache.schema import FAKE
from evaluate.page.markup import Html, element, table
from evaluate.page.pictures import inline_jpeg, strip
from evaluate.page.tables import NOTHING
from evaluate.results.slices import Failures
from evaluate.stats.metrics import THRESHOLD

MOST_CLIPS = 1000
"""Clips that are listed, those that were judged worst."""
MOST_PICTURES = 1_000_000
"""Bytes of pictures in the page, so that all of it stays below 2 MB."""
COLUMNS = ("clip", "crops", "is", "called", "probability of fake", "error", "coverage", "face, pixels", "seconds")
_SMALL, _LARGE = 55, 65
"""JPEG qualities of a thumbnail and of the twelve crops."""


def list_clips(failures: Failures) -> Html:
    """Returns the test clips, the worst mistake first; `error` is how far the probability is from the truth."""
    clips = failures.clips
    errors = np.abs(clips.probabilities - clips.labels)
    rows = np.argsort(-errors, kind="stable")[:MOST_CLIPS].tolist()
    pictures = dict(_pictures(failures, rows))
    caption = f"{len(clips.ids):,} test clips, the worst mistake first; calls at the threshold {THRESHOLD}."
    if len(rows) < len(clips.ids):
        caption += f" The worst {len(rows):,} are listed."
    if pictures and len(pictures) < len(rows):
        caption += f" The first {len(pictures):,} have their crops; press a picture to see all twelve."
    elif pictures:
        caption += " Press a picture to see all twelve crops."
    columns = [name for name in COLUMNS if pictures or name != "crops"]
    if not failures.footage.rows:
        columns = columns[:-2]
    cells = (_cells(failures, row, float(errors[row]), pictures) for row in rows)
    return table(caption, columns, ([own[name] for name in columns] for own in cells), wide=True, sortable=True)


def _pictures(failures: Failures, rows: list[int]) -> Iterator[tuple[int, Html]]:
    """Yields the thumbnail of each of the first clips, with the twelve crops behind it."""
    spent = 0
    for row in rows:
        crops = failures.footage.pictures(failures.clips.ids[row])
        if crops is None:
            continue
        small, large = (_image(crops[:1, ::2, ::2], 1, _SMALL), _image(crops, 6, _LARGE))
        spent += len(small) + len(large)
        if spent > MOST_PICTURES:
            return
        yield row, element("details", element("summary", small), large, class_="crops")


def _image(crops: np.ndarray, columns: int, quality: int) -> Html:
    words = "twelve crops of this clip" if len(crops) > 1 else "a crop of this clip"
    return Html(f'<img src="{inline_jpeg(strip(crops, columns), quality)}" alt="{words}">')


def _cells(failures: Failures, row: int, error: float, pictures: dict[int, Html]) -> dict[str, object]:
    """Returns the cells of a clip by column."""
    clips, footage = failures.clips, failures.footage
    name, probability, coverage = clips.ids[row], clips.probabilities[row], clips.coverage[row]
    face, seconds = (footage.face(name), footage.seconds(name)) if name in footage.rows else (np.nan, np.nan)
    return {
        "clip": name,
        "crops": pictures.get(row, ""),
        "is": _class(clips.labels[row] == FAKE),
        "called": _class(probability >= THRESHOLD),
        "probability of fake": f"{probability:.3f}",
        "error": f"{error:.3f}",
        "coverage": NOTHING if np.isnan(coverage) else f"{coverage:.2f}",
        "face, pixels": NOTHING if np.isnan(face) else f"{face:.0f}",
        "seconds": NOTHING if np.isnan(seconds) else f"{seconds:.1f}",
    }


def _class(fake: bool) -> str:
    return "fake" if fake else "real"
