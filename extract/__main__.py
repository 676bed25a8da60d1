"""python -m extract: videos -> features."""

from collections.abc import Sequence

from base.ending import run
from base.flags import parse_flags
from base.progress import show


def main(argv: Sequence[str] | None = None) -> None:
    """Extracts the videos that are not in the store yet; prints the store's folder."""
    from extract.config import ExtractConfig
    from extract.pipeline import extract

    show(extract(parse_flags("reelcheck features", __doc__ or "", ExtractConfig, argv)))


# Worker processes import this module again under another name.
if __name__ == "__main__":
    run(main)
