"""Moments that files say of themselves; what says none comes first."""

from datetime import UTC, datetime, timedelta

import pytest

from base.outside.values import EARLIEST, moment, now


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"created": "2026-01-02T03:04:05.000006+00:00"}', datetime(2026, 1, 2, 3, 4, 5, 6, UTC)),
        ('{"created": "2026-01-02T03:04:05+02:00"}', datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ('{"created": "2026-01-02T03:04:05"}', datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ('{"created": 3}', EARLIEST),
        ('{"created": "yesterday"}', EARLIEST),
        ('{"other": "2026-01-02"}', EARLIEST),
        ("[]", EARLIEST),
        ("{", EARLIEST),
    ],
)
def test_a_file_says_when(tmp_path, text, said):
    (tmp_path / "run.json").write_text(text)
    assert moment(tmp_path / "run.json", "created") == said


def test_a_file_that_is_not_there_says_nothing(tmp_path):
    assert moment(tmp_path / "run.json", "created") == EARLIEST


def test_moments_are_told_apart_within_a_second_and_in_order(tmp_path):
    moments = []
    for _ in range(50):
        (tmp_path / "run.json").write_text(f'{{"created": "{now()}"}}')
        moments.append(moment(tmp_path / "run.json", "created"))
    assert moments == sorted(set(moments))
    assert abs(datetime.now(UTC) - moments[-1]) < timedelta(minutes=1)
