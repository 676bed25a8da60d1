"""Reelcheck tells whether the face in a video is real or synthesised.

    import reelcheck

    features = reelcheck.extract(data="clips")  # clips/real and clips/fake -> twelve features each, once
    run = reelcheck.train(features=features)  # -> a trained head in its run folder, in seconds
    report = reelcheck.evaluate(run=run)  # -> numbers with intervals, figures, one page
    verdict = reelcheck.judge("clip.mp4", reelcheck.load_detector(run))

The functions take the flags of the commands by name and print nothing. `reelcheck.show_progress(False)` hides their
progress bars; what they have to say goes to the logger "reelcheck". What the user can mend is a `reelcheck.UserError`.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reelcheck.api import (
        Detector,
        Evaluation,
        UserError,
        Verdict,
        draw,
        evaluate,
        extract,
        judge,
        load_detector,
        show_progress,
        train,
    )

__all__ = [
    "Detector",
    "Evaluation",
    "UserError",
    "Verdict",
    "draw",
    "evaluate",
    "extract",
    "judge",
    "load_detector",
    "show_progress",
    "train",
]

_HERE = Path(__file__).parent
if not (_HERE / "stages").is_dir() and str(_HERE.parent) not in sys.path:
    # A checkout: the stages lie beside this folder, not in it.
    sys.path.insert(0, str(_HERE.parent))


def __getattr__(name: str) -> Any:
    """Loads the API at its first use, so that the command's --help does not wait for it.

    An ImportError says that the system is Windows. The commands say so in their own way, and import this package too.
    """
    if name not in __all__:
        raise AttributeError(f"module 'reelcheck' has no attribute {name!r}")
    from base.machine.system import lack_of_system

    if lack := lack_of_system():
        raise ImportError(lack)
    from reelcheck import api

    return getattr(api, name)
