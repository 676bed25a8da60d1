"""Training on some kinds of fakes and testing on others: a detector is worth what it makes of fakes it has not seen."""

from collections.abc import Iterable, Sequence

from base.commands import flag
from base.errors import UserError
from base.outside.values import shown
from cache.schema import FAKE, TEST, TRAIN, VAL, VideoRecord
from train.data.blended_parts import DROPPED


def choose_kinds(
    videos: Sequence[VideoRecord], parts: Sequence[str], kinds: Sequence[str], left_out: str
) -> tuple[list[str], list[str]]:
    """Returns `parts` without the fakes that are not wanted, which are dropped, and notes.

    Train and validation keep those of `kinds`, if there are any, and none of the kind `left_out`, nor of an unknown
    one; then test keeps none but those of `left_out`. "FaceSwap" stands for "FaceSwap/SimSwap" too. A UserError names a
    kind that no fake is of.
    """
    if not kinds and not left_out:
        return list(parts), []
    known = {video.kind for video in videos if video.kind}
    for name in filter(None, (*kinds, left_out)):
        if not any(_is_of(kind, [name]) for kind in known):
            listed = f"the kinds are {', '.join(sorted(known))}" if known else "the data set names no kinds of fakes"
            raise UserError(f"no fake is of the kind {shown(name)}: {listed}; correct the flag.")
    chosen = [
        DROPPED if video.label == FAKE and not _wanted(video.kind, part, kinds, left_out) else part
        for video, part in zip(videos, parts, strict=True)
    ]
    gone = sum(before != after for before, after in zip(parts, chosen, strict=True))
    return chosen, [_note(kinds, left_out, gone)]


def _wanted(kind: str, part: str, kinds: Sequence[str], left_out: str) -> bool:
    if part == TEST:
        return not left_out or _is_of(kind, [left_out])
    if part not in (TRAIN, VAL):
        return True
    return bool(kind) and (not kinds or _is_of(kind, kinds)) and not (left_out and _is_of(kind, [left_out]))


def _is_of(kind: str, names: Iterable[str]) -> bool:
    return any(kind == name or kind.startswith(f"{name}/") for name in names)


def _note(kinds: Sequence[str], left_out: str, gone: int) -> str:
    trained = f"those of {', '.join(kinds)}" if kinds else "all others of known kinds"
    if left_out:
        what = f"Of fakes, test has those of {left_out} alone, and train and validation have {trained}"
    else:
        what = f"Of fakes, train and validation have {trained} alone, and test has all kinds"
    return f"{what}; {gone:,} other fakes are dropped ({flag('leave_out_kind' if left_out else 'kinds')})."
