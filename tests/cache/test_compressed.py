"""Crops are compressed clip by clip: they come back as they were, or the shard is called damaged."""

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from cache.profile import CropProfile
from cache.schema import FRAMES, OK, Row, Seen
from cache.shard import BLOCK, DamagedShard, read_arrays, read_index, write_shard

SHAPE = (FRAMES, 160, 160, 3)
CROPS = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), np.uint8)
CROPS[1, 3:] = 0


@pytest.fixture
def shard(tmp_path):
    """Four clips, the first of noise."""
    boxes, times = np.zeros((FRAMES, 4), np.int32), np.zeros(FRAMES)
    facts = (OK, "", Seen(np.ones(FRAMES, np.uint8), times, boxes, np.zeros((FRAMES, 4), np.uint8)))
    return write_shard(tmp_path, CropProfile(), [Row(f"{i}.mp4", 1, 1, *facts, CROPS[i]) for i in range(len(CROPS))])


def read(path, rows, index=None):
    return list(read_arrays(index or read_index(path, CropProfile()), rows, SHAPE, np.dtype(np.uint8)))


def test_threads_read_what_was_written_in_any_order(shard):
    index, rows = read_index(shard, CropProfile()), [3, 0, 2, 1, 1]
    with ThreadPoolExecutor(4) as threads:
        for arrays in threads.map(lambda _: read(shard, rows, index), range(8)):
            np.testing.assert_array_equal(arrays, CROPS[rows])


def _replace(file, **how):
    del file["array"]
    return file.create_dataset("array", CROPS.shape, np.uint8, **how)


def _shuffled(file):
    _replace(file, chunks=(1, *SHAPE), compression="gzip", shuffle=True)[()] = CROPS


def _together(file):
    _replace(file, chunks=CROPS.shape, compression="gzip")[()] = CROPS


def _otherwise(file):
    _replace(file, chunks=(1, *SHAPE), compression="lzf")[()] = CROPS


def _never_written(file):
    _replace(file, chunks=(1, *SHAPE), compression="gzip")


def _no_stream(file):
    _replace(file, chunks=(1, *SHAPE), compression="gzip").id.write_direct_chunk((0, 0, 0, 0, 0), b"\1" * 500)


def _short_stream(file):
    empty = b"x\x9c\x03\0\0\0\0\1"
    _replace(file, chunks=(1, *SHAPE), compression="gzip").id.write_direct_chunk((0, 0, 0, 0, 0), empty)


@pytest.mark.parametrize("change", [_shuffled, _together, _otherwise, _never_written, _no_stream, _short_stream])
def test_arrays_that_were_compressed_otherwise_are_damage(shard, change):
    with h5py.File(shard, "r+") as file:
        change(file)
    with pytest.raises(DamagedShard, match="compressed"):
        read(shard, [0])


def test_a_file_cut_after_its_index_was_read_is_damage(shard):
    index = read_index(shard, CropProfile())
    content = shard.read_bytes()
    for length in (0, BLOCK, len(content) // 2):
        shard.write_bytes(content[:length])
        with pytest.raises(DamagedShard):
            read(shard, [3], index)
