"""python -m extract.drawn: draws the demo data set, clips of drawn people, real and fake."""

from collections.abc import Sequence

from base.ending import run
from base.flags import parse_flags
from base.progress import show
from extract.drawn.dataset import DrawnConfig, draw_dataset


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the data set and prints its folder."""
    show(draw_dataset(parse_flags("python -m extract.drawn", __doc__ or "", DrawnConfig, argv)))


# Workers import this module again under another name.
if __name__ == "__main__":
    run(main)
