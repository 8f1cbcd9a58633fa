"""Who is presumed dead: nobody who lives, on whatever machine, on whatever file system."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, _mounts
from rigorous_recorder._engines.source import Source
from rigorous_recorder._runs import is_running, past_experiments
from rigorous_recorder._store import liveness, locks, watermark


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the test's folder be on a file system of some type, with some options."""
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(_mounts, "_MOUNTS", str(mounts))

    def mount(kind: str, options: str = "rw") -> None:
        mounts.write_text(f"root / ext4 rw 0 0\nx {tmp_path} {kind} {options} 0 0\n")

    return mount


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("ext4", "rw", (True, True)),
        ("btrfs", "rw", (True, True)),
        ("nfs4", "rw,local_lock=none", (False, True)),
        ("nfs", "rw,nolock", (False, False)),
        ("nfs", "rw,local_lock=flock", (False, False)),
        ("lustre", "rw,flock", (False, True)),
        ("lustre", "rw,localflock", (False, False)),
        ("lustre", "rw", (False, False)),
        ("fuse.sshfs", "rw", (False, False)),
    ],
)
def test_what_is_known_of_a_file_system(
    tmp_path: Path, mounted: Callable[..., None], kind: str, options: str, expected: object
) -> None:
    """Its type and options say whether others write there, and whether they see its locks."""
    mounted(kind, options)
    found = _mounts.is_local(tmp_path), _mounts.locks_reach_other_hosts(tmp_path)
    assert found == expected


class Host:
    """Another machine with the same folder, which sees no lock of this one where the mount says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def enter(self, *, sees_locks: bool) -> None:
        """Be on that machine from now on, in this process."""
        for module in (watermark, liveness):
            self._monkeypatch.setattr(module, "this_boot", lambda: "of the other host")
        if not sees_locks:
            self._monkeypatch.setattr(locks, "_ask", lambda _: None)
            self._monkeypatch.setattr(locks, "_acquire", lambda *_, **__: None)


@pytest.fixture
def other_host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def let_time_pass(folder: Path, seconds: float) -> None:
    """Every writer was silent for so long."""
    for lock in (folder / "live").glob("*.lock"):
        then = time.time() - seconds
        os.utime(lock, (then, then))


@pytest.mark.parametrize("options", ["rw", "rw,localflock"])
def test_a_writer_whose_lock_other_hosts_do_not_see_is_not_presumed_dead(
    tmp_path: Path, mounted: Callable[..., None], other_host: Host, options: str
) -> None:
    """Where locks are of one host each, a writer that was seen lately is left alone."""
    mounted("lustre", options)
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder, quiet=True)
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
        experiment.sync()
        other_host.enter(sees_locks=False)
        other = ExperimentCollection(folder, quiet=True)
        assert [row["i"] for row in other.records] == [0]
        (past,) = past_experiments(Source(other._store).now().nodes)
        assert is_running(other._store, past)
        let_time_pass(folder, 10_000)
        assert not is_running(other._store, past)
        assert other._store.recover().records == 0  # a file server may have been away for so long
        experiment.push(i=1)
        experiment.sync()  # as the background does every few seconds
        assert is_running(other._store, past)
        assert ExperimentCollection(folder, quiet=True)._store.recover().records == 0
        experiment.push(i=2)
    collection.close()
    assert [row["i"] for row in other.records] == [0, 1, 2]


def log_and_die(folder: Path, numbers: range) -> None:
    """Log in a process that ends without a message."""
    child = os.fork()
    if not child:
        try:
            collection = ExperimentCollection(folder, quiet=True)
            experiment = collection.new_experiment().__enter__()
            for number in numbers:
                experiment.push(i=number)
            collection._store.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_a_writer_that_was_silent_for_long_is_presumed_dead(
    tmp_path: Path, mounted: Callable[..., None], other_host: Host
) -> None:
    """What it left is readable at once, and sealed by another host after some time, all of it."""
    mounted("lustre", "rw,localflock")
    folder = tmp_path / "study.collection"
    log_and_die(folder, range(2))
    other_host.enter(sees_locks=False)
    reader = ExperimentCollection(folder, quiet=True)
    assert [row["i"] for row in reader.records] == [0, 1]
    assert list((folder / "live").glob("*.records.arrow"))
    let_time_pass(folder, 100_000)
    assert reader._store.recover().records == 2
    assert list((folder / "live").glob("*.records.arrow")) == []
    assert [row["i"] for row in reader.records] == [0, 1]


def test_where_hosts_see_each_others_locks_the_dead_are_known_at_once(
    tmp_path: Path, mounted: Callable[..., None], other_host: Host
) -> None:
    """On NFS, or Lustre with flock, a requeued job on another node need not wait."""
    mounted("lustre", "rw,flock")
    folder = tmp_path / "study.collection"
    log_and_die(folder, range(2))
    other_host.enter(sees_locks=True)
    reader = ExperimentCollection(folder, quiet=True)
    assert list((folder / "live").glob("*.records.arrow")) == []
    assert [row["i"] for row in reader.records] == [0, 1]
    assert not (folder / "unsynced").exists()


@pytest.fixture
def _no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no locks at all."""

    def refused(*_: Any) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(locks.fcntl, "flock", refused)


@pytest.mark.usefixtures("_no_locks")
def test_a_file_system_without_locks(
    tmp_path: Path, mounted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logging, numbers, liveness and recovery work there too; who was seen lately lives."""
    mounted("lustre", "rw")
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder, quiet=True)
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
        experiment.sync()
        other = ExperimentCollection(folder, quiet=True)
        with other.new_experiment() as second:
            second.push(i=1)
            assert second["experiment_number"] == experiment["experiment_number"] + 1
        assert other._store.recover().records == 0
        experiment.push(i=2)
    collection.close()
    other.close()
    log_and_die(folder, range(3, 5))
    reader = ExperimentCollection(folder, quiet=True)
    assert sorted(row["i"] for row in reader.records) == list(range(5))
    let_time_pass(folder, 100_000)
    assert reader._store.recover().records == 2
    assert sorted(row["i"] for row in reader.records) == list(range(5))
    assert reader.verify() == []


@pytest.mark.usefixtures("_no_locks")
def test_a_turn_without_locks_is_of_one_at_a_time(tmp_path: Path) -> None:
    """Where there are no locks a file stands for them; one that a dead process left is passed by."""
    path = tmp_path / "some.lock"
    held = tmp_path / "some.lock.held"
    inside: list[int] = []
    begun = threading.Event()

    def wait_for_turn() -> None:
        begun.set()
        with locks.locked(path):
            inside.append(2)

    with locks.locked(path):
        assert held.exists()
        waiting = threading.Thread(target=wait_for_turn)
        waiting.start()
        assert begun.wait(60)
        inside.append(1)
    waiting.join(60)
    assert inside == [1, 2]
    assert not held.exists()
    held.touch()
    then = time.time() - 1_000
    os.utime(held, (then, then))
    with locks.locked(path):
        inside.append(3)
    assert inside == [1, 2, 3]


def test_a_heartbeat_follows_no_link(tmp_path: Path) -> None:
    """Who has put a link in a lock's place has no other file touched."""
    folder, outside = tmp_path / "study.collection", tmp_path / "important.txt"
    outside.touch()
    os.utime(outside, (1_000, 1_000))
    collection = ExperimentCollection(folder, quiet=True)
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
        (lock,) = (folder / "live").glob("????????.lock")
        lock.unlink()
        lock.symlink_to(outside)
        marker = collection._store.backend.lease.watermark
        assert marker is not None
        marker.record({"records": {}, "nodes": {}})
        assert outside.stat().st_mtime == 1_000
        lock.unlink()
    collection.close()
