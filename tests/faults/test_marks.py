"""The file that records how far a writer had synced: hostile, in trouble, asked for by a handler."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection
from rigorous_recorder._live import backing
from rigorous_recorder._live.backing import MappedImage
from rigorous_recorder._live.segment import Segment
from rigorous_recorder._live.segments import Segments
from rigorous_recorder._store import backend, lease, liveness, seal, watermark
from rigorous_recorder._store.background import schedule
from rigorous_recorder._store.folder import Folder
from rigorous_recorder.errors import DamagedFileWarning, StorageWarning

from .steps import in_a_child, no_space

PATIENCE = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study.collection"


@pytest.fixture
def mark_of_the_dead(folder: Path) -> Iterator[Path]:
    """The mark of a process that logged ten records, synced, and died."""

    def log() -> None:
        collection = ExperimentCollection(folder, quiet=True)
        experiment = collection.new_experiment().__enter__()
        for i in range(10):
            experiment.push(i=i)
        experiment.sync()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(log) == -signal.SIGKILL
    (path,) = (folder / "live").glob("*.json")
    signal.alarm(PATIENCE)  # nobody waits for a pipe
    yield path
    signal.alarm(0)


def indexes(folder: Path) -> list[int]:
    return [row["i"] for row in ExperimentCollection(folder, quiet=True).records]


def said(records: Any, boot: Any = "another") -> str:
    """A mark, as whoever means ill can write it, too."""
    found = {"boot": boot, "is_local": True, "synced": {"records": records, "nodes": {}}}
    return json.dumps({**found, "checksum": watermark.checksum(json.loads(json.dumps(found)))})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "[" * 100_000, said(1), said({"0": float("inf")}), said({"0": -5}),
        said({"0": True}), said({"x": 5}), said({"0": 2}).replace("another", "Another"),
        said({"0": 2}).replace(": 2", ": " + "9" * 5_000), '{"boot": 1}',
    ],
)  # fmt: skip
def test_an_absurd_mark_is_none(folder: Path, mark_of_the_dead: Path, text: str) -> None:
    """What a mark can't be read as is not believed: all rows are read, and verify names it."""
    mark_of_the_dead.write_text(text)
    collection = ExperimentCollection.__new__(ExperimentCollection)
    collection._store = type(ExperimentCollection(folder / "unused")._store)(folder)
    (problem,) = collection.verify()
    assert problem.path == mark_of_the_dead
    assert indexes(folder) == list(range(10))


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_mark_that_is_no_file_is_not_opened(
    folder: Path, mark_of_the_dead: Path, kind: str
) -> None:
    """Nobody waits for a pipe, or follows a link."""
    elsewhere = folder.with_name("elsewhere.json")
    elsewhere.write_text(said({"0": 2}))
    mark_of_the_dead.unlink()
    if kind == "pipe":
        os.mkfifo(mark_of_the_dead)
    elif kind == "link":
        mark_of_the_dead.symlink_to(elsewhere)
    else:
        mark_of_the_dead.mkdir()
    assert indexes(folder) == list(range(10))
    assert elsewhere.exists()


def test_nothing_is_set_aside_through_a_link(
    folder: Path, mark_of_the_dead: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A live file stays where it is when the place to set it aside leads out of the folder."""
    mark_of_the_dead.write_text(said({"0": 2}))
    for module in (watermark, liveness):
        monkeypatch.setattr(module, "this_boot", lambda: "this one")
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "unsynced").symlink_to(outside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)
        ExperimentCollection(folder, quiet=True)
    assert list(outside.iterdir()) == []
    assert list((folder / "live").glob("*.records.arrow"))


@pytest.mark.parametrize("boots", [("", "now"), ("then", "")])
def test_a_boot_that_is_not_known_is_not_another(
    folder: Path, mark_of_the_dead: Path, monkeypatch: pytest.MonkeyPatch, boots: tuple[str, str]
) -> None:
    """Where the system does not tell, a machine is not taken to have gone down."""
    before, now = boots
    mark_of_the_dead.write_text((said({"0": 2})).replace("another", before))
    for module in (watermark, liveness):
        monkeypatch.setattr(module, "this_boot", lambda: now)
    assert indexes(folder) == list(range(10))


def test_a_lock_that_is_a_link_keeps_nobody_from_logging(
    folder: Path, mark_of_the_dead: Path, tmp_path: Path
) -> None:
    """The writer whose lock it should be is presumed dead; others log."""
    lock = mark_of_the_dead.with_suffix(".lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with ExperimentCollection(folder, quiet=True) as collection:
        with collection.new_experiment() as experiment:
            experiment.push(i=10)
        assert sorted(row["i"] for row in collection.records) == list(range(11))


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_sync_in_the_middle_of_a_push_is_done_after_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a handler of SIGTERM calls it: nothing is left open, and all is on the device soon."""
    with ExperimentCollection(folder, quiet=True) as collection:
        with collection.new_experiment() as experiment:
            experiment.push(i=0).sync()
            table = collection._store.records
            write: Callable[..., bool] = table._live._try_write
            before = open_descriptors()

            def interrupted(*row: Any) -> bool:
                experiment.sync()
                return write(*row)

            with monkeypatch.context() as patch:
                patch.setattr(table._live, "_try_write", interrupted)
                for i in range(1, 50):
                    experiment.push(i=i, **{f"key_{i}": 1})
            done = threading.Event()
            schedule(done.set)
            assert done.wait(PATIENCE)
            assert open_descriptors() <= before + 3
            mark = watermark.read_watermark(
                collection._store.folder, collection._store.backend.writer
            )
            assert mark is not None
            assert mark.rows("records", table._segments.live.number) == 50  # type: ignore[union-attr]


class Refusal:
    """Images of a table that can't be made, for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
        self.is_on = False

        def image(path: Path, blank: Any) -> MappedImage:
            if self.is_on and f".{table}.arrow" in path.name:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            return MappedImage(path, blank)

        monkeypatch.setattr(lease, "MappedImage", image)


def test_what_is_only_in_memory_is_not_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync in times of trouble promises what is on the device, and no row more."""
    refusal = Refusal(monkeypatch, "records")
    with ExperimentCollection(folder, quiet=True) as collection:
        with collection.new_experiment() as experiment:
            for i in range(100):
                experiment.push(i=i)
            experiment.sync()
            for i in range(100, 150):
                experiment.push(i=i)
            refusal.is_on = True
            with pytest.warns(StorageWarning):
                experiment.push(i=150, new=1)
                experiment.sync()
            writer = collection._store.backend.writer
            mark = watermark.read_watermark(Folder(folder), writer)
            assert mark is not None
            assert mark.rows("records", 0) == 100
            refusal.is_on = False
            experiment.sync()
            mark = watermark.read_watermark(Folder(folder), writer)
            assert mark is not None
            assert mark.rows("records", 0) == 151


def test_records_wait_for_attributes_of_their_nodes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record is sealed while whose it is waits in memory; then all are."""
    monkeypatch.setattr(live_table, "MOST_ROWS", 64)
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    refusal = Refusal(monkeypatch, "nodes")
    with ExperimentCollection(folder, quiet=True) as collection:
        with pytest.warns(StorageWarning), collection.new_experiment() as experiment:
            refusal.is_on = True
            for i in range(100):
                experiment.child(k=i, **{f"key_{i}": 1}).push(i=i)
            collection._store.records.seal()
            assert list((folder / "records").glob("*.parquet")) == []
            refusal.is_on = False
            collection._store.sync()
            collection._store.records.seal()
            assert list((folder / "records").glob("*.parquet"))
    rows = ExperimentCollection(folder, quiet=True).records
    assert [(row["i"], row["k"]) for row in rows] == [(i, i) for i in range(100)]


class Prepared:
    """When what sealing waits for has been done ahead, or has failed: from the 17th record on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
        monkeypatch.setattr(live_table, "MOST_ROWS", 64)
        self._is_done = threading.Event()
        prepare = Segments.prepare

        def watched(where: Segments, *args: Any) -> None:
            prepare(where, *args)
            if where.name == "records":
                self._is_done.set()

        monkeypatch.setattr(Segments, "prepare", watched)

    def wait(self) -> None:
        assert self._is_done.wait(PATIENCE)


def test_attributes_of_nodes_are_synced_before_a_table_is_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealing the first records then does not wait for it."""
    prepared = Prepared(monkeypatch)
    with ExperimentCollection(folder, quiet=True) as collection:
        experiment = collection.new_experiment().__enter__()
        for i in range(17):
            experiment.push(i=i)
        prepared.wait()
        mark = watermark.read_watermark(Folder(folder), collection._store.backend.writer)
        assert mark is not None
        assert mark.rows("nodes", 0) > 0
        assert list((folder / "records").glob("*.parquet")) == []


def test_what_can_not_be_done_ahead_is_reported_when_it_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody knows whose the records are, none is sealed, ahead or not."""
    prepared = Prepared(monkeypatch)
    refusal = Refusal(monkeypatch, "nodes")
    with ExperimentCollection(folder, quiet=True) as collection:
        with pytest.warns(StorageWarning), collection.new_experiment() as experiment:
            refusal.is_on = True
            for i in range(17):
                experiment.child(k=i, **{f"key_{i}": 1}).push(i=i)
            prepared.wait()
            assert list((folder / "records").glob("*.parquet")) == []
            refusal.is_on = False
    rows = ExperimentCollection(folder, quiet=True).records
    assert [(row["i"], row["k"]) for row in rows] == [(i, i) for i in range(17)]


def test_what_is_recorded_after_the_close_leaves_no_file(folder: Path) -> None:
    """Another thread can be about to do so when it is closed."""
    with ExperimentCollection(folder, quiet=True) as collection:
        collection.recorder.push(i=0)
        marker = collection._store.backend.lease.watermark
        assert marker is not None
        assert list((folder / "live").glob("*.json"))
    marker.record({"records": {0: 1}, "nodes": {0: 1}})
    assert list((folder / "live").glob("*.json")) == []


def test_a_value_that_is_fetched_after_the_flush_is_not_recorded_as_synced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row has it in memory alone until the next flush, where files are not mapped."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: False)

    class OnDevice:
        dtype = "fake.float32"
        shape = ()

        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

        def copy(self) -> OnDevice:
            return self

        def get(self) -> Any:
            return np.float32(1)

    with ExperimentCollection(folder, quiet=True) as collection:
        recorder = collection.recorder.child()
        recorder.push(x=0.0).push(x=OnDevice())
        table = collection._store.records
        live = table._segments.live
        assert live is not None
        start = live.start_sync

        def start_and_fetch() -> Any:
            found = start()
            live.resolve_pending()
            return found

        monkeypatch.setattr(live, "start_sync", start_and_fetch)
        assert table._sync(live)
        assert table._segments.synced() == {live.number: 1}


@pytest.fixture
def _tables_of_64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of so many rows, which nobody seals off the caller's thread."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    monkeypatch.setattr(live_table, "MOST_ROWS", 64)
    monkeypatch.setattr(backend.FolderBackend, "schedule", lambda *_: None)


@pytest.mark.usefixtures("_tables_of_64")
def test_a_table_that_is_sealed_in_the_middle_of_its_sync_is_not_recorded_under_its_next_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next rows are logged before the sync, which holds no lock of who seals, ends."""
    with ExperimentCollection(folder, quiet=True) as collection:
        recorder = collection.recorder.child()
        for i in range(64):
            recorder.push(i=i)
        segments = collection._store.records._segments
        live, has = segments.live, segments.has
        assert live is not None

        def has_but_is_sealed(segment: Segment) -> bool:
            found = has(segment)
            segment.finish()
            segments.seal()
            return found

        with monkeypatch.context() as patch:
            patch.setattr(segments, "has", has_but_is_sealed)
            collection._store.records.sync()
        recorder.push(i=64)
        following = segments.live
        assert following is not None
        assert following is not live
        assert (following.number, following.rows) == (1, 1)
        assert segments.synced() == {}
        collection._store.records.sync()
        assert segments.synced() == {1: 1}


@pytest.mark.usefixtures("_tables_of_64")
def test_a_table_that_is_sealed_as_its_sync_begins_is_no_trouble(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is gone, and its rows are on the device; nor is any row taken for one in memory."""
    syncing, is_persistent = MappedImage.syncing, MappedImage.is_persistent.fget
    assert is_persistent is not None
    with ExperimentCollection(folder, quiet=True) as collection:
        recorder = collection.recorder.child()
        table = collection._store.records
        segments = table._segments

        def fill() -> None:
            for i in range(65):
                recorder.push(i=i)

        def seal_and_forget() -> None:
            segments.seal()
            while segments._spares:
                segments._spares.pop().image.discard()

        def seal_first(image: MappedImage) -> Any:
            seal_and_forget()
            return syncing(image)

        def say_after_sealing(image: MappedImage) -> bool:
            if image is full.image:
                seal_and_forget()
            return is_persistent(image)

        fill()
        full = segments.unsynced()[0]
        with monkeypatch.context() as patch:
            patch.setattr(MappedImage, "syncing", seal_first)
            assert table._sync(full)
        fill()
        full = segments.unsynced()[0]
        with monkeypatch.context() as patch:
            patch.setattr(MappedImage, "is_persistent", property(say_after_sealing))
            assert table.rows_at_risk() == 0
        assert not collection._store.backend.trouble
    assert len(collection) == 130


@pytest.mark.usefixtures("_tables_of_64")
def test_an_interrupted_sync_leaves_no_file_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of syncing many tables that can't be sealed."""

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with ExperimentCollection(folder, quiet=True) as collection:
        recorder = collection.recorder.child()
        with monkeypatch.context() as patch, pytest.warns(StorageWarning, match="No space left"):
            patch.setattr(seal.pq.ParquetWriter, "write_table", no_space)
            for i in range(64 * 10):
                recorder.push(i=i)
            collection._store.records._segments.seal()
            before = open_descriptors()
            patch.setattr(backing, "sync_file", interrupt)
            with pytest.raises(KeyboardInterrupt):
                recorder.sync()
            assert open_descriptors() == before
    assert len(collection) == 640


def test_a_mark_is_written_by_one_thread_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who makes it anew waits for a sync that is just noting: both have the same temporary file."""
    collection = ExperimentCollection(folder, quiet=True)
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
        marker = collection._store.backend.lease.watermark
        assert marker is not None
        writing, together, write = threading.Lock(), [], watermark.write_whole

        def write_alone(path: Path, data: bytes) -> None:
            if not writing.acquire(blocking=False):
                together.append(path)
                return
            try:
                write(path, data)
            finally:
                writing.release()

        monkeypatch.setattr(watermark, "write_whole", write_alone)
        anew = threading.Thread(target=lambda: [marker.write() for _ in range(50)])
        anew.start()
        for rows in range(1, 51):
            marker.record({"records": {0: rows}, "nodes": {}})
        anew.join()
    collection.close()
    assert not together
