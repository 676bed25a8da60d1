"""The command `reelcheck VERB [--flags]`: each verb is a stage, loaded when it is called."""

import difflib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from base.ending import run
from base.errors import UserError
from base.flags import parse_flags
from base.progress import show

USAGE = 64
"""The exit status of a command that cannot be read where 1 and 2 are verdicts (EX_USAGE of sysexits.h)."""


def _extract(words: Sequence[str]) -> int | None:
    from extract.__main__ import main

    return main(words)


def _train(words: Sequence[str]) -> int | None:
    from evaluate.runs_index import refresh
    from train.__main__ import train

    if folder := train(words):
        refresh(folder.parent)


def _sweep(words: Sequence[str]) -> int | None:
    from evaluate.runs_index import refresh
    from evaluate.sweep_page import LeaderboardConfig, write_leaderboard_page
    from train.sweep.stage import SweepConfig, sweep

    config = parse_flags("reelcheck sweep", VERBS["sweep"].text, SweepConfig, words)
    folder = sweep(config)
    refresh(config.runs)
    show(write_leaderboard_page(LeaderboardConfig(sweep=folder)))


def _evaluate(words: Sequence[str]) -> int | None:
    from evaluate.__main__ import main

    return main(words)


def _detect(words: Sequence[str]) -> int | None:
    from detect.__main__ import main

    return main(words)


def _cache(words: Sequence[str]) -> int | None:
    from cache.__main__ import main

    return main(words)


def _demo(words: Sequence[str]) -> int | None:
    from reelcheck.demo import main

    return main(words)


@dataclass(frozen=True)
class Verb:
    """The `door` of a stage's package, the `words` that lead from there to the stage, and what it does in one line."""

    door: Callable[[Sequence[str]], int | None]
    words: tuple[str, ...]
    text: str
    error_status: int = 2


VERBS = {
    "features": Verb(_extract, (), "videos -> twelve features each, once"),
    "train": Verb(_train, ("fit",), "features -> a trained head in its run folder"),
    "sweep": Verb(_sweep, (), "try hundreds of heads at once -> leaderboard, runs of the best"),
    "ensemble": Verb(_train, ("ensemble",), "join finished runs into one"),
    "finetune": Verb(_train, ("finetune",), "train a run's backbone and head further, end to end"),
    "cnn3d": Verb(_train, ("cnn3d",), "train a small 3D network on the crops of a run"),
    "eval": Verb(_evaluate, ("report",), "run folder -> numbers with intervals, figures, report.html"),
    "compare": Verb(_evaluate, ("compare",), "which of several runs is better, and how sure that is"),
    "protocols": Verb(_evaluate, ("protocols",), "one head by each way to split, and on other data sets"),
    "published": Verb(_evaluate, ("published",), "the published recipe beside ours on the same clips"),
    "runs": Verb(_evaluate, ("runs",), "which runs there are, how well they do, and where their reports are"),
    "detect": Verb(_detect, (), "a verdict on a clip, a picture or a folder of them", USAGE),
    "stream": Verb(_detect, ("stream",), "verdicts on a camera, an address or a file while it plays", USAGE),
    "export": Verb(_detect, ("export",), "run folder -> a detector that other programs run", USAGE),
    "web": Verb(_detect, ("web",), "the page on which people drop a clip and read a verdict", USAGE),
    "cache": Verb(_cache, (), "info | verify | export: look into a features folder, check it, take it elsewhere"),
    "demo": Verb(_demo, (), "draw a small data set, and run everything on it"),
}


def main() -> NoReturn:
    """Runs the verb that the command line names, and exits with its status."""
    run(lambda: dispatch(sys.argv[1:]), error_status=error_status(sys.argv[1] if len(sys.argv) > 1 else ""))


def error_status(verb: str) -> int:
    """Returns the exit status of `verb` where it ends with a UserError; that of a verb there is not is `USAGE`."""
    return VERBS[verb].error_status if verb in VERBS else USAGE


def dispatch(words: Sequence[str]) -> int | None:
    """Runs the verb that `words` begin with on the rest of them; returns its exit status."""
    name, rest = (words[0], words[1:]) if words else ("--help", [])
    if name in ("--help", "-h", "help"):
        show(overview())
        return 0
    verb = require_verb(name)
    return verb.door([*verb.words, *rest])


def require_verb(name: str) -> Verb:
    """Returns the verb `name`; a UserError names the nearest one there is."""
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"{name!r} is no verb; {hint}reelcheck --help lists them.")
    return VERBS[name]


def overview() -> str:
    """Returns the verbs, a line each."""
    lines = [f"  {name:<10} {verb.text}" for name, verb in VERBS.items()]
    start = ["usage: reelcheck VERB [--flags]", "", "Tells whether the face in a video is real or synthesised.", ""]
    return "\n".join([*start, *lines, "", "reelcheck VERB --help lists its flags, with units and defaults."])
