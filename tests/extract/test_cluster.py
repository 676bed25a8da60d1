"""Units on many processes: the same bytes as a local run, and a lost worker costs its unit a second try."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from base.errors import UserError
from cache.contents import Contents, load
from cache.store import open_store
from extract import cluster as scale
from extract import pipeline, unit
from extract.backbones.weights import MOBILENETV2
from extract.cluster import UnitResult, run_unit
from extract.config import ExtractConfig
from tests import ROOT
from tests.clips import counting_images, write_clip
from tests.fakes import FakeEngine


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Nineteen videos, one of them a text file: three units."""
    root = tmp_path_factory.mktemp("set")
    (root / "Celeb-real").mkdir()
    for i in range(18):
        write_clip(root / f"Celeb-real/id{i}_0000.mp4", counting_images(6 + 3 * i))
    (root / "Celeb-real/id18_0000.mp4").write_text("no video")
    return root


@pytest.fixture(scope="module")
def config(clips, tmp_path_factory):
    return ExtractConfig(clips, tmp_path_factory.mktemp("out"), "mobilenetv2", "random", detector="none")


@pytest.fixture(scope="module")
def whole(config):
    return both(pipeline.extract(replace(config, out=config.out / "local")))


def both(features: Path) -> tuple[Contents, Contents]:
    return load(open_store(features)), load(open_store(next(features.parent.glob("crops-*"))))


def assert_same(features: Path, whole: tuple[Contents, Contents]) -> None:
    for found, expected in zip(both(features), whole, strict=True):
        assert found.records == expected.records
        assert found.checksums == expected.checksums
        assert found.arrays.tobytes() == expected.arrays.tobytes()
        assert found.failures == expected.failures
        assert found.missing == []


class Elsewhere:
    """Stands for joblib: runs the units here, loses those it is told to, before or after they were done."""

    def __init__(self, lost: list[str]) -> None:
        self.lost, self.handed_out = lost, []

    def __call__(self, units, backend) -> Iterator[UnitResult]:
        self.handed_out.append([len(unit.videos) for unit in units])
        for part in units:
            when = self.lost.pop(0) if self.lost else ""
            done = None if when == "before" else run_unit(part)
            if when or done is None:
                raise scale._Lost(f"{when} it was done")
            yield done


def test_lost_units_are_handed_out_again_and_no_others(config, monkeypatch, capsys):
    monkeypatch.setattr(unit, "make_engine", FakeEngine)
    whole = both(pipeline.extract(replace(config, out=config.out / "fake")))
    elsewhere = Elsewhere(["", "before", "after", ""])
    monkeypatch.setattr(scale, "_run_all", elsewhere)
    features = pipeline.extract(replace(config, out=config.out / "lost", backend="loky"))
    assert_same(features, whole)
    # The second unit never ran; the third was done and only its answer was lost: its rows are in the store.
    assert elsewhere.handed_out == [[8, 8, 3], [8, 3], [3]]
    assert "a worker was lost (before it was done); 11 videos are handed out again." in capsys.readouterr().out


def test_workers_that_are_always_lost_end_the_run(config, monkeypatch):
    monkeypatch.setattr(scale, "_run_all", Elsewhere(["before"] * 9))
    with pytest.raises(UserError, match=r"loky lost its workers 3 times \(before it was done\)"):
        pipeline.extract(replace(config, out=config.out / "never", backend="loky"))


def test_an_error_in_a_unit_is_told_and_not_tried_again(config, monkeypatch):
    elsewhere = Elsewhere([])
    monkeypatch.setattr(scale, "_run_all", elsewhere)
    weights = config.out.parent / "wrong.h5"
    with h5py.File(weights, "w") as file:  # as many numbers as the network has
        file["kernel"] = np.zeros(MOBILENETV2.count, np.float32)
    config = replace(config, out=config.out / "wrong", backend="loky", weights=str(weights))
    with pytest.raises(UserError, match="does not hold weights of MobileNetV2"):
        pipeline.extract(config)
    assert len(elsewhere.handed_out) == 1


@pytest.mark.slow
def test_a_worker_that_may_start_no_processes_says_what_to_set(config, monkeypatch):
    monkeypatch.setattr(scale, "_run_all", Elsewhere([]))
    monkeypatch.setattr("multiprocessing.current_process", lambda: type("Worker", (), {"daemon": True}))
    with pytest.raises(UserError, match="set DASK_DISTRIBUTED__WORKER__DAEMON=False"):
        pipeline.extract(replace(config, out=config.out / "daemon", backend="dask"))


def test_an_address_for_this_machine_alone_is_refused(config):
    with pytest.raises(UserError, match="loky runs on this machine only"):
        pipeline.extract(replace(config, out=config.out / "address", backend="loky", address="tcp://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("backend", "address"),
    [("ray", "nonsense"), ("ray", "tcp://host:1"), ("ray", "host:99999"), ("dask", "tcp://host"), ("dask", "host:port"),
     ("dask", "tcp://host:1/path"), ("dask", "http://host:1"), ("dask", ":1"), ("dask", "auto")],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_at_once(config, backend, address):
    with pytest.raises(UserError, match=f"--address {address} is not an address of {backend}; give one such as"):
        pipeline.extract(replace(config, data=Path("absent"), backend=backend, address=address))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_where_no_cluster_answers_one_sentence_says_so_before_the_work(config, monkeypatch, backend, module, listens):
    pytest.importorskip(module)
    monkeypatch.setattr(scale, "ANSWER_SECONDS", 1, raising=False)
    monkeypatch.setattr(pipeline, "_extract_all", lambda *_: pytest.fail("it worked first"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        with pytest.raises(UserError, match=rf"no {backend} cluster answers at {address} \(not within 1 s\); start it"):
            pipeline.extract(replace(config, out=config.out / "silent", backend=backend, address=address))


WAITS = """
from pathlib import Path
from base.ending import run
from extract.config import ExtractConfig
from extract.cluster import require_cluster
run(lambda: require_cluster(ExtractConfig(Path("x"), backend="dask", address="127.0.0.1:%d")))
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_wait_for_a_cluster(ctrl_c, number, status):
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = [sys.executable, "-c", WAITS % server.getsockname()[1]]
        with subprocess.Popen(program, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            client, _ = server.accept()
            process.send_signal(number)
            start = time.monotonic()
            _, errors = process.communicate(timeout=20)
            seconds = time.monotonic() - start
    assert (process.returncode, errors) == (status, "interrupted; finished work is kept.\n")
    assert seconds < 5
    client.close()


@pytest.mark.slow
def test_loky_gives_the_same_bytes_with_a_worker_killed(config, whole):
    with killing_one(lambda: psutil.Process().children(recursive=True), "popen_loky_posix"):
        features = pipeline.extract(replace(config, out=config.out / "loky", backend="loky"))
    assert_same(features, whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_the_same_bytes_with_a_worker_killed(config, whole):
    pytest.importorskip("distributed")
    with dask_cluster() as (address, processes), killing_one(processes, "multiprocessing"):
        features = pipeline.extract(replace(config, out=config.out / "dask", backend="dask", address=address))
    assert_same(features, whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_gives_the_same_bytes_with_a_worker_killed(config, whole):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=2)
        with killing_one(psutil.process_iter, "ray::PoolActor"):
            settings = replace(config, out=config.out / "ray", backend="ray", address=cluster.address)
            features = pipeline.extract(settings)
    finally:
        cluster.shutdown()
    assert_same(features, whole)


@contextmanager
def killing_one(processes: Callable, word: str) -> Iterator[None]:
    """Kills one of `processes` with `word` in its command line as soon as it has a child that decodes."""
    killed = threading.Event()

    def kill() -> None:
        while not killed.is_set():
            for process in processes():
                try:
                    if word in " ".join(process.cmdline()) and process.children():
                        process.kill()
                        killed.set()
                        return
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
        assert killed.is_set(), "no worker was killed"
    finally:
        killed.set()
        thread.join()


@contextmanager
def dask_cluster() -> Iterator[tuple[str, Callable]]:
    """A scheduler and three workers in processes of their own, as on three machines."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    settings = {**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    commands = [["dask_scheduler", "--host", "127.0.0.1", "--port", address.rsplit(":")[-1], "--no-dashboard"]]
    commands += [["dask_worker", address, "--nthreads", "1", "--no-dashboard"]] * 3
    started = [
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.{name}", *flags], cwd=ROOT, env=settings)
        for name, *flags in commands
    ]
    workers = [psutil.Process(process.pid) for process in started[1:]]
    try:
        yield address, lambda: [child for worker in workers for child in worker.children()]
    finally:
        for process in started:
            process.terminate()
            process.wait(30)
