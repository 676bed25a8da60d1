"""Every stage with little address space: it does its work, or says in one sentence what it needed."""

import shutil

import pytest

from base.machine.memory import ENOUGH
from detect.clips.stage import NO_VERDICT
from reelcheck.cli import error_status
from tests.stages import STAGES, copy, prepare, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("stages"))


@pytest.mark.skipif(not shutil.which("prlimit"), reason="there is no prlimit")
@pytest.mark.parametrize("gigabytes", [1.5, 3.0, ENOUGH])
@pytest.mark.parametrize("stage", [*STAGES, "demo"])
def test_it_works_or_says_what_it_needs(prepared, tmp_path, stage, gigabytes):
    words, folder = STAGES.get(stage, "demo --out out/demo"), copy(prepared, tmp_path / "limited")
    done = run(words, folder, "prlimit", f"--as={int(gigabytes * 1e9)}")
    assert "Traceback" not in done.stderr, done.stderr
    if words.startswith("detect") and done.returncode == NO_VERDICT:
        assert "memory" in done.stdout  # of each clip that did not fit, in its line
    elif done.returncode not in (0, 1):
        assert gigabytes < ENOUGH, done.stderr
        assert done.returncode == error_status(words.split()[0]), done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert f"{gigabytes:.1f} GB (ulimit -v)" in done.stderr
