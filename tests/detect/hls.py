"""Films as HLS playlists in a folder, cut by FFmpeg, and served like those of a live source."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np

from tests.clips import EXACT


def write_segments(folder: Path, images: Sequence[np.ndarray], kind: str = "mpegts", **more: str) -> Path:
    """Writes uint8 RGB `images` at 25 a second as segments of one second, of the `kind` mpegts or fmp4; returns the
    playlist, film.m3u8. `more` are options of FFmpeg's."""
    options = {"hls_time": "1", "hls_list_size": "0", "hls_playlist_type": "vod", "hls_segment_type": kind}
    with av.open(str(folder / "film.m3u8"), "w", format="hls", options=options | more) as container:
        stream = container.add_stream("libx264", rate=25, options=EXACT | {"g": "25"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    return folder / "film.m3u8"


def playlist(*lines: str, tags: Mapping[str, object] = {}) -> bytes:
    """A playlist of these lines, addresses as segments of a second each."""
    head = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", *(f"#EXT-X-{name}:{value}" for name, value in tags.items())]
    body = [part for line in lines for part in ([line] if line.startswith("#") else ["#EXTINF:1,", line])]
    return "\n".join([*head, *body, ""]).encode()


def encrypt(folder: Path, images: Sequence[np.ndarray], key: str, vector: str = "") -> Path:
    """Writes segments like `write_segments`, encrypted by the file `key`, which the playlist says is at `key`."""
    (folder / "key").write_bytes(bytes(range(16)))
    (folder / "key.txt").write_text(f"{key}\n{folder / 'key'}\n{vector}\n")
    return write_segments(folder, images, hls_key_info_file=str(folder / "key.txt"))
