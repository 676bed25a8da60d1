"""The drawn demo data set: clips of drawn people, real and fake, in folders named like Celeb-DF v2.

Only the face differs between the classes. Length, brightness, contrast, noise, flicker and compression have the same
stratified distribution in both, and both use the same encoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from base.errors import UserError
from base.files import make_folder, write_text, writing
from base.flags import option
from base.progress import progress_bar
from base.temporary import TEMPORARY, remove_abandoned
from extract.drawn import MARK
from extract.drawn.clip import Capture, Scene, Swap, draw_clip
from extract.drawn.look import Look, make_look
from extract.readers.celeb_df import CELEB_DF, TEST_LIST

SHORTEST, LONGEST = 40, 60
"""Frames per clip."""
TEST_SHARE = 0.25
"""Share of each folder in the test list. As in the original, it is drawn without regard to people."""


@dataclass(frozen=True)
class DrawnConfig:
    """The size of the drawn set. All fields but `out` and `workers` determine the clips, byte for byte."""

    out: Path = option(Path("demo/celeb-df-drawn"), "the folder to write")
    people: int = option(12, "people with real clips; in pairs, each is the other's first donor")
    clips: int = option(3, "real clips per person")
    youtube: int = option(4, "people with only one real clip")
    fakes: int = option(40, "fakes: one for each real clip, then further donors")
    seed: int = option(0, "seed of all random choices")
    workers: int = option(2, "processes")


@dataclass(frozen=True)
class DrawnClip:
    """One clip of the set."""

    name: str
    scene: Scene
    capture: Capture
    swap: Swap | None = None


def draw_dataset(config: DrawnConfig) -> Path:
    """Draws the whole set into the folder `config.out` and returns it; existing clips are drawn again, identically.

    Raises a UserError if the sizes are impossible or another file is in the way.
    """
    _check(config)
    clips = plan_dataset(config)
    _make_folders(config.out, clips)
    folder = config.out.resolve()  # workers may be those of an earlier call, in another folder
    tasks = (delayed(draw_clip)(folder / clip.name, clip.scene, clip.capture, clip.swap) for clip in clips)
    drawn = Parallel(n_jobs=config.workers, return_as="generator")(tasks)
    for _ in progress_bar(iterable=drawn, total=len(clips), unit="clip", desc="draw"):
        pass
    write_text(config.out / TEST_LIST, _test_list(clips, config.seed))
    write_text(config.out / MARK, "The clips of this data set were drawn by Reelcheck; they show nobody.\n")
    return config.out


def _check(config: DrawnConfig) -> None:
    most = config.people * (config.people - 1) * config.clips
    if min(config.people, config.clips, config.workers) < 1 or min(config.youtube, config.fakes, config.seed) < 0:
        raise UserError("people, clips and workers must be at least 1; youtube, fakes and seed at least 0.")
    if config.fakes > most:
        raise UserError(
            f"{config.people} people with {config.clips} clips each give at most {most} fakes, not {config.fakes}; "
            "lower --fakes or raise --people."
        )


def _make_folders(out: Path, clips: Sequence[DrawnClip]) -> None:
    """Makes the three folders; refuses one with files of another set, so that two sets never mix."""
    names = {clip.name for clip in clips}
    for folder in (out / name for name in CELEB_DF):
        with writing(folder, "choose another folder with --out"):
            make_folder(folder)
        remove_abandoned(folder)
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(TEMPORARY) and f"{folder.name}/{path.name}" not in names:
                raise UserError(f"{path} is not part of this drawn set; choose an empty folder with --out.")


def plan_dataset(config: DrawnConfig) -> list[DrawnClip]:
    """Returns the clips of the set: first the real ones, then people with one clip, then fakes."""
    looks = [make_look(config.seed, number) for number in range(config.people + config.youtube)]
    shots = [(person, clip) for clip in range(config.clips) for person in range(config.people)]
    scenes = {shot: Scene(looks[shot[0]], (config.seed, 1, *shot)) for shot in shots}
    real = {f"Celeb-real/id{person}_{clip:04}.mp4": scene for (person, clip), scene in scenes.items()}
    for number, look in enumerate(looks[config.people :]):
        real[f"YouTube-real/{number:05}.mp4"] = Scene(look, (config.seed, 2, number))
    captures = _captures(len(real), (config.seed, 3))
    drawn = [DrawnClip(name, scene, capture) for (name, scene), capture in zip(real.items(), captures, strict=True)]
    return drawn + _plan_fakes(config, looks, scenes)


def _plan_fakes(config: DrawnConfig, looks: list[Look], scenes: dict[tuple[int, int], Scene]) -> list[DrawnClip]:
    captures = _captures(config.fakes, (config.seed, 4))
    difficulty = _stratified(np.random.default_rng([config.seed, 5]), config.fakes, 1)[:, 0]
    fakes, shots = [], list(scenes)
    for number, capture in enumerate(captures):
        target, clip = shots[number % len(shots)]
        donor = _donors(target, config.people)[number // len(shots)]
        swap = Swap(looks[donor], float(difficulty[number]), (config.seed, 6, number))
        fakes.append(
            DrawnClip(f"Celeb-synthesis/id{target}_id{donor}_{clip:04}.mp4", scenes[target, clip], capture, swap)
        )
    return fakes


def _donors(target: int, people: int) -> list[int]:
    """Returns everyone but `target`, its partner first, so that a split by identity can keep most fakes."""
    others = [person for person in range(people) if person != target]
    return sorted(others, key=lambda person: (person != target ^ 1, (person - target) % people))


def _captures(count: int, seed: tuple[int, ...]) -> list[Capture]:
    """Returns `count` captures that cover the range of each setting evenly and independently."""
    rolls = _stratified(np.random.default_rng(seed), count, 6)
    return [
        Capture(
            frames=int(SHORTEST + length * (LONGEST - SHORTEST + 1)),
            crf=int(20 + quality * 12),
            brightness=44 * brightness - 22,
            contrast=0.85 + 0.3 * contrast,
            noise=1 + 4 * noise,
            flicker=0.5 + 2.5 * flicker,
            seed=(*seed, number),
        )
        for number, (length, quality, brightness, contrast, noise, flicker) in enumerate(rolls.tolist())
    ]


def _stratified(rng: np.random.Generator, count: int, settings: int) -> np.ndarray:
    """Returns float64 (count, settings) in [0, 1): each column has one value in each of `count` equal steps.

    McKay et al., "A Comparison of Three Methods for Selecting Values of Input Variables", Technometrics 1979.
    """
    steps = rng.permuted(np.tile(np.arange(count)[:, None], settings), axis=0)
    return (steps + rng.random(steps.shape)) / max(count, 1)


def _test_list(clips: Sequence[DrawnClip], seed: int) -> str:
    """Returns the text of the test list: 1 for real, 0 for fake, and no newline at its end."""
    rng, lines = np.random.default_rng([seed, 7]), []
    for folder in CELEB_DF:
        names = [clip.name for clip in clips if clip.name.startswith(folder)]
        chosen = sorted(rng.permutation(len(names))[: round(TEST_SHARE * len(names))].tolist())
        lines += [f"{1 - CELEB_DF[folder]} {names[i]}" for i in chosen]
    return "\n".join(lines)
