"""Whether two samples of clips are of one kind."""

import numpy as np

from evaluate.stats.two_samples import LEAST, tell_apart

SIZE = 24


def people(random: np.random.Generator, count: int, each: int, shift: float = 0.0) -> np.ndarray:
    looks = np.repeat(random.normal(0, 1, (count, SIZE)), each, axis=0)
    return looks + random.normal(0, 0.2, looks.shape) + shift


def test_samples_of_one_kind_are_rarely_said_to_differ():
    clear = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        found = tell_apart(people(random, 12, 5), people(random, 30, 1), np.repeat(np.arange(12), 5))
        assert found is not None
        clear.append(found.is_clear)
    assert np.mean(clear) <= 0.05


def test_a_shift_that_no_single_clip_shows_is_seen_in_many():
    random = np.random.default_rng(0)
    found = tell_apart(people(random, 12, 5), people(random, 40, 1, shift=0.8), np.repeat(np.arange(12), 5))
    assert found is not None
    assert found.is_clear
    assert found.area > 0.8


def test_many_clips_of_few_people_are_no_evidence_of_another_kind():
    random = np.random.default_rng(3)
    first = np.concatenate([people(random, 3, 40), people(random, 20, 1)])
    groups = np.concatenate([np.repeat([0, 1, 2], 40), np.arange(3, 23)])
    found = tell_apart(first, people(random, 30, 1), groups)
    assert found is not None
    assert not found.is_clear


def test_few_clips_are_not_compared():
    random = np.random.default_rng(0)
    assert tell_apart(people(random, 12, 5), people(random, LEAST - 1, 1), np.repeat(np.arange(12), 5)) is None
